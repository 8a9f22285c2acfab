/* Why a vCPU came back: neutral exits. */
#pragma once
#include "kernel/lib/types.h"

/*  name          the VM layer must */
#define VCPU_EXIT_LIST(X)                                                                                              \
    X(NONE)         /* handled inside vcpu/: never returned by vcpu_run() */                                           \
    X(PIO)          /* serve pio; vcpu_finish() completes an IN; a string form is completed by vcpu_emulate() */       \
    X(NPF)          /* stage-2 fault at npf.gpa: repair the mapping, or vcpu_emulate() when it is a device */          \
    X(HYPERCALL)    /* serve; result via vcpu_finish() */                                                              \
    X(SYSREG)       /* reserved for ISAs whose system registers belong to devices */                                   \
    X(HALT)         /* the vCPU is Blocked until an event */                                                           \
    X(YIELD)        /* spin hint (PAUSE): let another run */                                                           \
    X(CPU_ON) X(CPU_OFF) X(IPI)                                                                                        \
    X(KICKED)       /* host interrupt, request or end of slice: nothing to serve */                                    \
    X(SHUTDOWN)     /* shutdown.reason */                                                                              \
    X(DEBUG)        /* a breakpoint, a watchpoint, or a single step of a debugger's: vcpu/debug.h */                   \
    X(ENTRY_FAILED) /* entry_failed: the hardware refused the guest state; vCPU is Invalid */                          \
    X(UNHANDLED)    /* unhandled: the VM must be stopped with a report */

enum vcpu_exit_kind {
#define VCPU_EXIT_ENUM(name) VCPU_EXIT_##name,
    VCPU_EXIT_LIST(VCPU_EXIT_ENUM)
#undef VCPU_EXIT_ENUM
    VCPU_EXIT_KINDS
};

enum vcpu_shutdown { VCPU_SHUTDOWN_TRIPLE_FAULT, VCPU_SHUTDOWN_RESET, VCPU_SHUTDOWN_OFF };

#define NPF_READ BIT32(0)
#define NPF_WRITE BIT32(1)
#define NPF_EXEC BIT32(2)
#define NPF_PRESENT BIT32(3) /* a permission fault; else nothing was mapped */
#define NPF_WALK BIT32(4)    /* touched by the guest's page-table walk, not by the access itself */

struct vcpu_exit {
    enum vcpu_exit_kind kind;
    u8 insn_len; /* bytes to advance on finish; 0 = already advanced or not applicable */
    bool answered; /* served already: never returned by vcpu_run() */
    bool declined; /* config.serve has been asked, and wants it returned by vcpu_run() */
    u16 reason;    /* the hardware's, below VCPU_REASONS; valid once run() has returned */
    union {
        u64 where; /* the first word of what follows: with port, gpa or number in it */
        struct {
            u16 port;
            u8 size; /* 1, 2, 4 */
            bool write;
            bool string; /* INS/OUTS: go through vcpu_emulate() */
            u64 value;   /* OUT: the data, in its low `size` bytes; IN: where the VM layer puts the answer */
        } pio;
        struct {
            gpa_t gpa;
            u32 flags; /* NPF_* */
        } npf;
        struct {
            u64 number; /* its arguments: vcpu_hypercall_arg() */
            bool user;  /* called from the guest's user mode */
            u64 result; /* where the VM layer puts the answer */
        } hypercall;
        struct { bool interruptible; } halt; /* can an interrupt end the halt? */
        struct { enum vcpu_shutdown reason; } shutdown;
        struct {
            bool breakpoint; /* a breakpoint instruction; */
            u8 point;        /* or 1 + the number of a point of vcpu_debug_watch(); else the step */
        } debug;
        struct { u64 hw_reason, qual, detail; } entry_failed;
        struct { u64 hw_reason, qual, detail; const char *what; } unhandled;
    };
};

/* "PIO", "NPF", ...; "?" for a bad kind. */
const char *vcpu_exit_name(enum vcpu_exit_kind kind);
