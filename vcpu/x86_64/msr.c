/* Model-specific registers as a guest sees them: one sorted table. What is not listed is #GP(0) and, once per MSR, a
 * log line. Answers are those of a CPU with the guest's CPUID. SDM Vol. 4; APM Vol. 2 appendix A. */
#include "kernel/base/log.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/msr_memtype.h"
#include "vcpu/x86_64/msr_speculation.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/pv.h"
#include "vcpu/x86_64/x86.h"

#define HWCR_TSC_FREQ_SEL BIT(24)
#define DE_CFG_LFENCE_SERIALIZING BIT(1)
#define HIGH_HALF GENMASK(63, 32)

enum vendor { ANY_CPU, INTEL, AMD };

struct msr_row {
    u32 first, last;
    u8 vendor;
    int (*read)(struct vcpu *v, u32 msr, u64 *value);  /* NULL: #GP */
    int (*write)(struct vcpu *v, u32 msr, u64 value);
};

/* --- values without anything behind them ------------------------------------------------------------------------ */

static int read_zero(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    (void)msr;
    *value = 0;
    return 0;
}

static int write_ignored(struct vcpu *v, u32 msr, u64 value)
{
    (void)v;
    (void)msr;
    (void)value;
    return 0;
}

static int write_zero_only(struct vcpu *v, u32 msr, u64 value)
{
    (void)v;
    (void)msr;
    return value == 0 ? 0 : -E_GUEST;
}

static int read_hwcr(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    (void)msr;
    *value = HWCR_TSC_FREQ_SEL; /* the TSC counts at the nominal rate */
    return 0;
}

static int read_de_cfg(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    (void)msr;
    *value = DE_CFG_LFENCE_SERIALIZING;
    return 0;
}

/* --- time, APIC base, MISC_ENABLE ------------------------------------------------------------------------------- */

static int read_tsc(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = hostcpu_tsc() + v->arch.tsc_offset;
    return 0;
}

/* IA32_TSC_ADJUST is the sum of all moves since reset (SDM Vol. 3 18.17.3 "Time-Stamp Counter Adjustment"). */
static void move_tsc(struct vcpu *v, u64 by)
{
    v->arch.tsc_offset += by;
    v->arch.tsc_adjust += by;
    v->backend->set_time_offset(v, v->arch.tsc_offset);
    x86_pv_tsc_moved(v);
}

static int write_tsc(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    move_tsc(v, value - hostcpu_tsc() - v->arch.tsc_offset);
    return 0;
}

static int read_tsc_adjust(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = v->arch.tsc_adjust;
    return 0;
}

static int write_tsc_adjust(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    move_tsc(v, value - v->arch.tsc_adjust);
    return 0;
}

/* The interrupt chip's own registers. */
static int read_chip(struct vcpu *v, u32 msr, u64 *value)
{
    return x86_chip_sysreg(v, msr, false, value);
}

static int write_chip(struct vcpu *v, u32 msr, u64 value)
{
    return x86_chip_sysreg(v, msr, true, &value);
}

static int read_misc_enable(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = v->arch.misc_enable;
    return 0;
}

/* Only the fast-string bit can be turned; the others say what this CPU has not. */
static int write_misc_enable(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    v->arch.misc_enable = (v->arch.misc_enable & ~MISC_ENABLE_FAST_STRING) | (value & MISC_ENABLE_FAST_STRING);
    return 0;
}

/* --- registers that the CPU has: group SYS, segment bases, EFER, TSC_AUX ---------------------------------------- */

static u64 *sys_register(struct vcpu *v, u32 msr)
{
    struct vcpu_arch *a = x86_regs(v, X86_G_SYS);

    switch (msr) {
    case MSR_IA32_SYSENTER_CS: return &a->sysenter_cs;
    case MSR_IA32_SYSENTER_ESP: return &a->sysenter_esp;
    case MSR_IA32_SYSENTER_EIP: return &a->sysenter_eip;
    case MSR_IA32_STAR: return &a->star;
    case MSR_IA32_LSTAR: return &a->lstar;
    case MSR_IA32_CSTAR: return &a->cstar;
    case MSR_IA32_FMASK: return &a->sfmask;
    default: return &a->kernel_gs_base;
    }
}

