/* Every CPU: bring-up through the platform's smp_ops, and calls on all. */
#include "kernel/smp.h"
#include "kernel/base/lock.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include <arch/cpu.h>

static const struct smp_ops *platform;
static u32 limit = CPU_MAX;

/* One call at a time. busy is taken with IRQs on, so that a waiter serves the call it waits behind. */
static struct {
    bool busy; /* atomic */
    void (*fn)(void *arg);
    void *arg;
    u32 missing;           /* CPUs that have not finished; atomic */
    bool pending[CPU_MAX]; /* set by the caller (release), cleared by the CPU (acquire) */
} call;

void smp_set_ops(const struct smp_ops *ops)
{
    platform = ops;
}

void smp_set_limit(u32 max)
{
    limit = max != 0 ? max : CPU_MAX;
}

/* Runs on a kicked CPU. */
static void serve_call(void)
{
    if (__atomic_exchange_n(&call.pending[percpu()->id], false, __ATOMIC_ACQ_REL)) {
        call.fn(call.arg);
        __atomic_fetch_sub(&call.missing, 1, __ATOMIC_RELEASE);
    }
}

static void report(const struct percpu *cpu)
{
    log_event("cpu=%u %s=%u online", cpu->id, platform != NULL ? platform->id_name : "id", cpu->hw_id);
}

u32 smp_start_all(void (*entry)(void))
{
    u32 count = platform != NULL ? platform->count() : 0;

    irq_add_kick_handler(serve_call);
    report(percpu());
    for (u32 i = 0; i < count && percpu_count() < limit; i++) {
        int id = platform->start(i, entry);
        if (id >= 0) {
            report(percpu_of((u32)id));
        } else {
            log_warn("cpu %s=%u left-out why=\"%s\"", platform->id_name, platform->hw_id(i), errno_text(id));
        }
    }
    if (platform != NULL) {
        platform->done();
    }
    return smp_online_count();
}

u32 smp_online_count(void)
{
    u32 online = 0;

    for (u32 i = 0; i < percpu_count(); i++) {
        const struct percpu *cpu = percpu_of(i);
        online += cpu != NULL && READ_ONCE(cpu->online) ? 1 : 0;
    }
    return online;
}

void smp_call_all(void (*fn)(void *arg), void *arg)
{
    u32 me = percpu()->id;

    while (__atomic_exchange_n(&call.busy, true, __ATOMIC_ACQUIRE)) {
        arch_cpu_relax();
    }
    call.fn = fn;
    call.arg = arg;
    call.missing = smp_online_count() - 1;
    for (u32 i = 0; i < percpu_count(); i++) {
        const struct percpu *cpu = percpu_of(i);
        if (i != me && cpu != NULL && cpu->online) {
            __atomic_store_n(&call.pending[i], true, __ATOMIC_RELEASE);
            irq_kick(i);
        }
    }
    fn(arg);
    while (__atomic_load_n(&call.missing, __ATOMIC_ACQUIRE) != 0) {
        arch_cpu_relax();
    }
    __atomic_store_n(&call.busy, false, __ATOMIC_RELEASE);
}
