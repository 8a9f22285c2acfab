/* What GDB asks, and what it is told: "Debugging with GDB", appendix E.2 "Packets" to E.6. Pure, and without a word of any ISA: the
 * target supplies registers, memory and breakpoints. Fuzzed. */
#pragma once
#include "vm/gdb/wire.h"

#define GDB_THREADS_MAX 32U
#define GDB_REGISTER_BYTES 16U /* the widest */

/* The types of packets Z and z. */
enum gdb_point { GDB_POINT_MEMORY, GDB_POINT_EXECUTE, GDB_POINT_WRITE, GDB_POINT_READ, GDB_POINT_ACCESS, GDB_POINTS };

/* The machine, standing still. Threads are numbered from 1; registers and memory are those of the thread gdb->general. */
struct gdb_target {
    u32 threads;
    u32 registers;
    const char *description; /* the XML document target.xml */
    u32 (*reg_size)(u32 reg); /* bytes, 1..GDB_REGISTER_BYTES */
    bool (*reg_read)(void *ctx, u32 reg, u8 *bytes);        /* false: cannot be told */
    bool (*reg_write)(void *ctx, u32 reg, const u8 *bytes); /* false: not this one */
    size_t (*mem_read)(void *ctx, u64 address, u8 *bytes, size_t len); /* how many could be read */
    bool (*mem_write)(void *ctx, u64 address, const u8 *bytes, size_t len);
    bool (*point)(void *ctx, enum gdb_point type, u64 address, u64 len, bool set); /* again, or one that is not there: true */
    const char *(*thread_text)(void *ctx, u32 thread);
};

enum gdb_action { GDB_STAY, GDB_STEP, GDB_GO };
enum gdb_stop { GDB_STOP_ASKED, GDB_STOP_POINT, GDB_STOP_STEP };

struct gdb {
    const struct gdb_target *target;
    void *ctx;
    u32 general;            /* the thread that registers and memory are about */
    u32 control;            /* the thread that the old c and s are about; 0: all */
    bool tells_software, tells_hardware; /* the client wants to know that it was a breakpoint of its */
    u8 actions[GDB_THREADS_MAX]; /* enum gdb_action of each thread, after GDB_RESUME */
    enum gdb_stop stop;     /* why the machine stands, */
    u32 stop_thread;        /* who stopped it, */
    enum gdb_point stop_type; /* and GDB_STOP_POINT: at what, */
    u64 stop_address;         /* and where */
};

/* What is to be done after a command; but for RESUME and KILL there is a reply. */
enum gdb_outcome {
    GDB_ANSWER,
    GDB_ATTACHED, /* an answer; whoever was there before is there no more */
    GDB_RESUME, /* by gdb->actions; the reply follows when the machine stops again: gdb_tell_stop() */
    GDB_DETACH,
    GDB_KILL,
};

/* A debugger is there: forget what another one chose. */
void gdb_attach(struct gdb *gdb);

/* Execute a packet; its text ends in a NUL, behind len characters. reply is begun and ended here. */
enum gdb_outcome gdb_command(struct gdb *gdb, const char *packet, u32 len, struct gdb_reply *reply);

/* Which thread stopped, and why; as an answer, or as what the debugger waits for. */
void gdb_tell_stop(const struct gdb *gdb, struct gdb_reply *reply);