static int read_sys(struct vcpu *v, u32 msr, u64 *value)
{
    *value = *sys_register(v, msr);
    return 0;
}

static int write_sys(struct vcpu *v, u32 msr, u64 value)
{
    *sys_register(v, msr) = value;
    x86_regs_changed(v, X86_G_SYS);
    return 0;
}

static int write_sys_address(struct vcpu *v, u32 msr, u64 value)
{
    return x86_is_canonical(value) ? write_sys(v, msr, value) : -E_GUEST;
}

static int write_sys_low(struct vcpu *v, u32 msr, u64 value)
{
    return (value & HIGH_HALF) == 0 ? write_sys(v, msr, value) : -E_GUEST;
}

static int read_seg_base(struct vcpu *v, u32 msr, u64 *value)
{
    *value = x86_regs(v, X86_G_SEG)->seg[msr == MSR_IA32_FS_BASE ? X86_FS : X86_GS].base;
    return 0;
}

static int write_seg_base(struct vcpu *v, u32 msr, u64 value)
{
    if (!x86_is_canonical(value)) {
        return -E_GUEST;
    }
    x86_regs(v, X86_G_SEG)->seg[msr == MSR_IA32_FS_BASE ? X86_FS : X86_GS].base = value;
    x86_regs_changed(v, X86_G_SEG);
    return 0;
}

static int read_efer(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    *value = x86_regs(v, X86_G_CR)->efer;
    return 0;
}

static int write_efer(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    return x86_efer_write(v, value);
}

