/* Instructions that policy answers: CPUID, MSRs, control and debug registers, the TSC. */
#include "vcpu/x86_64/exit_insn.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/policy.h"

#define LMSW_CHANGES GENMASK(3, 1)
#define DR_RESERVED_FIRST 4U /* DR4 and DR5 are DR6 and DR7, or #UD with CR4.DE */
#define DR6_WRITABLE (DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3 | DR6_BD | DR6_BS | DR6_BT)
#define DR7_WRITABLE (GENMASK(31, 16) | DR7_GD | GENMASK(9, 0))

/* After an instruction that the policy took (0) or refused (-E_GUEST: #GP). */
static inline void end(struct vcpu *v, const struct x86_exit *xe, int error)
{
    if (error != 0) {
        x86_raise_gp(v);
    } else {
        x86_advance(v, x86_exit_len(v, xe));
    }
}

static void set_edx_eax(struct vcpu *v, u64 value)
{
    v->arch.gpr[X86_RAX] = value & LOW_HALF;
    v->arch.gpr[X86_RDX] = value >> 32;
}

static u64 get_edx_eax(const struct vcpu *v)
{
    return (v->arch.gpr[X86_RAX] & LOW_HALF) | v->arch.gpr[X86_RDX] << 32;
}

static inline void set_cpuid(u64 *gpr, const struct x86_cpuid *r)
{
    gpr[X86_RAX] = r->eax;
    gpr[X86_RBX] = r->ebx;
    gpr[X86_RCX] = r->ecx;
    gpr[X86_RDX] = r->edx;
}

/* Leaves with something of the vCPU's own, or lengths to decode. Out of line, so that the others need no stack
 * frame. */
static __attribute__((noinline)) void cpuid_slow(struct vcpu *v, const struct x86_exit *xe)
{
    u64 *gpr = v->arch.gpr;
    struct x86_cpuid r;

    x86_cpuid_guest(v, (u32)gpr[X86_RAX], (u32)gpr[X86_RCX], &r);
    set_cpuid(gpr, &r);
    x86_advance(v, x86_exit_len(v, xe));
}

void x86_exit_cpuid(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    const struct x86_cpuid *common = x86_cpuid_common((u32)v->arch.gpr[X86_RAX]);

    (void)exit;
    if (common == NULL || xe->insn_len == 0) {
        cpuid_slow(v, xe);
        return;
    }
    set_cpuid(v->arch.gpr, common);
    x86_advance(v, xe->insn_len);
}

/* The interrupt chip's registers are what a busy guest reads and writes: they go past the table. */
static inline bool is_chip(u32 msr)
{
    if (msr - MSR_IA32_X2APIC_FIRST <= MSR_IA32_X2APIC_LAST - MSR_IA32_X2APIC_FIRST) {
        return true;
    }
    return msr == MSR_IA32_TSC_DEADLINE || msr == MSR_IA32_APIC_BASE;
}

NO_STACK_GUARD void x86_exit_rdmsr(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    u32 msr = (u32)v->arch.gpr[X86_RCX];
    u64 value = 0;
    int error = is_chip(msr) ? x86_chip_sysreg(v, msr, false, &value) : x86_msr_read(v, msr, &value);

    (void)exit;
    if (error == 0) {
        set_edx_eax(v, value);
    }
    end(v, xe, error);
}

NO_STACK_GUARD void x86_exit_wrmsr(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    u32 msr = (u32)v->arch.gpr[X86_RCX];
    u64 value = get_edx_eax(v);

    (void)exit;
    if (is_chip(msr)) {
        end(v, xe, x86_chip_sysreg(v, msr, true, &value));
    } else {
        end(v, xe, msr == MSR_IA32_EFER ? x86_efer_write(v, value) : x86_msr_write(v, msr, value));
    }
}

