/* What the files of a session share. Private to vm/gdb. */
#pragma once
#include "kernel/sched.h"
#include "vcpu/debug.h"
#include "vm/gdb/command.h"
#include "vm/gdb/session.h"

#define GDB_BREAKPOINTS 64U
#define GDB_INPUT 1024U /* bytes that wait, a power of two */

_Static_assert(GDB_THREADS_MAX >= VM_VCPUS_MAX, "each vCPU is a thread");
_Static_assert(GDB_REGISTER_BYTES >= VCPU_DEBUG_REG_BYTES, "a register fits");

struct gdb_breakpoint {
    bool used;
    u64 address;
    gpa_t gpa; /* where that was when it was set */
    u8 saved[VCPU_DEBUG_TRAP_MAX];
};

/* What one of the hardware's points is for: GDB's ranges are cut to its measure. */
struct gdb_watch {
    enum gdb_point type;
    u64 address, len; /* as GDB asked */
};

/* What the session waits for. But in DETACHED and RUNNING every vCPU stands still, or is about to. */
enum gdb_phase {
    GDB_DETACHED,
    GDB_RUNNING,
    GDB_STOPPING, /* each vCPU is told, and leaves the guest */
    GDB_STOPPED,
    GDB_ASKING,   /* a packet is being executed where its vCPU lives */
    GDB_STARTING, /* each vCPU is told how to go on */
    GDB_LEAVING,  /* each vCPU is told that there is no debugger any more */
};

struct gdb_session {
    struct serial_port *port;
    struct task task;
    struct vm *vm; /* NULL: it does not live */
    enum gdb_phase phase;
    u8 input[GDB_INPUT];
    u32 head, tail; /* free-running; head is the interrupt's, tail the task's */
    bool full;      /* the interrupt was turned away; atomic */
    struct gdb_wire wire;
    bool packet_due; /* wire.packet waits for the VM to stand still */
    bool stop_due;   /* the debugger waits to hear of a stop */
    struct gdb gdb;
    struct gdb_target target;
    struct gdb_reply reply;
    u32 resends;
    enum gdb_outcome outcome;
    void (*visit)(struct gdb_session *session, struct vcpu *v);
    u32 to_visit;    /* vCPUs that could not be asked yet */
    u32 outstanding; /* visits that are not over; atomic */
    u32 stop;        /* who stopped the VM first, and why: 0 nobody, else STOP_*; atomic */
    struct vcpu *v;  /* of gdb.general, while a packet is executed */
    struct gdb_breakpoint breakpoints[GDB_BREAKPOINTS];
    struct vcpu_debug_point points[VCPU_DEBUG_POINTS]; /* while they stand the vCPUs have none */
    struct gdb_watch watches[VCPU_DEBUG_POINTS];       /* of each point in use */
};

/* target.c: the commands' view of a VM; ctx is the session. */
void gdb_target_init(struct gdb_session *session);
/* The breakpoint that lies at an address, or NULL. Any CPU while the VM runs. */
const struct gdb_breakpoint *gdb_breakpoint_at(const struct gdb_session *session, u64 address);
/* Take all out of the guest's memory, and forget the points. */
void gdb_breakpoints_remove(struct gdb_session *session);
/* points.c: the points of a type other than GDB_POINT_MEMORY. As gdb_target's. */
bool gdb_points_change(struct gdb_session *session, const struct gdb_watch *watch, bool set);
