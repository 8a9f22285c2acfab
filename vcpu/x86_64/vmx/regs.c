/* Register groups between v->arch and the VMCS (or, for the MSRs that VMX does not switch, the CPU itself). */
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/vmx/core.h"
#include "vcpu/x86_64/vmx/cr.h"
#include "vcpu/x86_64/vmx/internal.h"

static void flush_segments(struct vcpu *v)
{
    for (unsigned i = 0; i < X86_SEGS; i++) {
        const struct x86_seg *seg = &v->arch.seg[i];
        vmcs_write(VMCS_SEG(VMCS_GUEST_ES_SELECTOR, i), seg->selector);
        vmcs_write(VMCS_SEG(VMCS_GUEST_ES_LIMIT, i), seg->limit);
        vmcs_write(VMCS_SEG(VMCS_GUEST_ES_ACCESS, i), seg->attr);
        vmcs_write(VMCS_SEG(VMCS_GUEST_ES_BASE, i), seg->base);
    }
}

static void fetch_segments(struct vcpu *v)
{
    for (unsigned i = 0; i < X86_SEGS; i++) {
        struct x86_seg *seg = &v->arch.seg[i];
        seg->selector = (u16)vmcs_read(VMCS_SEG(VMCS_GUEST_ES_SELECTOR, i));
        seg->limit = vmcs_read32(VMCS_SEG(VMCS_GUEST_ES_LIMIT, i));
        seg->attr = vmcs_read32(VMCS_SEG(VMCS_GUEST_ES_ACCESS, i));
        seg->base = vmcs_read(VMCS_SEG(VMCS_GUEST_ES_BASE, i));
    }
    v->arch.cpl = (u8)FIELD_GET(SEG_DPL, v->arch.seg[X86_SS].attr);
}

static void flush_tables(struct vcpu *v)
{
    vmcs_write(VMCS_GUEST_GDTR_BASE, v->arch.gdtr.base);
    vmcs_write(VMCS_GUEST_GDTR_LIMIT, v->arch.gdtr.limit);
    vmcs_write(VMCS_GUEST_IDTR_BASE, v->arch.idtr.base);
    vmcs_write(VMCS_GUEST_IDTR_LIMIT, v->arch.idtr.limit);
}

static void fetch_tables(struct vcpu *v)
{
    v->arch.gdtr.base = vmcs_read(VMCS_GUEST_GDTR_BASE);
    v->arch.gdtr.limit = vmcs_read32(VMCS_GUEST_GDTR_LIMIT);
    v->arch.idtr.base = vmcs_read(VMCS_GUEST_IDTR_BASE);
    v->arch.idtr.limit = vmcs_read32(VMCS_GUEST_IDTR_LIMIT);
}

/* With EPT the CPU takes the four PDPTEs of a PAE guest from the VMCS at the entry (SDM 27.3.2.4), and leaves there at the exit
 * what it has then (28.3.1): memory does not count until a control register is written. */
static void flush_pdptes(struct vcpu_arch *arch)
{
    for (unsigned i = 0; i < ARRAY_SIZE(arch->pdpte); i++) {
        vmcs_write((enum vmcs_field)(VMCS_GUEST_PDPTE0 + 2 * i), arch->pdpte[i]);
    }
    arch->pdptes_loaded = false;
}

static void flush_entry_mode(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);
    u32 ia32e = VMX_CTL(ENTRY, IA32E_GUEST);
    u32 entry = (v->arch.efer & EFER_LMA) != 0 ? hw->entry | ia32e : hw->entry & ~ia32e;

    if (entry != hw->entry) {
        hw->entry = entry;
        vmcs_write(VMCS_ENTRY_CONTROLS, entry);
    }
}

/* CD and NW stay out of hardware: a guest that turns caches off would only slow its host down. Bits that VMX wants set
 * (NE, VMXE) are; one that it wants clear is the policy's mistake and makes the entry fail. */
static void flush_control(struct vcpu *v)
{
    struct vcpu_arch *arch = &v->arch;
    const struct vmx_msrs *msrs = &vmx_caps.msrs;
    u64 cr0 = arch->cr0 & ~(CR0_CD | CR0_NW);

    vmcs_write(VMCS_GUEST_CR0, cr0 | (msrs->cr0_fixed0 & ~CR0_UNRESTRICTED));
    vmcs_write(VMCS_CR0_SHADOW, arch->cr0);
    vmcs_write(VMCS_GUEST_CR3, arch->cr3);
    vmcs_write(VMCS_GUEST_CR4, arch->cr4 | msrs->cr4_fixed0);
    vmcs_write(VMCS_CR4_SHADOW, arch->cr4);
    vmcs_write(VMCS_GUEST_EFER, arch->efer);
    vmcs_write(VMCS_GUEST_PAT, arch->pat);
    flush_entry_mode(v);
    if (arch->pdptes_loaded) {
        flush_pdptes(arch);
    }
}

