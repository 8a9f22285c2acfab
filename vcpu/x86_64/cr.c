/* Control registers, EFER and XCR0: what a guest may write and what a write does. SDM 2.5, 4.1, 4.4.1; APM 3.1, 13.3.
 * Each function validates first and changes v->arch only when the whole write is legal. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/x86.h"

#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR0_HIGH GENMASK(63, 32)
#define CR0_RELOADS_PDPTE (CR0_CD | CR0_NW | CR0_PG)
#define CR4_RELOADS_PDPTE (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)
#define CR4_FLUSHES (CR4_RELOADS_PDPTE | CR4_SMAP | CR4_PCIDE | CR4_PKE)
#define CR3_PAE_TABLE GENMASK(31, 5)
#define CR8_TPR GENMASK(3, 0)
#define PDPTE_RESERVED_LOW (GENMASK(8, 5) | GENMASK(2, 1))
#define PDPTE_BIT5 BIT(5) /* reserved; QEMU's AMD CPU uses it as an accessed bit all the same */

struct paging { u64 cr0, cr3, cr4, efer; };

static bool is_pae(const struct paging *p)
{
    return (p->cr0 & CR0_PG) != 0 && (p->cr4 & CR4_PAE) != 0 && (p->efer & EFER_LMA) == 0;
}

static bool is_canonical_pdpte(u64 entry)
{
    u64 reserved = PDPTE_RESERVED_LOW | GENMASK(63, x86_guest_phys_bits());

    reserved &= ~(x86_cpuid_is_amd() ? PDPTE_BIT5 : 0);
    return (entry & PTE_P) == 0 || (entry & reserved) == 0;
}

/* With PAE paging the four PDPTEs are registers, loaded and checked by the write (SDM 4.4.1). */
static int load_pdptes(struct vcpu *v, const struct paging *p)
{
    u64 entries[ARRAY_SIZE(v->arch.pdpte)];

    if (v->config.mem->ram_read(v->config.ctx, GPA(p->cr3 & CR3_PAE_TABLE), entries, sizeof(entries)) != 0) {
        return -E_GUEST;
    }
    for (u32 i = 0; i < ARRAY_SIZE(entries); i++) {
        if (!is_canonical_pdpte(entries[i])) {
            return -E_GUEST;
        }
    }
    for (u32 i = 0; i < ARRAY_SIZE(entries); i++) {
        v->arch.pdpte[i] = entries[i];
    }
    v->arch.pdptes_loaded = true;
    return 0;
}

/* The new values are legal: take them. */
static int commit(struct vcpu *v, const struct paging *p, bool reload_pdptes, bool flush)
{
    struct vcpu_arch *a = &v->arch;

    if (reload_pdptes && is_pae(p) && load_pdptes(v, p) != 0) {
        return -E_GUEST;
    }
    a->cr0 = p->cr0;
    a->cr3 = p->cr3;
    a->cr4 = p->cr4;
    a->efer = p->efer;
    x86_regs_changed(v, X86_G_CR);
    if (flush) {
        v->backend->tlb_flush(v);
    }
    return 0;
}

static struct paging current(const struct vcpu_arch *a)
{
    return (struct paging){a->cr0, a->cr3, a->cr4, a->efer};
}

/* Paging goes on: long mode when EFER.LME says so (SDM 10.8.5). Intel's CPUs refuse it with a 16-bit TSS in TR (SDM Vol. 2 "MOV -
 * Move to/from Control Registers"), with which they would refuse the entry, too. */
static int paging_on(const struct vcpu_arch *a, struct paging *p)
{
    bool narrow_tss = (a->seg[X86_TR].attr & SEG_TYPE & ~TSS_BUSY) == TSS_TYPE_16;

    if ((p->efer & EFER_LME) == 0) {
        return 0;
    }
    if ((p->cr4 & CR4_PAE) == 0 || (a->seg[X86_CS].attr & SEG_L) != 0 || (narrow_tss && !x86_cpuid_is_amd())) {
        return -E_GUEST;
    }
    p->efer |= EFER_LMA;
    return 0;
}

/* Paging goes off: not from 64-bit code, not with PCIDs. */
static int paging_off(const struct vcpu_arch *a, struct paging *p)
{
    bool is_64bit = (p->efer & EFER_LMA) != 0 && (a->seg[X86_CS].attr & SEG_L) != 0;

    if (is_64bit || (p->cr4 & CR4_PCIDE) != 0) {
        return -E_GUEST;
    }
    p->efer &= ~EFER_LMA;
    return 0;
}

int x86_cr0_write(struct vcpu *v, u64 value)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_CR | X86_G_SEG);
    struct paging p = current(a);
    int err = 0;

    if ((value & CR0_HIGH) != 0 || ((value & CR0_PG) != 0 && (value & CR0_PE) == 0) ||
        ((value & CR0_NW) != 0 && (value & CR0_CD) == 0)) {
        return -E_GUEST;
    }
    value = (value & CR0_DEFINED) | CR0_ET; /* other low bits are ignored, ET is fixed */
    u64 changed = value ^ p.cr0;
    p.cr0 = value;
    if ((changed & CR0_PG) != 0) {
        err = (value & CR0_PG) != 0 ? paging_on(a, &p) : paging_off(a, &p);
    }
    if (err != 0) {
        return err;
    }
    return commit(v, &p, (changed & CR0_RELOADS_PDPTE) != 0, (changed & (CR0_PG | CR0_WP)) != 0);
}

