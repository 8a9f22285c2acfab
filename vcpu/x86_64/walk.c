/* The guest's own page tables, walked in software: SDM Vol. 3 chapter 4 "Paging", APM Vol. 2 chapter 5. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/x86.h"

#define PAGE_SHIFT 12
#define MAX_LEVELS X86_WALK_LEVELS
#define MAX_RESTARTS 4 /* other vCPUs may change tables under the walk; hardware would start over too */

/* 4 MiB pages of two-level paging: SDM 4.3, PSE-36 */
#define PDE4M_RESERVED BIT(21)
#define PDE4M_HIGH GENMASK(20, 13)
#define PDE4M_LOW GENMASK(31, 22)
#define PSE36_ADDR GENMASK(39, 32)
/* PAE's four PDPTEs: SDM 4.4.1. Bit 5 is reserved, too, but QEMU's CPU sets it there, as if it were an accessed bit. */
#define PDPTE_PAE_RESERVED (GENMASK(63, 52) | GENMASK(8, 6) | GENMASK(2, 1))
#define PAE_IGNORED_IN_LONG GENMASK(62, 52)

/* One walk: the paging mode, and what was met on the way down. */
struct walk {
    struct vcpu *v;
    const struct vcpu_arch *a;
    u64 va;
    u32 access;
    u8 levels, index_bits, entry_bytes;
    bool long_mode, nxe;
    u8 phys_bits;
    unsigned met;            /* entries read so far */
    u64 at[MAX_LEVELS];      /* where they are; after a failure also where the one is that ended the walk */
    u64 entry[MAX_LEVELS];   /* what they were */
    bool outside;            /* that one is in no memory */
    u64 rights;              /* PTE_RW and PTE_US of all, PTE_XD of any */
    u64 gpa, page_size;
    u32 error;               /* #PF error code so far */
};

static u8 guest_phys_bits(void)
{
    const struct vcpu_caps *caps = vcpu_backend_caps();

    return caps->phys_bits >= 32 && caps->phys_bits <= 52 ? caps->phys_bits : 52;
}

static void walk_mode(struct walk *w)
{
    const struct vcpu_arch *a = w->a;
    bool pae = (a->cr4 & CR4_PAE) != 0;

    w->long_mode = (a->efer & EFER_LMA) != 0;
    w->nxe = pae && (a->efer & EFER_NXE) != 0;
    w->phys_bits = guest_phys_bits();
    w->entry_bytes = pae ? 8 : 4;
    w->index_bits = pae ? 9 : 10;
    w->levels = !pae ? 2 : !w->long_mode ? 3 : (a->cr4 & CR4_LA57) != 0 ? 5 : 4;
}

static int walk_fault(struct walk *w, u32 bits)
{
    bool tells_fetch = w->nxe || (w->a->cr4 & CR4_SMEP) != 0;

    w->error = bits | (w->access & (X86_ACCESS_WRITE | X86_ACCESS_USER));
    if (tells_fetch && (w->access & X86_ACCESS_FETCH) != 0) {
        w->error |= PF_ERROR_ID;
    }
    return -E_FAULT;
}

static bool canonical(const struct walk *w)
{
    unsigned unused = 64 - (PAGE_SHIFT + 9U * w->levels);

    return (u64)((s64)(w->va << unused) >> unused) == w->va;
}

static int read_entry(const struct walk *w, u64 at, u64 *entry)
{
    const struct vcpu_config *config = &w->v->config;

    *entry = 0;
    return config->mem->ram_read(config->ctx, GPA(at), entry, w->entry_bytes) == 0 ? 0 : -E_FAULT;
}

static bool is_pae_pdpte(const struct walk *w, unsigned level)
{
    return level == 2 && !w->long_mode;
}

