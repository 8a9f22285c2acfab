/* Memory types as a guest programs them: PAT, and MTRRs that have no effect, as stage 2 decides. SDM 12.11, 12.12. */
#include "vcpu/x86_64/msr_memtype.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/policy.h"

#define MTRRCAP_VCNT 8U
#define MTRRCAP_FIX BIT(8)
#define MTRRCAP_WC BIT(10)
#define MTRR_TYPE_MASK GENMASK(7, 0)
#define MTRR_PHYSMASK_V BIT(11)
#define PAGE_OFFSET_MASK GENMASK(11, 0)

int x86_msr_read_mtrrcap(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    (void)msr;
    *value = MTRRCAP_VCNT | MTRRCAP_FIX | MTRRCAP_WC;
    return 0;
}

/* Is every byte of value a memory type of the set? SDM table 12-2, 12.12.2. */
static bool types_valid(u64 value, u32 set)
{
    for (u32 i = 0; i < 8; i++) {
        u64 type = (value >> (8 * i)) & MTRR_TYPE_MASK;
        if (type > MEMTYPE_UC_MINUS || (set & BIT32((u32)type)) == 0) {
            return false;
        }
    }
    return true;
}

/* One memory type and nothing above it. */
static bool type_valid(u64 value, u32 set)
{
    return (value & ~MTRR_TYPE_MASK) == 0 && types_valid(value, set);
}

#define MTRR_TYPES (BIT32(MEMTYPE_UC) | BIT32(MEMTYPE_WC) | BIT32(MEMTYPE_WT) | BIT32(MEMTYPE_WP) | BIT32(MEMTYPE_WB))
#define PAT_TYPES (MTRR_TYPES | BIT32(MEMTYPE_UC_MINUS))

int x86_msr_read_pat(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = x86_regs(v, X86_G_CR)->pat;
    return 0;
}

int x86_msr_write_pat(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    if (!types_valid(value, PAT_TYPES)) {
        return -E_GUEST;
    }
    x86_regs(v, X86_G_CR)->pat = value;
    x86_regs_changed(v, X86_G_CR);
    return 0;
}

static u64 *fixed_mtrr(struct vcpu *v, u32 msr)
{
    switch (msr) {
    case MSR_IA32_MTRR_FIX64K_00000: return &v->arch.mtrr.fixed[0];
    case MSR_IA32_MTRR_FIX16K_80000: return &v->arch.mtrr.fixed[1];
    case MSR_IA32_MTRR_FIX16K_A0000: return &v->arch.mtrr.fixed[2];
    default: return &v->arch.mtrr.fixed[3 + (msr - MSR_IA32_MTRR_FIX4K_C0000)];
    }
}

int x86_msr_read_mtrr_fixed(struct vcpu *v, u32 msr, u64 *value)
{
    *value = *fixed_mtrr(v, msr);
    return 0;
}

int x86_msr_write_mtrr_fixed(struct vcpu *v, u32 msr, u64 value)
{
    if (!types_valid(value, MTRR_TYPES)) {
        return -E_GUEST;
    }
    *fixed_mtrr(v, msr) = value;
    return 0;
}

int x86_msr_read_mtrr_var(struct vcpu *v, u32 msr, u64 *value)
{
    *value = v->arch.mtrr.var[msr - MSR_IA32_MTRR_PHYSBASE0];
    return 0;
}

/* Even numbers are bases (type and address), odd ones masks (valid bit and address). SDM 12.11.2.3. */
int x86_msr_write_mtrr_var(struct vcpu *v, u32 msr, u64 value)
{
    bool mask = (msr & 1) != 0;
    u64 low = value & PAGE_OFFSET_MASK;
    bool low_ok = mask ? (low & ~MTRR_PHYSMASK_V) == 0 : type_valid(low, MTRR_TYPES);

    if (!low_ok || (value & GENMASK(63, x86_guest_phys_bits())) != 0) {
        return -E_GUEST;
    }
    v->arch.mtrr.var[msr - MSR_IA32_MTRR_PHYSBASE0] = value;
    return 0;
}

int x86_msr_read_mtrr_def(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = v->arch.mtrr.def_type;
    return 0;
}

int x86_msr_write_mtrr_def(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    if (!type_valid(value & ~(MTRR_DEF_E | MTRR_DEF_FE), MTRR_TYPES)) {
        return -E_GUEST;
    }
    v->arch.mtrr.def_type = value;
    return 0;
}
