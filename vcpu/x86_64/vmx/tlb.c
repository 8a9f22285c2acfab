/* Cached translations: VPIDs, INVVPID, INVEPT (SDM Vol. 3 29.4). */
#include "kernel/base/lock.h"
#include "kernel/base/percpu.h"
#include "vcpu/x86_64/vmx/internal.h"

/* Operands of the two instructions: SDM Vol. 3 31.3. */
struct invalidation {
    u64 tag; /* EPT pointer, or VPID in bits 15:0 */
    u64 address;
};
enum { INVALIDATE_SINGLE = 1, INVALIDATE_ALL = 2 };

static void invept(u64 type, const struct invalidation *what)
{
    __asm__ volatile("invept %0, %1" ::"m"(*what), "r"(type) : "cc", "memory");
}

static void invvpid(u64 type, const struct invalidation *what)
{
    __asm__ volatile("invvpid %0, %1" ::"m"(*what), "r"(type) : "cc", "memory");
}

#define VPIDS 65536U
static struct {
    struct spinlock lock; /* protects used */
    u64 used[VPIDS / 64];
} vpids = {SPINLOCK_INIT, {1}}; /* 0 is the host's */

u16 vmx_vpid_alloc(void)
{
    u16 found = 0;

    if ((vmx_caps.controls[VMX_PROC2] & VMX_CTL(PROC2, VPID)) == 0) {
        return 0;
    }
    u64 flags = spin_lock(&vpids.lock);
    for (u32 word = 0; word < ARRAY_SIZE(vpids.used) && found == 0; word++) {
        if (vpids.used[word] != ~0ULL) {
            u32 bit = (u32)__builtin_ctzll(~vpids.used[word]);
            vpids.used[word] |= BIT(bit);
            found = (u16)(word * 64 + bit);
        }
    }
    spin_unlock(&vpids.lock, flags);
    return found;
}

/* What a CPU may still hold under a recycled VPID is flushed when its next owner is first loaded there. */
void vmx_vpid_free(u16 vpid)
{
    if (vpid == 0) {
        return;
    }
    u64 flags = spin_lock(&vpids.lock);
    vpids.used[vpid / 64] &= ~BIT(vpid % 64);
    spin_unlock(&vpids.lock, flags);
}

static void flush_vpid(u16 vpid)
{
    bool single = (vmx_caps.msrs.ept_vpid & VMX_EPT_INVVPID_SINGLE) != 0;
    struct invalidation what = {.tag = vpid};

    if (vpid != 0) {
        invvpid(single ? INVALIDATE_SINGLE : INVALIDATE_ALL, &what);
    }
}

static void flush_ept(u64 eptp)
{
    bool single = (vmx_caps.msrs.ept_vpid & VMX_EPT_INVEPT_SINGLE) != 0;
    struct invalidation what = {.tag = single ? eptp : 0};

    invept(single ? INVALIDATE_SINGLE : INVALIDATE_ALL, &what);
}

/* The generation is read before the flush: a change after that read is seen as a difference the next time. */
static void flush_stage2(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);

    hw->s2_generation = __atomic_load_n(&v->config.stage2->generation, __ATOMIC_ACQUIRE);
    flush_ept(vmcs_read(VMCS_EPT_POINTER));
}

void vmx_tlb_flush(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);

    if (hw->loaded_cpu != percpu()->id) {
        hw->last_cpu = CPU_MAX; /* the next load flushes everything */
        return;
    }
    if (hw->s2_generation != READ_ONCE(v->config.stage2->generation)) {
        flush_stage2(v);
    }
    flush_vpid(hw->vpid);
}

void vmx_flush_all_of(struct vcpu *v)
{
    flush_stage2(v);
    flush_vpid(vmx_of(v)->vpid);
}

void vmx_flush_cpu(void)
{
    struct invalidation all = {0, 0};

    invept((vmx_caps.msrs.ept_vpid & VMX_EPT_INVEPT_ALL) != 0 ? INVALIDATE_ALL : INVALIDATE_SINGLE, &all);
    if ((vmx_caps.msrs.ept_vpid & VMX_EPT_INVVPID_ALL) != 0) {
        invvpid(INVALIDATE_ALL, &all);
    }
}