static bool is_leaf(const struct walk *w, unsigned level, u64 entry)
{
    if (level == 0) {
        return true;
    }
    if ((entry & PTE_PS) == 0 || level > 2 || is_pae_pdpte(w, level)) {
        return false;
    }
    return w->entry_bytes == 8 || (w->a->cr4 & CR4_PSE) != 0;
}

/* Address bits beyond the guest's physical width. */
static u64 beyond_phys(const struct walk *w)
{
    return w->phys_bits < 52 ? GENMASK(51, w->phys_bits) : 0;
}

static u64 pde4m_address(u64 entry)
{
    return (entry & PDE4M_LOW) | FIELD_PREP(PSE36_ADDR, FIELD_GET(PDE4M_HIGH, entry));
}

static bool reserved_bits_set(const struct walk *w, unsigned level, u64 entry)
{
    u64 reserved = beyond_phys(w);
    bool leaf = is_leaf(w, level, entry);

    if (w->entry_bytes == 4) {
        return leaf && level > 0 && ((entry & PDE4M_RESERVED) != 0 || (pde4m_address(entry) & reserved) != 0);
    }
    if (is_pae_pdpte(w, level)) {
        return (entry & (reserved | PDPTE_PAE_RESERVED)) != 0;
    }
    reserved |= w->long_mode ? 0 : PAE_IGNORED_IN_LONG;
    reserved |= w->nxe ? 0 : PTE_XD;
    reserved |= level > 2 ? PTE_PS : 0;
    if (leaf && level > 0) {
        reserved |= GENMASK(PAGE_SHIFT + 9 * level - 1, PAGE_SHIFT + 1);
    }
    return (entry & reserved) != 0;
}

/* Access rights of the whole walk: SDM 4.6.1. */
static bool allowed(const struct walk *w)
{
    const struct vcpu_arch *a = w->a;
    bool user_page = (w->rights & PTE_US) != 0;
    bool user = (w->access & X86_ACCESS_USER) != 0;
    bool fetch = (w->access & X86_ACCESS_FETCH) != 0;

    if ((user && !user_page) || (fetch && w->nxe && (w->rights & PTE_XD) != 0)) {
        return false;
    }
    if ((w->access & X86_ACCESS_WRITE) != 0 && (w->rights & PTE_RW) == 0 && (user || (a->cr0 & CR0_WP) != 0)) {
        return false;
    }
    if (user || !user_page) {
        return true;
    }
    if (fetch) {
        return (a->cr4 & CR4_SMEP) == 0;
    }
    /* AC lifts SMAP for the kernel's explicit accesses, never for implicit ones made on behalf of user code. */
    return (a->cr4 & CR4_SMAP) == 0 || (a->cpl < 3 && (a->rflags & RFLAGS_AC) != 0);
}

static void accumulate(struct walk *w, unsigned level, u64 entry)
{
    if (is_pae_pdpte(w, level)) {
        return;
    }
    w->rights &= entry | ~(PTE_RW | PTE_US);
    w->rights |= entry & PTE_XD;
}

static void translate(struct walk *w, unsigned level, u64 entry)
{
    w->page_size = BIT(PAGE_SHIFT + w->index_bits * level);
    u64 base = w->entry_bytes == 8 ? entry & PTE_ADDR_MASK : level > 0 ? pde4m_address(entry) : entry & PTE_ADDR_MASK;
    w->gpa = ALIGN_DOWN(base, w->page_size) | (w->va & (w->page_size - 1));
}

static u64 first_table(const struct walk *w)
{
    if (w->levels == 3) {
        return w->a->cr3 & GENMASK(31, 5);
    }
    return w->a->cr3 & (w->entry_bytes == 4 ? GENMASK(31, PAGE_SHIFT) : PTE_ADDR_MASK);
}

