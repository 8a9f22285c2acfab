#include "vcpu/trace.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/time.h"
#include "mm/frame.h"
#include "mm/physmap.h"

_Static_assert(sizeof(struct vcpu_trace) <= FRAME_SIZE << VCPU_TRACE_ORDER, "the ring fits its block");

int vcpu_trace_on(struct vcpu *v)
{
    hpa_t pa;

    if (READ_ONCE(v->trace) == NULL) {
        if (frame_alloc(VCPU_TRACE_ORDER, v->config.frame_owner, &pa) != 0) {
            return -E_NOMEM;
        }
        __atomic_store_n(&v->trace, (struct vcpu_trace *)phys_ptr(pa), __ATOMIC_RELEASE);
    }
    __atomic_store_n(&v->traced, true, __ATOMIC_RELEASE);
    return 0;
}

void vcpu_trace_off(struct vcpu *v)
{
    __atomic_store_n(&v->traced, false, __ATOMIC_RELEASE);
}

void vcpu_trace_free(struct vcpu *v)
{
    if (v->trace != NULL) {
        ASSERT(frame_free(phys_of(v->trace), VCPU_TRACE_ORDER, v->config.frame_owner) == 0);
    }
    v->trace = NULL;
    v->traced = false;
}

static struct vcpu_trace_record *slot(struct vcpu *v)
{
    return &v->trace->records[v->trace->head % VCPU_TRACE_RECORDS];
}

void vcpu_trace_enters(struct vcpu *v)
{
    slot(v)->entered = time_ticks();
}

void vcpu_trace_left(struct vcpu *v, u32 reason, u64 clue)
{
    struct vcpu_trace_record *record = slot(v);

    record->left = time_ticks();
    record->pc = vcpu_arch_pc(&v->arch);
    record->where = clue;
    record->reason = (u16)reason;
    record->cpu = (u16)percpu()->id;
}

void vcpu_trace_done(struct vcpu *v, const struct vcpu_exit *exit)
{
    struct vcpu_trace *trace = v->trace;
    struct vcpu_trace_record *record = slot(v);

    record->done = time_ticks();
    record->kind = (u16)exit->kind;
    if (exit->kind == VCPU_EXIT_PIO) {
        record->where = exit->pio.port;
    } else if (exit->kind == VCPU_EXIT_NPF) {
        record->where = exit->npf.gpa.v;
    }
    trace->timed[record->reason]++;
    trace->ticks[record->reason] += record->done - record->left;
    __atomic_store_n(&trace->head, trace->head + 1, __ATOMIC_RELEASE); /* pairs with vcpu_trace_read() */
}

bool vcpu_trace_read(const struct vcpu *v, u64 *index, struct vcpu_trace_record *out)
{
    const struct vcpu_trace *trace = __atomic_load_n(&v->trace, __ATOMIC_ACQUIRE);
    u64 head = trace != NULL ? __atomic_load_n(&trace->head, __ATOMIC_ACQUIRE) : 0;

    while (*index < head) {
        /* The slot of head is being written, so the oldest that is whole is the one after it. */
        u64 oldest = head < VCPU_TRACE_RECORDS ? 0 : head - VCPU_TRACE_RECORDS + 1;
        u64 wanted = MAX(*index, oldest);

        *out = trace->records[wanted % VCPU_TRACE_RECORDS];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        head = __atomic_load_n(&trace->head, __ATOMIC_ACQUIRE);
        if (wanted + VCPU_TRACE_RECORDS > head) { /* nobody wrote over it meanwhile */
            *index = wanted + 1;
            return true;
        }
    }
    return false;
}
