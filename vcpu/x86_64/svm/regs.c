/* Register groups between v->arch and the VMCB's save area: APM Vol. 2 15.5, appendix B table B-2. */
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/svm/internal.h"

#define ATTR_LOW_MASK GENMASK(7, 0)    /* of x86_seg.attr: as in the VMCB */
#define ATTR_HIGH_MASK GENMASK(15, 12) /* of x86_seg.attr: VMCB_SEG_HIGH_MASK there */

_Static_assert((int)X86_ES == (int)VMCB_ES && (int)X86_CS == (int)VMCB_CS && (int)X86_SS == (int)VMCB_SS &&
                   (int)X86_DS == (int)VMCB_DS && (int)X86_FS == (int)VMCB_FS && (int)X86_GS == (int)VMCB_GS,
               "the same six in the same order");

static void seg_flush(struct vmcb_seg *to, const struct x86_seg *from)
{
    u64 attrib = FIELD_PREP(VMCB_SEG_LOW_MASK, FIELD_GET(ATTR_LOW_MASK, from->attr)) |
                 FIELD_PREP(VMCB_SEG_HIGH_MASK, FIELD_GET(ATTR_HIGH_MASK, from->attr));

    if ((from->attr & SEG_UNUSABLE) != 0) {
        attrib &= ~(u64)VMCB_SEG_P;
    }
    *to = (struct vmcb_seg){from->selector, (u16)attrib, from->limit, from->base};
}

/* SVM has no "unusable": only a null selector leaves P clear in a register. */
static void seg_fetch(struct x86_seg *to, const struct vmcb_seg *from)
{
    u64 attr = FIELD_PREP(ATTR_LOW_MASK, FIELD_GET(VMCB_SEG_LOW_MASK, from->attrib)) |
               FIELD_PREP(ATTR_HIGH_MASK, FIELD_GET(VMCB_SEG_HIGH_MASK, from->attrib));

    if ((from->attrib & VMCB_SEG_P) == 0) {
        attr |= SEG_UNUSABLE;
    }
    *to = (struct x86_seg){from->selector, (u32)attr, from->limit, from->base};
}

/* SS.DPL is the CPL everywhere in v->arch; CPUs differ in which of the VMCB's two fields they believe. */
static void flush_seg(struct vcpu_arch *arch, struct vmcb_save *save)
{
    for (unsigned i = X86_ES; i <= X86_GS; i++) {
        seg_flush(&save->seg[i], &arch->seg[i]);
    }
    seg_flush(&save->seg[VMCB_LDTR], &arch->seg[X86_LDTR]);
    seg_flush(&save->seg[VMCB_TR], &arch->seg[X86_TR]);
    if (!svm_features.tr_busy) {
        save->seg[VMCB_TR].attrib &= (u16)~TSS_BUSY;
    }
    arch->cpl = (u8)FIELD_GET(SEG_DPL, arch->seg[X86_SS].attr);
    save->cpl = arch->cpl;
}

static void fetch_seg(struct vcpu_arch *arch, struct vmcb_save *save)
{
    for (unsigned i = X86_ES; i <= X86_GS; i++) {
        seg_fetch(&arch->seg[i], &save->seg[i]);
    }
    seg_fetch(&arch->seg[X86_LDTR], &save->seg[VMCB_LDTR]);
    seg_fetch(&arch->seg[X86_TR], &save->seg[VMCB_TR]);
    arch->seg[X86_TR].attr |= TSS_BUSY;
    arch->cpl = save->cpl & 3;
    arch->seg[X86_SS].attr =
        (arch->seg[X86_SS].attr & ~(u32)SEG_DPL) | (u32)FIELD_PREP(SEG_DPL, arch->cpl);
}

static void flush_dt(struct vcpu_arch *arch, struct vmcb_save *save)
{
    save->seg[VMCB_GDTR].base = arch->gdtr.base;
    save->seg[VMCB_GDTR].limit = arch->gdtr.limit;
    save->seg[VMCB_IDTR].base = arch->idtr.base;
    save->seg[VMCB_IDTR].limit = arch->idtr.limit;
}

static void fetch_dt(struct vcpu_arch *arch, struct vmcb_save *save)
{
    arch->gdtr = (struct x86_dtr){save->seg[VMCB_GDTR].base, save->seg[VMCB_GDTR].limit};
    arch->idtr = (struct x86_dtr){save->seg[VMCB_IDTR].base, save->seg[VMCB_IDTR].limit};
}

/* LMA always follows LME and PG. VMRUN takes it from the VMCB, where a wrong one is an invalid state or worse; and
 * Bochs changes it before a write of CR0 exits, while CR0 still has its old value. */
static u64 with_lma(u64 efer, u64 cr0)
{
    bool lma = (efer & EFER_LME) != 0 && (cr0 & CR0_PG) != 0;

    return (efer & ~EFER_LMA) | (lma ? EFER_LMA : 0);
}

/* Without paging LME does nothing, and a guest that looks at it or sets PG exits: the hardware need not know. QEMU 7.2 leaves
 * CR0 the guest's when one with LME but without PAE and paging exits (its #VMEXIT loads CR0 before CR4, and refuses PG then),
 * and the host goes on without paging. */