static bool has_tsc_aux(void)
{
    return (x86_cpuid_policy(CPUID_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_RDTSCP) != 0;
}

static int read_tsc_aux(struct vcpu *v, u32 msr, u64 *value)
{
    (void)msr;
    if (!has_tsc_aux()) {
        return -E_GUEST;
    }
    *value = v->arch.tsc_aux;
    return 0;
}

static int write_tsc_aux(struct vcpu *v, u32 msr, u64 value)
{
    (void)msr;
    if (!has_tsc_aux() || (value & HIGH_HALF) != 0) {
        return -E_GUEST;
    }
    v->arch.tsc_aux = value;
    hostcpu_set_tsc_aux(value);
    return 0;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

static const struct msr_row rows[] = {
    {MSR_IA32_TIME_STAMP_COUNTER, MSR_IA32_TIME_STAMP_COUNTER, ANY_CPU, read_tsc, write_tsc},
    {MSR_KVM_WALL_CLOCK_OLD, MSR_KVM_WALL_CLOCK_OLD, ANY_CPU, x86_pv_read, x86_pv_write_wall},
    {MSR_KVM_SYSTEM_TIME_OLD, MSR_KVM_SYSTEM_TIME_OLD, ANY_CPU, x86_pv_read, x86_pv_write_clock},
    {MSR_IA32_PLATFORM_ID, MSR_IA32_PLATFORM_ID, INTEL, read_zero, NULL},
    {MSR_IA32_APIC_BASE, MSR_IA32_APIC_BASE, ANY_CPU, read_chip, write_chip},
    {MSR_IA32_TSC_ADJUST, MSR_IA32_TSC_ADJUST, ANY_CPU, read_tsc_adjust, write_tsc_adjust},
    {MSR_IA32_PRED_CMD, MSR_IA32_PRED_CMD, ANY_CPU, NULL, x86_msr_write_pred_cmd},
    {MSR_IA32_BIOS_SIGN_ID, MSR_IA32_BIOS_SIGN_ID, ANY_CPU, read_zero, write_ignored},
    {MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, INTEL, read_zero, NULL},
    {MSR_IA32_MTRRCAP, MSR_IA32_MTRRCAP, ANY_CPU, x86_msr_read_mtrrcap, NULL},
    {MSR_IA32_ARCH_CAPABILITIES, MSR_IA32_ARCH_CAPABILITIES, ANY_CPU, x86_msr_read_arch_capabilities, NULL},
    {MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_CS, ANY_CPU, read_sys, write_sys_low},
    {MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, ANY_CPU, read_sys, write_sys_address},
    {MSR_IA32_MCG_CAP, MSR_IA32_MCG_CAP, ANY_CPU, read_zero, NULL},
    {MSR_IA32_MCG_STATUS, MSR_IA32_MCG_STATUS, ANY_CPU, read_zero, write_zero_only},
    {MSR_IA32_MISC_ENABLE, MSR_IA32_MISC_ENABLE, INTEL, read_misc_enable, write_misc_enable},
    {MSR_IA32_DEBUGCTL, MSR_IA32_DEBUGCTL, ANY_CPU, read_zero, write_zero_only},
    {MSR_IA32_MTRR_PHYSBASE0, MSR_IA32_MTRR_PHYSMASK7, ANY_CPU, x86_msr_read_mtrr_var, x86_msr_write_mtrr_var},
    {MSR_IA32_MTRR_FIX64K_00000, MSR_IA32_MTRR_FIX64K_00000, ANY_CPU, x86_msr_read_mtrr_fixed,
     x86_msr_write_mtrr_fixed},
    {MSR_IA32_MTRR_FIX16K_80000, MSR_IA32_MTRR_FIX16K_A0000, ANY_CPU, x86_msr_read_mtrr_fixed,
     x86_msr_write_mtrr_fixed},
    {MSR_IA32_MTRR_FIX4K_C0000, MSR_IA32_MTRR_FIX4K_F8000, ANY_CPU, x86_msr_read_mtrr_fixed, x86_msr_write_mtrr_fixed},
    {MSR_IA32_PAT, MSR_IA32_PAT, ANY_CPU, x86_msr_read_pat, x86_msr_write_pat},
    {MSR_IA32_MTRR_DEF_TYPE, MSR_IA32_MTRR_DEF_TYPE, ANY_CPU, x86_msr_read_mtrr_def, x86_msr_write_mtrr_def},
    {MSR_IA32_TSC_DEADLINE, MSR_IA32_TSC_DEADLINE, ANY_CPU, read_chip, write_chip},
    {MSR_IA32_X2APIC_FIRST, MSR_IA32_X2APIC_LAST, ANY_CPU, read_chip, write_chip},
    {MSR_KVM_WALL_CLOCK, MSR_KVM_WALL_CLOCK, ANY_CPU, x86_pv_read, x86_pv_write_wall},
    {MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME, ANY_CPU, x86_pv_read, x86_pv_write_clock},
    {MSR_KVM_STEAL_TIME, MSR_KVM_STEAL_TIME, ANY_CPU, x86_pv_read_steal, x86_pv_write_steal},
    {MSR_KVM_PV_EOI, MSR_KVM_PV_EOI, ANY_CPU, x86_pv_read_eoi, x86_pv_write_eoi},
    {MSR_IA32_EFER, MSR_IA32_EFER, ANY_CPU, read_efer, write_efer},
    {MSR_IA32_STAR, MSR_IA32_STAR, ANY_CPU, read_sys, write_sys},
    {MSR_IA32_LSTAR, MSR_IA32_CSTAR, ANY_CPU, read_sys, write_sys_address},
    {MSR_IA32_FMASK, MSR_IA32_FMASK, ANY_CPU, read_sys, write_sys_low},
    {MSR_IA32_FS_BASE, MSR_IA32_GS_BASE, ANY_CPU, read_seg_base, write_seg_base},
    {MSR_IA32_KERNEL_GS_BASE, MSR_IA32_KERNEL_GS_BASE, ANY_CPU, read_sys, write_sys_address},
    {MSR_IA32_TSC_AUX, MSR_IA32_TSC_AUX, ANY_CPU, read_tsc_aux, write_tsc_aux},
    {MSR_PERF_EVTSEL0, MSR_PERF_CTR3, AMD, read_zero, write_ignored},
    {MSR_SYSCFG, MSR_SYSCFG, AMD, read_zero, write_ignored},
    {MSR_HWCR, MSR_HWCR, AMD, read_hwcr, write_ignored},
    {MSR_NB_CFG, MSR_NB_CFG, AMD, read_zero, write_ignored},
    {MSR_INT_PENDING, MSR_INT_PENDING, AMD, read_zero, write_ignored},
    {MSR_DE_CFG, MSR_DE_CFG, AMD, read_de_cfg, write_ignored},
};

static bool vendor_matches(u8 vendor)
{
    return vendor == ANY_CPU || (vendor == AMD) == x86_cpuid_is_amd();
}

/* The row that msr may be in, by binary search. */
static __attribute__((noinline)) u32 search(u32 msr)
{
    u32 low = 0, high = ARRAY_SIZE(rows) - 1;

    while (low < high) {
        u32 middle = (low + high) / 2;
        if (msr > rows[middle].last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static inline bool row_has(const struct msr_row *row, u32 msr)
{
    return msr - row->first <= row->last - row->first;
}

/* Where an MSR with this hash was found last. Any value is good: it is checked, and shared by all CPUs without order. */
#define HINTS 64U
static u8 hints[HINTS];
_Static_assert(ARRAY_SIZE(rows) <= UINT8_MAX, "a hint is a row's number");

static inline const struct msr_row *find(u32 msr)
{
    u8 *hint = &hints[msr % HINTS];
    const struct msr_row *row = &rows[READ_ONCE(*hint)];

    if (!row_has(row, msr)) {
        u32 found = search(msr);
        row = &rows[found];
        if (!row_has(row, msr)) {
            return NULL;
        }
        WRITE_ONCE(*hint, (u8)found);
    }
    return vendor_matches(row->vendor) ? row : NULL;
}

/* One line per MSR and vCPU, and only for the first few: a guest that tries them all prints no more. */
static int refuse_unlisted(struct vcpu *v, u32 msr, const char *access)
{
    struct vcpu_arch *a = &v->arch;

    for (u32 i = 0; i < a->warned_msrs; i++) {
        if (a->warned_list[i] == msr) {
            return -E_GUEST;
        }
    }
    if (a->warned_msrs < ARRAY_SIZE(a->warned_list)) {
        a->warned_list[a->warned_msrs++] = msr;
        log_warn("vm-id=%u vcpu=%u ev=msr-refused msr=0x%x access=%s rip=0x%llx", v->config.vm_id, v->config.id, msr,
                 access, (unsigned long long)a->rip);
    }
    return -E_GUEST;
}

int x86_msr_read(struct vcpu *v, u32 msr, u64 *value)
{
    const struct msr_row *row = find(msr);

    if (row == NULL || row->read == NULL) {
        return refuse_unlisted(v, msr, "read");
    }
    return row->read(v, msr, value);
}

int x86_msr_write(struct vcpu *v, u32 msr, u64 value)
{
    const struct msr_row *row = find(msr);

    if (row == NULL || row->write == NULL) {
        return refuse_unlisted(v, msr, "write");
    }
    return row->write(v, msr, value);
}

bool x86_msr_passthrough(u32 msr, bool write)
{
    switch (msr) {
    case MSR_IA32_FS_BASE:
    case MSR_IA32_GS_BASE:
    case MSR_IA32_KERNEL_GS_BASE:
        return true; /* written at each task switch, and checked by hardware as the table would */
    case MSR_IA32_SYSENTER_CS:
    case MSR_IA32_SYSENTER_ESP:
    case MSR_IA32_SYSENTER_EIP:
    case MSR_IA32_STAR:
    case MSR_IA32_LSTAR:
    case MSR_IA32_CSTAR:
    case MSR_IA32_FMASK:
        return !write; /* written once; QEMU would not check the value */
    default:
        return false;
    }
}