int x86_cr3_write(struct vcpu *v, u64 value)
{
    struct paging p = current(x86_regs(v, X86_G_CR));
    bool keep = (p.cr4 & CR4_PCIDE) != 0 && (value & CR3_NOFLUSH) != 0;

    if ((p.cr4 & CR4_PCIDE) != 0) {
        value &= ~CR3_NOFLUSH;
    }
    if ((value & GENMASK(63, x86_guest_phys_bits())) != 0) {
        return -E_GUEST;
    }
    p.cr3 = value;
    return commit(v, &p, true, !keep);
}

int x86_cr4_write(struct vcpu *v, u64 value)
{
    struct paging p = current(x86_regs(v, X86_G_CR));
    u64 changed = value ^ p.cr4;
    bool lma = (p.efer & EFER_LMA) != 0;

    if ((value & ~x86_cr4_allowed()) != 0 || (lma && (value & CR4_PAE) == 0)) {
        return -E_GUEST;
    }
    if ((changed & value & CR4_PCIDE) != 0 && (!lma || (p.cr3 & CR3_PCID_MASK) != 0)) {
        return -E_GUEST;
    }
    p.cr4 = value;
    return commit(v, &p, (changed & CR4_RELOADS_PDPTE) != 0, (changed & CR4_FLUSHES) != 0);
}

u64 x86_cr8_read(struct vcpu *v)
{
    u64 value = v->arch.cr8;

    return x86_chip_sysreg(v, IRQCHIP_PRIORITY, false, &value) == 0 ? value : v->arch.cr8;
}

int x86_cr8_write(struct vcpu *v, u64 value)
{
    if ((value & ~CR8_TPR) != 0) {
        return -E_GUEST;
    }
    if (x86_chip_sysreg(v, IRQCHIP_PRIORITY, true, &value) != 0) {
        v->arch.cr8 = value;
    }
    return 0;
}

static int efer_change(struct vcpu *v, u64 value, u64 changed)
{
    struct paging p = current(x86_regs(v, X86_G_CR));

    if ((value & ~(x86_efer_allowed() | EFER_LMA)) != 0 || ((changed & EFER_LME) != 0 && (p.cr0 & CR0_PG) != 0)) {
        return -E_GUEST;
    }
    p.efer ^= changed;
    return commit(v, &p, false, (changed & EFER_NXE) != 0);
}

int x86_efer_write(struct vcpu *v, u64 value)
{
    u64 changed = (value ^ x86_regs(v, X86_G_CR)->efer) & ~EFER_LMA; /* read-only: a write cannot change it */

    return changed == 0 ? 0 : efer_change(v, value, changed); /* what is set was allowed */
}

/* SDM Vol. 1 13.3 "Enabling the XSAVE Feature Set"; Vol. 2 XSETBV. */
int x86_xcr0_write(struct vcpu *v, u32 index, u64 value)
{
    const u64 zmm = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM;

    if (index != 0 || (value & XCR0_X87) == 0 || (value & ~x86_xcr0_allowed()) != 0) {
        return -E_GUEST;
    }
    if ((value & XCR0_AVX) != 0 && (value & XCR0_SSE) == 0) {
        return -E_GUEST;
    }
    if ((value & zmm) != 0 && ((value & zmm) != zmm || (value & XCR0_AVX) == 0)) {
        return -E_GUEST;
    }
    v->arch.xcr0 = value;
    hostcpu_set_xcr0(value);
    return 0;
}

struct cr4_feature { u64 bits; u32 leaf; u8 reg; /* 0 EAX .. 3 EDX */ u8 bit; };

/* CR4 bits that come with a CPUID bit (SDM 2.5); PCE comes with none. */
static const struct cr4_feature cr4_features[] = {
    {CR4_VME | CR4_PVI, 1, 3, 1}, {CR4_DE, 1, 3, 2}, {CR4_PSE, 1, 3, 3}, {CR4_TSD, 1, 3, 4}, {CR4_PAE, 1, 3, 6},
    {CR4_MCE, 1, 3, 7}, {CR4_PGE, 1, 3, 13}, {CR4_OSFXSR, 1, 3, 24}, {CR4_OSXMMEXCPT, 1, 3, 25},
    {CR4_PCIDE, 1, 2, 17}, {CR4_OSXSAVE, 1, 2, 26}, {CR4_FSGSBASE, 7, 1, 0}, {CR4_SMEP, 7, 1, 7},
    {CR4_SMAP, 7, 1, 20}, {CR4_UMIP, 7, 2, 2}, {CR4_PKE, 7, 2, 3},
};

static bool has_feature(u32 leaf, u8 reg, u8 bit)
{
    struct x86_cpuid r = x86_cpuid_policy(leaf, 0);
    const u32 regs[4] = {r.eax, r.ebx, r.ecx, r.edx};

    return (regs[reg] & BIT32(bit)) != 0;
}

u64 x86_cr4_allowed(void)
{
    u64 allowed = CR4_PCE;

    for (size_t i = 0; i < ARRAY_SIZE(cr4_features); i++) {
        const struct cr4_feature *f = &cr4_features[i];
        allowed |= has_feature(f->leaf, f->reg, f->bit) ? f->bits : 0;
    }
    return allowed;
}

u64 x86_efer_allowed(void)
{
    const u32 ext = CPUID_EXT_FEATURES;
    u64 allowed = 0;

    allowed |= has_feature(ext, 3, 11) ? EFER_SCE : 0;
    allowed |= has_feature(ext, 3, 20) ? EFER_NXE : 0;
    allowed |= has_feature(ext, 3, 29) ? EFER_LME : 0;
    allowed |= has_feature(ext, 3, 25) ? EFER_FFXSR : 0;
    return allowed;
}