static u64 shown_efer(const struct vcpu_arch *arch)
{
    u64 hidden = (arch->cr0 & CR0_PG) != 0 ? 0 : EFER_LME;

    return with_lma(arch->efer & ~hidden, arch->cr0) | EFER_SVME;
}

static void flush_cr(struct vcpu_arch *arch, struct vmcb_save *save)
{
    if (save->cr2 != arch->cr2) {
        save->cr2 = arch->cr2;
        write_cr2(arch->cr2); /* VMRUN loads it, but not in Bochs 2.7 */
    }
    save->cr0 = arch->cr0;
    save->cr3 = arch->cr3;
    save->cr4 = arch->cr4;
    save->efer = shown_efer(arch);
    save->g_pat = arch->pat;
}

/* PAT and LME change by intercepted instructions only: v->arch has them always. CR8 is the interrupt chip's. */
static void fetch_cr(struct vcpu_arch *arch, struct vmcb_save *save)
{
    arch->cr0 = save->cr0;
    arch->cr2 = save->cr2;
    arch->cr3 = save->cr3;
    arch->cr4 = save->cr4;
    arch->efer = with_lma((save->efer & ~(EFER_LME | EFER_SVME)) | (arch->efer & EFER_LME), save->cr0);
}

static void flush_dr(struct vcpu_arch *arch, struct vmcb_save *save)
{
    save->dr6 = arch->dr6;
    save->dr7 = arch->dr7;
}

/* DR0 to DR3 are as they were written. */
static void fetch_dr(struct vcpu_arch *arch, struct vmcb_save *save)
{
    arch->dr6 = save->dr6;
    arch->dr7 = save->dr7;
}

static void flush_sys(struct vcpu_arch *arch, struct vmcb_save *save)
{
    save->star = arch->star;
    save->lstar = arch->lstar;
    save->cstar = arch->cstar;
    save->sfmask = arch->sfmask;
    save->kernel_gs_base = arch->kernel_gs_base;
    save->sysenter_cs = arch->sysenter_cs;
    save->sysenter_esp = arch->sysenter_esp;
    save->sysenter_eip = arch->sysenter_eip;
}

static void fetch_sys(struct vcpu_arch *arch, struct vmcb_save *save)
{
    arch->star = save->star;
    arch->lstar = save->lstar;
    arch->cstar = save->cstar;
    arch->sfmask = save->sfmask;
    arch->kernel_gs_base = save->kernel_gs_base;
    arch->sysenter_cs = save->sysenter_cs;
    arch->sysenter_esp = save->sysenter_esp;
    arch->sysenter_eip = save->sysenter_eip;
}

static void fetch_mode(struct vcpu_arch *arch, const struct vmcb_save *save)
{
    u32 attrib = save->seg[VMCB_CS].attrib;
    bool is_long = (with_lma(save->efer, save->cr0) & EFER_LMA) != 0 && (attrib & VMCB_SEG_L) != 0;

    arch->cpl = save->cpl & 3;
    arch->code_bits = is_long ? 64 : (attrib & VMCB_SEG_DB) != 0 ? 32 : 16;
}

/* Out of line: most exits want CR at most. */
static __attribute__((noinline)) void fetch_others(struct vcpu_arch *arch, struct vmcb_save *save, u32 groups)
{
    if ((groups & X86_G_SEG) != 0) {
        fetch_seg(arch, save);
    }
    if ((groups & X86_G_DT) != 0) {
        fetch_dt(arch, save);
    }
    if ((groups & X86_G_DR) != 0) {
        fetch_dr(arch, save);
    }
    if ((groups & X86_G_SYS) != 0) {
        fetch_sys(arch, save);
    }
}

void svm_regs_fetch(struct vcpu *v, u32 groups)
{
    struct vcpu_arch *arch = &v->arch;
    struct vmcb_save *save = &svm_of(v)->vmcb->save;
    u32 wanted = groups & ~arch->valid;

    arch->valid |= groups;
    if ((wanted & X86_G_CR) != 0) {
        fetch_cr(arch, save);
    }
    if ((wanted & X86_G_MODE) != 0) {
        fetch_mode(arch, save);
    }
    if ((wanted & ~(X86_G_CORE | X86_G_CR | X86_G_MODE)) != 0) {
        fetch_others(arch, save, wanted);
    }
}

void svm_regs_flush(struct vcpu *v, u32 groups)
{
    struct vcpu_arch *arch = &v->arch;
    struct svm_vcpu *svm = svm_of(v);
    struct vmcb_save *save = &svm->vmcb->save;

    if ((groups & X86_G_CR) != 0) {
        flush_cr(arch, save);
        svm_touch(svm, VMCB_CLEAN_CRX | VMCB_CLEAN_NP);
    }
    if ((groups & X86_G_SEG) != 0) {
        flush_seg(arch, save);
        svm_touch(svm, VMCB_CLEAN_SEG);
    }
    if ((groups & X86_G_DT) != 0) {
        flush_dt(arch, save);
        svm_touch(svm, VMCB_CLEAN_DT);
    }
    if ((groups & X86_G_DR) != 0) {
        flush_dr(arch, save);
        svm_lend_debug_registers(v);
        svm_touch(svm, VMCB_CLEAN_DRX);
    }
    if ((groups & X86_G_SYS) != 0) {
        flush_sys(arch, save);
    }
}