/* Bits that the guest does not own, and EFER, are as v->arch has them: they change only through an exit. */
static void fetch_control(struct vcpu *v)
{
    struct vcpu_arch *arch = &v->arch;
    u64 own0 = vmx_of(v)->cr0_owned;
    u64 own4 = vmx_of(v)->cr4_owned;

    arch->cr0 = (arch->cr0 & ~own0) | (vmcs_read(VMCS_GUEST_CR0) & own0);
    arch->cr3 = vmcs_read(VMCS_GUEST_CR3);
    arch->cr4 = (arch->cr4 & ~own4) | (vmcs_read(VMCS_GUEST_CR4) & own4);
    arch->pat = vmcs_read(VMCS_GUEST_PAT);
}

static void flush_sys(struct vcpu *v)
{
    const struct vcpu_arch *arch = &v->arch;

    vmcs_write(VMCS_GUEST_SYSENTER_CS, arch->sysenter_cs);
    vmcs_write(VMCS_GUEST_SYSENTER_ESP, arch->sysenter_esp);
    vmcs_write(VMCS_GUEST_SYSENTER_EIP, arch->sysenter_eip);
    wrmsr(MSR_IA32_STAR, arch->star);
    wrmsr(MSR_IA32_LSTAR, arch->lstar);
    wrmsr(MSR_IA32_CSTAR, arch->cstar);
    wrmsr(MSR_IA32_FMASK, arch->sfmask);
    wrmsr(MSR_IA32_KERNEL_GS_BASE, arch->kernel_gs_base);
}

static void fetch_sys(struct vcpu *v)
{
    struct vcpu_arch *arch = &v->arch;

    arch->sysenter_cs = vmcs_read(VMCS_GUEST_SYSENTER_CS);
    arch->sysenter_esp = vmcs_read(VMCS_GUEST_SYSENTER_ESP);
    arch->sysenter_eip = vmcs_read(VMCS_GUEST_SYSENTER_EIP);
    arch->star = rdmsr(MSR_IA32_STAR);
    arch->lstar = rdmsr(MSR_IA32_LSTAR);
    arch->cstar = rdmsr(MSR_IA32_CSTAR);
    arch->sfmask = rdmsr(MSR_IA32_FMASK);
    arch->kernel_gs_base = rdmsr(MSR_IA32_KERNEL_GS_BASE);
}

static void flush_debug(struct vcpu *v)
{
    vmcs_write(VMCS_GUEST_DR7, v->arch.dr7);
}

static void fetch_debug(struct vcpu *v)
{
    v->arch.dr6 = read_dr6(); /* the CPU's, while the vCPU is loaded */
    v->arch.dr7 = vmcs_read(VMCS_GUEST_DR7);
}

/* EFER is always v->arch's. */
static void fetch_mode(struct vcpu *v)
{
    u32 cs = vmcs_read32(VMCS_SEG(VMCS_GUEST_ES_ACCESS, X86_CS));
    bool is_long = (v->arch.efer & EFER_LMA) != 0 && (cs & SEG_L) != 0;

    v->arch.cpl = (u8)FIELD_GET(SEG_DPL, vmcs_read32(VMCS_SEG(VMCS_GUEST_ES_ACCESS, X86_SS)));
    v->arch.code_bits = is_long ? 64 : (cs & SEG_DB) != 0 ? 32 : 16;
}

struct group {
    u32 bit;
    void (*flush)(struct vcpu *v);
    void (*fetch)(struct vcpu *v);
};

static const struct group groups_beyond_core[] = {
    {X86_G_SEG, flush_segments, fetch_segments}, {X86_G_DT, flush_tables, fetch_tables},
    {X86_G_CR, flush_control, fetch_control},    {X86_G_DR, flush_debug, fetch_debug},
    {X86_G_SYS, flush_sys, fetch_sys},
};

void vmx_regs_flush(struct vcpu *v)
{
    u32 dirty = v->arch.dirty;

    v->arch.dirty = 0;
    if ((dirty & X86_G_CORE) != 0) {
        vmx_core_flush(v, vmx_of(v));
    }
    for (size_t i = 0; i < ARRAY_SIZE(groups_beyond_core); i++) {
        if ((dirty & groups_beyond_core[i].bit) != 0) {
            groups_beyond_core[i].flush(v);
        }
    }
}

/* Out of line: most exits want CR at most. */
static __attribute__((noinline)) void fetch_others(struct vcpu *v, u32 groups)
{
    if ((groups & X86_G_CORE) != 0) {
        vmx_core_fetch(v, vmx_of(v));
    }
    for (size_t i = 0; i < ARRAY_SIZE(groups_beyond_core); i++) {
        if ((groups & groups_beyond_core[i].bit) != 0) {
            groups_beyond_core[i].fetch(v);
        }
    }
}

void vmx_regs_fetch(struct vcpu *v, u32 groups)
{
    v->arch.valid |= groups;
    if ((groups & X86_G_CR) != 0) {
        fetch_control(v);
    }
    if ((groups & X86_G_MODE) != 0) {
        fetch_mode(v);
    }
    if ((groups & ~(X86_G_CR | X86_G_MODE)) != 0) {
        fetch_others(v, groups & ~X86_G_CR);
    }
}
