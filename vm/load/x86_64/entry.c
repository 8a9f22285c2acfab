/* Start states: a GDT, and identity page tables for long mode (AMD APM Vol. 2, 5.3 "Long-Mode Page Translation"). */
#include "vm/load/x86_64/entry.h"
#include "kernel/lib/string.h"

#define TABLE_ENTRIES 512U
#define TABLE_BYTES KIB(4)
#define LARGE_PAGE MIB(2)
#define IDENTITY_GIB 4U
#define TABLES (2U + IDENTITY_GIB) /* PML4, PDPT, one page directory per GiB */

#define PTE_P BIT(0)
#define PTE_RW BIT(1)
#define PTE_PS BIT(7)

/* Segment descriptors (SDM Vol. 3, 3.4.5 "Segment Descriptors"). */
#define DESC_LIMIT_LOW 0xFFFFULL
#define DESC_LIMIT_HIGH GENMASK(51, 48)
#define DESC_ACCESSED BIT(40)
#define DESC_WRITABLE BIT(41) /* of data; code: readable */
#define DESC_CODE BIT(43)
#define DESC_S BIT(44)
#define DESC_P BIT(47)
#define DESC_L BIT(53)
#define DESC_DB BIT(54)
#define DESC_G BIT(55)
#define DESC_FLAT (DESC_LIMIT_LOW | DESC_LIMIT_HIGH | DESC_ACCESSED | DESC_WRITABLE | DESC_S | DESC_P | DESC_G)

#define GDT_ENTRIES 4U /* null, unused, code, data */

static int place_gdt(const struct load_request *rq, struct load_space *space, u64 code, struct vcpu_entry *entry)
{
    const u64 gdt[GDT_ENTRIES] = {0, 0, DESC_FLAT | DESC_CODE | code, DESC_FLAT | DESC_DB};
    u64 base;

    if (load_space_low(space, LOAD_DATA_FLOOR, sizeof(gdt), LOAD_PAGE, &base) != 0) {
        return load_fail_space(rq, "the GDT", sizeof(gdt));
    }
    entry->gdt_base = base;
    entry->gdt_limit = sizeof(gdt) - 1;
    entry->cs_sel = ENTRY_CODE_SELECTOR;
    entry->ds_sel = ENTRY_DATA_SELECTOR;
    return load_copy(rq, base, gdt, sizeof(gdt));
}

/* No specification promises a stack, but every firmware and boot loader leaves one, and some images push at once. */
static int place_stack(const struct load_request *rq, struct load_space *space, struct vcpu_entry *entry)
{
    u64 base;

    if (load_space_low(space, LOAD_DATA_FLOOR, LOAD_PAGE, LOAD_PAGE, &base) != 0) {
        return load_fail_space(rq, "a stack", LOAD_PAGE);
    }
    entry->rsp = base + LOAD_PAGE;
    return 0;
}

int entry_prot(const struct load_request *rq, struct load_space *space, u64 rip, struct vcpu_entry *entry)
{
    memset(entry, 0, sizeof(*entry));
    entry->mode = X86_ENTRY_PROT;
    entry->rip = rip;
    int error = place_gdt(rq, space, DESC_DB, entry);
    return error != 0 ? error : place_stack(rq, space, entry);
}

/* One table of eight-byte entries, written piece by piece to keep the stack small. */
static int write_entry(const struct load_request *rq, u64 table, u32 index, u64 value)
{
    return load_copy(rq, table + (u64)index * sizeof(value), &value, sizeof(value));
}

static int write_directory(const struct load_request *rq, u64 table, u64 first)
{
    u64 entries[64];
    int error = 0;

    for (u32 i = 0; i < TABLE_ENTRIES && error == 0; i += ARRAY_SIZE(entries)) {
        for (u32 j = 0; j < ARRAY_SIZE(entries); j++) {
            entries[j] = (first + (i + j) * LARGE_PAGE) | PTE_P | PTE_RW | PTE_PS;
        }
        error = load_copy(rq, table + (u64)i * sizeof(entries[0]), entries, sizeof(entries));
    }
    return error;
}

/* Freshly created VM memory is zero, but a VM that is loaded anew may not be: clear the tables first. */
static int place_tables(const struct load_request *rq, struct load_space *space, u64 *pml4)
{
    u64 base;

    if (load_space_low(space, LOAD_DATA_FLOOR, TABLES * TABLE_BYTES, LOAD_PAGE, &base) != 0) {
        return load_fail_space(rq, "the page tables", TABLES * TABLE_BYTES);
    }
    u64 pdpt = base + TABLE_BYTES;
    int error = gmem_zero(rq->mem, GPA(base), TABLES * TABLE_BYTES);
    if (error != 0) {
        return load_fail(rq->why, error, "cannot clear the page tables");
    }
    error = write_entry(rq, base, 0, pdpt | PTE_P | PTE_RW);
    for (u32 i = 0; i < IDENTITY_GIB && error == 0; i++) {
        u64 directory = pdpt + (1 + i) * TABLE_BYTES;
        error = write_entry(rq, pdpt, i, directory | PTE_P | PTE_RW);
        if (error == 0) {
            error = write_directory(rq, directory, GIB(i));
        }
    }
    *pml4 = base;
    return error;
}

int entry_long(const struct load_request *rq, struct load_space *space, u64 rip, struct vcpu_entry *entry)
{
    memset(entry, 0, sizeof(*entry));
    entry->mode = X86_ENTRY_LONG;
    entry->rip = rip;
    int error = place_tables(rq, space, &entry->cr3);
    if (error == 0) {
        error = place_gdt(rq, space, DESC_L, entry);
    }
    return error != 0 ? error : place_stack(rq, space, entry);
}
