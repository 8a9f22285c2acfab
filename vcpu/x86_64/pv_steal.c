/* Steal time and the end-of-interrupt word: records that stay shared with the guest, so they are written through a window.
 * A preempted vCPU's record says so; siblings then leave a flush of its translations in it instead of waiting for it. */
#include "kernel/lib/errno.h"
#include "vcpu/x86_64/pv.h"

#define STEAL_RESERVED GENMASK(5, 1)
#define STEAL_ADDRESS GENMASK(63, 6)
#define EOI_RESERVED BIT(1)
#define EOI_ADDRESS GENMASK(63, 2)

static void *window(struct vcpu *v, u64 gpa, size_t len)
{
    return v->config.mem->ram_window(v->config.ctx, GPA(gpa), len);
}

int x86_pv_read_steal(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = v->arch.pv.steal;
    return 0;
}

int x86_pv_write_steal(struct vcpu *v, u32 msr, u64 value)
{
    bool enable = (value & PV_ENABLE) != 0;
    void *record = enable ? window(v, value & STEAL_ADDRESS, sizeof(struct pv_steal_record)) : NULL;

    (void)msr;
    if ((value & STEAL_RESERVED) != 0 || (enable && record == NULL)) {
        return -E_GUEST;
    }
    v->arch.pv.steal = value;
    v->arch.pv.steal_record = record;
    return 0;
}

int x86_pv_read_eoi(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = v->arch.pv.eoi;
    return 0;
}

int x86_pv_write_eoi(struct vcpu *v, u32 msr, u64 value)
{
    bool enable = (value & PV_ENABLE) != 0;
    u32 *word = enable ? window(v, value & EOI_ADDRESS, sizeof(*word)) : NULL;

    (void)msr;
    if ((value & EOI_RESERVED) != 0 || (enable && word == NULL)) {
        return -E_GUEST;
    }
    v->arch.pv.eoi = value;
    v->arch.pv.eoi_word = word;
    return 0;
}

void vcpu_scheduled(struct vcpu *v, u64 waited_ns)
{
    struct pv_steal_record *record = v->arch.pv.steal_record;

    if (record == NULL) {
        return;
    }
    /* Full barrier: a sibling that finds the byte zero sends an interrupt, one that found it set has left its wish. */
    if ((__atomic_exchange_n(&record->preempted, 0, __ATOMIC_SEQ_CST) & PV_PREEMPTED_FLUSH) != 0) {
        vcpu_request(v, VCPU_REQ_FLUSH);
    }
    u32 odd = record->version | 1U;
    WRITE_ONCE(record->version, odd);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    WRITE_ONCE(record->steal_ns, waited_ns);
    __atomic_store_n(&record->version, odd + 1U, __ATOMIC_RELEASE);
}

void vcpu_descheduled(struct vcpu *v)
{
    struct pv_steal_record *record = v->arch.pv.steal_record;

    if (record != NULL) {
        __atomic_store_n(&record->preempted, PV_PREEMPTED, __ATOMIC_SEQ_CST);
    }
}