/* From the root to the leaf: fills met, at, entry, rights, gpa. */
static int walk_down(struct walk *w)
{
    u64 table = first_table(w);

    w->met = 0;
    w->rights = PTE_RW | PTE_US;
    for (unsigned level = w->levels; level-- > 0;) {
        u64 index = (w->va >> (PAGE_SHIFT + w->index_bits * level)) & (BIT(w->index_bits) - 1);
        u64 at = table + index * w->entry_bytes;
        u64 entry;

        w->outside = read_entry(w, at, &entry) != 0;
        w->at[w->met] = at;
        w->entry[w->met] = entry;
        if ((entry & PTE_P) == 0) {
            return walk_fault(w, 0);
        }
        if (reserved_bits_set(w, level, entry)) {
            return walk_fault(w, PF_ERROR_P | PF_ERROR_RSVD);
        }
        w->met++;
        accumulate(w, level, entry);
        if (is_leaf(w, level, entry)) {
            translate(w, level, entry);
            break;
        }
        table = entry & (w->entry_bytes == 4 ? GENMASK(31, PAGE_SHIFT) : PTE_ADDR_MASK);
    }
    return allowed(w) ? 0 : walk_fault(w, PF_ERROR_P);
}

/* Set accessed and dirty bits in the entries met. false when a table changed meanwhile: walk again. */
static bool mark_entries(struct walk *w)
{
    const struct vcpu_config *config = &w->v->config;

    for (unsigned i = w->levels == 3 ? 1 : 0; i < w->met; i++) {
        bool dirties = i == w->met - 1 && (w->access & X86_ACCESS_WRITE) != 0;
        u64 marked = w->entry[i] | PTE_A | (dirties ? PTE_D : 0);

        /* Tables in read-only memory keep their bits, as on hardware whose write is dropped. */
        if (marked != w->entry[i] &&
            config->mem->ram_replace(config->ctx, GPA(w->at[i]), w->entry[i], marked, w->entry_bytes) == -E_BUSY) {
            return false;
        }
    }
    return true;
}

static int walk_paged(struct walk *w, bool set_ad)
{
    walk_mode(w);
    if (w->long_mode && !canonical(w)) {
        return walk_fault(w, 0);
    }
    if (!w->long_mode) {
        w->va &= GENMASK(31, 0);
    }
    for (unsigned i = 0; i < MAX_RESTARTS; i++) {
        int rc = walk_down(w);
        if (rc != 0) {
            return rc;
        }
        if (!set_ad || mark_entries(w)) {
            break;
        }
    }
    return 0;
}

int x86_walk(struct vcpu *v, gva_t va, u32 access, bool set_ad, struct x86_walk_result *out)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_CORE | X86_G_CR | X86_G_SEG);
    struct walk w = {.v = v, .a = a, .va = va.v, .access = access};

    if ((a->cr0 & CR0_PG) == 0) {
        *out = (struct x86_walk_result){.gpa = GPA(va.v & GENMASK(31, 0)), .page_size = PAGE_BYTES};
        return 0;
    }
    int rc = walk_paged(&w, set_ad);
    if (rc != 0) {
        out->fault_error = w.error;
        return rc;
    }
    *out = (struct x86_walk_result){.gpa = GPA(w.gpa), .page_size = w.page_size};
    return 0;
}

void x86_walk_explain(struct vcpu *v, gva_t va, u32 access, struct x86_walk_report *out)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_CORE | X86_G_CR | X86_G_SEG);
    struct walk w = {.v = v, .a = a, .va = va.v, .access = access, .gpa = va.v & GENMASK(31, 0)};

    memset(out, 0, sizeof(*out));
    if ((a->cr0 & CR0_PG) != 0) {
        out->failed = walk_paged(&w, false) != 0;
    }
    out->gpa = GPA(w.gpa);
    out->levels = w.levels;
    out->met = (u8)w.met;
    out->canonical = !w.long_mode || canonical(&w);
    out->outside = w.outside;
    out->error = w.error;
    memcpy(out->at, w.at, sizeof(out->at));
    memcpy(out->entry, w.entry, sizeof(out->entry));
}