/* CPL and CR4.OSXSAVE come before the exit on Intel, not everywhere. */
void x86_exit_xsetbv(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_CR | X86_G_SEG);

    (void)exit;
    if ((a->cr4 & CR4_OSXSAVE) == 0) {
        x86_raise_ud(v);
        return;
    }
    end(v, xe, a->cpl != 0 ? -E_GUEST : x86_xcr0_write(v, (u32)a->gpr[X86_RCX], get_edx_eax(v)));
}

/* --- control registers ------------------------------------------------------------------------------------------ */

static int cr_write(struct vcpu *v, u8 cr, u64 value)
{
    switch (cr) {
    case 0: return x86_cr0_write(v, value);
    case 3: return x86_cr3_write(v, value);
    case 4: return x86_cr4_write(v, value);
    case 8: return x86_cr8_write(v, value);
    default:
        x86_regs(v, X86_G_CR)->cr2 = value;
        x86_regs_changed(v, X86_G_CR);
        return 0;
    }
}

static u64 cr_read(struct vcpu *v, u8 cr)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_CR);

    switch (cr) {
    case 0: return a->cr0;
    case 3: return a->cr3;
    case 4: return a->cr4;
    case 8: return x86_cr8_read(v);
    default: return a->cr2;
    }
}

/* MOV to and from control registers is 64 bits wide in 64-bit code, else 32. */
static u64 mov_mask(struct vcpu *v)
{
    return x86_code_bits(v) == 64 ? ~0ULL : LOW_HALF;
}

static int cr_access(struct vcpu *v, const struct x86_exit *xe)
{
    u64 cr0 = x86_regs(v, X86_G_CR)->cr0;
    u64 lmsw = xe->cr.lmsw | (cr0 & CR0_PE); /* LMSW cannot clear PE */

    switch ((enum x86_cr_kind)xe->cr.kind) {
    case X86_CR_CLTS: return x86_cr0_write(v, cr0 & ~CR0_TS);
    case X86_CR_LMSW: return x86_cr0_write(v, (cr0 & ~LMSW_CHANGES) | (lmsw & (LMSW_CHANGES | CR0_PE)));
    case X86_CR_SMSW: v->arch.gpr[xe->cr.gpr % X86_GPRS] = cr0 & LOW_HALF; return 0;
    case X86_CR_MOV: break;
    }
    if (xe->cr.write) {
        return cr_write(v, xe->cr.cr, v->arch.gpr[xe->cr.gpr % X86_GPRS] & mov_mask(v));
    }
    v->arch.gpr[xe->cr.gpr % X86_GPRS] = cr_read(v, xe->cr.cr) & mov_mask(v);
    return 0;
}

/* Only CR0, 2, 3, 4, 8 exist. */
static bool cr_exists(u8 cr)
{
    return cr == 0 || (cr >= 2 && cr <= 4) || cr == 8;
}

/* Fill in what the hardware left out. Returns 0; -E_GUEST (an exception is queued); -E_NOSYS. */
static int complete(struct vcpu *v, struct x86_exit *xe, bool decoded)
{
    return decoded && xe->insn_len != 0 ? 0 : x86_decode_cr_dr(v, xe);
}

/* Report a failed complete(); an exception is already on its way with -E_GUEST. */
static void incomplete(const struct x86_exit *xe, struct vcpu_exit *exit, int error)
{
    if (error != -E_GUEST) {
        x86_exit_unhandled(xe, exit, "control or debug register access not understood");
    }
}

void x86_exit_cr(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    struct x86_exit full = *xe;
    int error = complete(v, &full, xe->cr.decoded);

    if (error != 0) {
        incomplete(xe, exit, error);
    } else if (full.cr.kind == X86_CR_SMSW && full.cr.gpr >= X86_GPRS) {
        if (vcpu_emulate(v) != 0) {
            x86_exit_unhandled(xe, exit, "SMSW");
        }
    } else if (!cr_exists(full.cr.cr)) {
        x86_raise_ud(v);
    } else {
        end(v, &full, cr_access(v, &full));
    }
}

