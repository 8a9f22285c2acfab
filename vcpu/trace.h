/* A record of each exit of a vCPU, in a ring that its owner writes without a lock and anybody reads. A vCPU that is not traced
 * pays nothing: backend.run_traced() is another function than run(). */
#pragma once
#include "vcpu/vcpu.h"

#define VCPU_TRACE_RECORDS 2048U /* a power of two */
#define VCPU_TRACE_ORDER 5U      /* of the block that holds them */

/* One stay in the guest and the exit that ended it; times in ticks of time_ticks(). */
struct vcpu_trace_record {
    u64 entered, left; /* the guest ran between these */
    u64 done;          /* served, or vcpu_run() returned it */
    u64 pc;            /* at the exit */
    u64 where;         /* PIO: the port; NPF: the guest-physical address; else the ISA's clue, such as a register's number */
    u16 reason;        /* below VCPU_REASONS */
    u16 kind;          /* enum vcpu_exit_kind */
    u16 cpu;
    u16 zero;
};
_Static_assert(sizeof(struct vcpu_trace_record) == 48, "what reads a ring from memory counts on it");

struct vcpu_trace {
    u64 head;                  /* records written, free-running; atomic */
    u64 timed[VCPU_REASONS];   /* exits that were timed, and their ticks between left and done */
    u64 ticks[VCPU_REASONS];
    struct vcpu_trace_record records[VCPU_TRACE_RECORDS];
};

/* Trace from the next call of the backend on: make the owner leave vcpu_run() for that. Records made before stay. 0, -E_NOMEM.
 * One caller at a time, any CPU; not before setup. */
MUST_CHECK int vcpu_trace_on(struct vcpu *v);
/* No longer, in the same way. The records stay. */
void vcpu_trace_off(struct vcpu *v);
/* Give the ring back. Nobody runs v. */
void vcpu_trace_free(struct vcpu *v);

/* Copy record *index, or the oldest still there when *index lies before it, and move *index behind it. false: there is none
 * yet. Any CPU, while the owner writes. */
bool vcpu_trace_read(const struct vcpu *v, u64 *index, struct vcpu_trace_record *out);

/* For backends, owner CPU, IRQs off: right before an entry, right after the exit, and when it has been served. */
void vcpu_trace_enters(struct vcpu *v);
void vcpu_trace_left(struct vcpu *v, u32 reason, u64 clue);
void vcpu_trace_done(struct vcpu *v, const struct vcpu_exit *exit);
