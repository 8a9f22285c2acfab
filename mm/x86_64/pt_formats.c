/* Entries of the three x86-64 formats; nothing here knows a tree. */
#include "mm/x86_64/pt_formats.h"

#define LEVELS 4U
#define LEVEL_2M 1U
#define LEVEL_1G 2U
#define LEVEL_BITS 9U
#define PAGE_BITS 12U
#define ENTRY_PA GENMASK(51, 12)

/* Host and nested entries: SDM Vol. 3 tables 4-15 to 4-20, APM Vol. 2 section 5.3.3. */
#define PTE_P BIT(0)
#define PTE_RW BIT(1)
#define PTE_US BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7) /* leaf above level 0 */
#define PTE_G BIT(8)
#define PTE_XD BIT(63)

/* EPT entries: SDM Vol. 3 tables 29-1 to 29-7. */
#define EPT_READ BIT(0)
#define EPT_WRITE BIT(1)
#define EPT_EXECUTE BIT(2)
#define EPT_MEMORY_TYPE GENMASK(5, 3)
#define EPT_LARGE BIT(7)
#define EPT_ACCESS (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define MEMORY_TYPE_UC 0U
#define MEMORY_TYPE_WB 6U

/* The address bits of a leaf: those below its size are zero or mean something else (PAT). */
static u64 address_mask(unsigned level)
{
    return GENMASK(51, PAGE_BITS + LEVEL_BITS * level);
}

static hpa_t entry_pa(u64 entry, unsigned level)
{
    return HPA(entry & address_mask(level));
}

static hpa_t x86_entry_pa(u64 entry, unsigned level)
{
    bool leaf = level > 0 && (entry & PTE_PS) != 0;

    return entry_pa(entry, leaf ? level : 0);
}

static bool x86_is_present(u64 entry)
{
    return (entry & PTE_P) != 0;
}

static bool x86_is_leaf(u64 entry, unsigned level)
{
    return level == 0 || (entry & PTE_PS) != 0;
}

/* A and D are set from the start: nobody reads them, and the CPU need not write them. */
static u64 x86_leaf(hpa_t pa, unsigned level, u32 attr)
{
    u64 entry = (pa.v & ENTRY_PA) | PTE_P | PTE_A | PTE_D;

    entry |= level > 0 ? PTE_PS : 0;
    entry |= (attr & PT_WRITE) != 0 ? PTE_RW : 0;
    entry |= (attr & PT_EXEC) != 0 ? 0 : PTE_XD;
    entry |= (attr & PT_UNCACHED) != 0 ? PTE_PCD | PTE_PWT : 0; /* entry 3 of PAT: UC */
    return entry;
}

static u32 x86_leaf_attr(u64 entry, unsigned level)
{
    u32 attr = PT_READ;

    (void)level;
    attr |= (entry & PTE_RW) != 0 ? PT_WRITE : 0;
    attr |= (entry & PTE_XD) != 0 ? 0 : PT_EXEC;
    attr |= (entry & PTE_PCD) != 0 ? PT_UNCACHED : 0;
    return attr;
}

static u64 host_leaf(hpa_t pa, unsigned level, u32 attr)
{
    u64 entry = x86_leaf(pa, level, attr);

    entry |= (attr & PT_USER) != 0 ? PTE_US : 0;
    entry |= (attr & PT_GLOBAL) != 0 ? PTE_G : 0;
    return entry;
}

static u32 host_leaf_attr(u64 entry, unsigned level)
{
    u32 attr = x86_leaf_attr(entry, level);

    attr |= (entry & PTE_US) != 0 ? PT_USER : 0;
    attr |= (entry & PTE_G) != 0 ? PT_GLOBAL : 0;
    return attr;
}

/* The leaf decides everything, so a table grants all. */
static u64 x86_table(hpa_t pa)
{
    return (pa.v & ENTRY_PA) | PTE_P | PTE_RW | PTE_US | PTE_A;
}

static u64 npt_leaf(hpa_t pa, unsigned level, u32 attr)
{
    return x86_leaf(pa, level, attr) | PTE_US;
}

static u64 ept_leaf(hpa_t pa, unsigned level, u32 attr)
{
    u64 type = (attr & PT_UNCACHED) != 0 ? MEMORY_TYPE_UC : MEMORY_TYPE_WB;
    u64 entry = (pa.v & ENTRY_PA) | FIELD_PREP(EPT_MEMORY_TYPE, type);

    entry |= level > 0 ? EPT_LARGE : 0;
    entry |= (attr & PT_READ) != 0 ? EPT_READ : 0;
    entry |= (attr & PT_WRITE) != 0 ? EPT_WRITE : 0;
    entry |= (attr & PT_EXEC) != 0 ? EPT_EXECUTE : 0;
    return entry;
}

static u64 ept_table(hpa_t pa)
{
    return (pa.v & ENTRY_PA) | EPT_ACCESS;
}

static bool ept_is_present(u64 entry)
{
    return (entry & EPT_ACCESS) != 0;
}

static bool ept_is_leaf(u64 entry, unsigned level)
{
    return level == 0 || (entry & EPT_LARGE) != 0;
}

static hpa_t ept_entry_pa(u64 entry, unsigned level)
{
    return entry_pa(entry, ept_is_leaf(entry, level) ? level : 0);
}

static u32 ept_leaf_attr(u64 entry, unsigned level)
{
    u32 attr = 0;

    (void)level;
    attr |= (entry & EPT_READ) != 0 ? PT_READ : 0;
    attr |= (entry & EPT_WRITE) != 0 ? PT_WRITE : 0;
    attr |= (entry & EPT_EXECUTE) != 0 ? PT_EXEC : 0;
    attr |= FIELD_GET(EPT_MEMORY_TYPE, entry) == MEMORY_TYPE_UC ? PT_UNCACHED : 0;
    return attr;
}

#define HOST_FORMAT(text, top)                                                                                        \
    {                                                                                                                 \
        .name = text, .levels = LEVELS, .sign_extended = true, .max_leaf_level = (top), .make_leaf = host_leaf,       \
        .make_table = x86_table, .is_present = x86_is_present, .is_leaf = x86_is_leaf, .entry_pa = x86_entry_pa,      \
        .leaf_attr = host_leaf_attr                                                                                   \
    }
#define NPT_FORMAT(text, top)                                                                                         \
    {                                                                                                                 \
        .name = text, .levels = LEVELS, .max_leaf_level = (top), .make_leaf = npt_leaf, .make_table = x86_table,      \
        .is_present = x86_is_present, .is_leaf = x86_is_leaf, .entry_pa = x86_entry_pa, .leaf_attr = x86_leaf_attr    \
    }
#define EPT_FORMAT(text, top)                                                                                         \
    {                                                                                                                 \
        .name = text, .levels = LEVELS, .max_leaf_level = (top), .make_leaf = ept_leaf, .make_table = ept_table,      \
        .is_present = ept_is_present, .is_leaf = ept_is_leaf, .entry_pa = ept_entry_pa, .leaf_attr = ept_leaf_attr    \
    }

const struct pt_format pt_format_host = HOST_FORMAT("host", LEVEL_1G);
const struct pt_format pt_format_host_2m = HOST_FORMAT("host-2m", LEVEL_2M);
const struct pt_format pt_format_npt = NPT_FORMAT("npt", LEVEL_1G);
const struct pt_format pt_format_npt_2m = NPT_FORMAT("npt-2m", LEVEL_2M);
const struct pt_format pt_format_ept = EPT_FORMAT("ept", LEVEL_1G);
const struct pt_format pt_format_ept_2m = EPT_FORMAT("ept-2m", LEVEL_2M);