/* --- debug registers -------------------------------------------------------------------------------------------- */

/* DR4 and DR5 are DR6 and DR7 here. */
static u8 dr_of(u8 dr)
{
    return dr == 4 || dr == 5 ? (u8)(dr + 2) : dr;
}

static void dr_write(struct vcpu *v, u8 dr, u64 value)
{
    struct vcpu_arch *a = x86_regs(v, X86_G_DR);

    if (dr == 6) {
        value = (value & DR6_WRITABLE) | DR6_FIXED;
    } else if (dr == 7) {
        value = (value & DR7_WRITABLE) | DR7_FIXED;
    }
    *x86_guest_dr(a, dr) = value;
    if (!a->debug.owns) {
        x86_regs_changed(v, X86_G_DR);
    }
}

/* DR7.GD: SDM 18.2.2 "Debug Status Register (DR6)", BD. A CPU that knows of the guest's raises its #DB before it exits. */
static bool detects_access(struct vcpu *v)
{
    u64 *dr7 = x86_guest_dr(x86_regs(v, X86_G_DR), 7);

    if ((*dr7 & DR7_GD) == 0) {
        return false;
    }
    *dr7 &= ~DR7_GD;
    x86_dr6_add(v, DR6_BD);
    x86_raise(v, VECTOR_DB, false, 0);
    return true;
}

/* SDM 18.2: DR4 and DR5 need CR4.DE clear; the upper half of DR6 and DR7 is reserved. A user's access is refused, whatever
 * the CPU looks at first. */
static void dr_access(struct vcpu *v, const struct x86_exit *xe)
{
    u64 value = v->arch.gpr[xe->dr.gpr % X86_GPRS] & mov_mask(v);
    bool alias = xe->dr.dr == 4 || xe->dr.dr == 5;

    if (x86_cpl(v) != 0) {
        x86_raise_gp(v);
        return;
    }
    if (xe->dr.dr > 7 || (alias && (x86_regs(v, X86_G_CR)->cr4 & CR4_DE) != 0)) {
        x86_raise_ud(v);
        return;
    }
    if (detects_access(v)) {
        return;
    }
    if (xe->dr.write && xe->dr.dr >= DR_RESERVED_FIRST && (value & ~LOW_HALF) != 0) {
        x86_raise_gp(v);
        return;
    }
    if (xe->dr.write) {
        dr_write(v, dr_of(xe->dr.dr), value);
    } else {
        v->arch.gpr[xe->dr.gpr % X86_GPRS] = *x86_guest_dr(x86_regs(v, X86_G_DR), dr_of(xe->dr.dr)) & mov_mask(v);
    }
    x86_advance(v, x86_exit_len(v, xe));
}

void x86_exit_dr(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    struct x86_exit full = *xe;
    int error = complete(v, &full, xe->dr.decoded);

    if (error != 0) {
        incomplete(xe, exit, error);
    } else {
        dr_access(v, &full);
    }
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

void x86_exit_invlpg(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)exit;
    v->backend->tlb_flush(v);
    x86_advance(v, x86_exit_len(v, xe));
}

void x86_exit_rdtsc(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)exit;
    set_edx_eax(v, hostcpu_tsc() + v->arch.tsc_offset);
    x86_advance(v, x86_exit_len(v, xe));
}

void x86_exit_rdtscp(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    x86_exit_rdtsc(v, xe, exit);
    v->arch.gpr[X86_RCX] = v->arch.tsc_aux;
}

/* INVD and WBINVD: the guest has no cache of its own, and memory is coherent. */
void x86_exit_skip(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)exit;
    x86_advance(v, x86_exit_len(v, xe));
}

void x86_exit_gp(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)xe;
    (void)exit;
    x86_raise_gp(v);
}

void x86_exit_ud(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)xe;
    (void)exit;
    x86_raise_ud(v);
}
