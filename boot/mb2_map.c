/* Memory maps. Firmware hands over unsorted, overlapping and absurd entries: a sweep over all boundaries turns any list
 * into sorted disjoint regions, with no storage but the result. Time is quadratic in the entries, which are bounded. */
#include "boot/mb2.h"
#include "boot/mb2_tags.h"

/* Both kinds of map begin with the size of an entry and a version; then the entries. */
#define MAP_ENTRY_SIZE 0U
#define MAP_ENTRIES 8U

/* multiboot2 3.6.8 "Memory map". ACPI 6.5 15 (address types). */
#define MMAP_ENTRY_BASE 0U
#define MMAP_ENTRY_LEN 8U
#define MMAP_ENTRY_TYPE 16U
#define MMAP_ENTRY_MIN 20U
#define E820_RAM 1U
#define E820_ACPI 3U
#define E820_NVS 4U

/* multiboot2 3.6.17 "EFI memory map". UEFI 2.10 7.2 EFI_MEMORY_DESCRIPTOR. */
#define EFI_DESC_TYPE 0U
#define EFI_DESC_PHYS 8U
#define EFI_DESC_PAGES 24U
#define EFI_DESC_MIN 40U
#define EFI_PAGE_SHIFT 12U
enum efi_memory_type {
    EFI_LOADER_CODE = 1,
    EFI_LOADER_DATA = 2,
    EFI_BOOT_SERVICES_CODE = 3,
    EFI_BOOT_SERVICES_DATA = 4,
    EFI_CONVENTIONAL = 7,
    EFI_ACPI_RECLAIM = 9,
    EFI_ACPI_NVS = 10,
};

struct entry {
    u64 base;
    u64 end; /* exclusive; the topmost byte of the address space is given up */
    enum boot_region_type type;
};

/* A map of either format. */
struct map {
    const u8 *entries;
    size_t entry_size;
    size_t count;
    struct entry (*read)(const u8 *at);
};

static u64 saturating_end(u64 base, u64 len)
{
    return len > ~0ULL - base ? ~0ULL : base + len;
}

static struct entry read_e820(const u8 *at)
{
    struct entry entry = {.base = mb2_u64(at + MMAP_ENTRY_BASE), .type = BOOT_REGION_RESERVED};
    u32 type = mb2_u32(at + MMAP_ENTRY_TYPE);

    entry.end = saturating_end(entry.base, mb2_u64(at + MMAP_ENTRY_LEN));
    if (type == E820_RAM) {
        entry.type = BOOT_REGION_RAM;
    } else if (type == E820_ACPI || type == E820_NVS) {
        entry.type = BOOT_REGION_RECLAIMABLE;
    }
    return entry;
}

static enum boot_region_type efi_type(u32 type)
{
    switch (type) {
    case EFI_LOADER_CODE:
    case EFI_LOADER_DATA:
    case EFI_BOOT_SERVICES_CODE:
    case EFI_BOOT_SERVICES_DATA:
    case EFI_CONVENTIONAL:
        return BOOT_REGION_RAM;
    case EFI_ACPI_RECLAIM:
    case EFI_ACPI_NVS:
        return BOOT_REGION_RECLAIMABLE;
    default:
        return BOOT_REGION_RESERVED;
    }
}

static struct entry read_efi(const u8 *at)
{
    struct entry entry = {.base = mb2_u64(at + EFI_DESC_PHYS), .type = efi_type(mb2_u32(at + EFI_DESC_TYPE))};
    u64 pages = mb2_u64(at + EFI_DESC_PAGES);

    entry.end = saturating_end(entry.base, pages > ~0ULL >> EFI_PAGE_SHIFT ? ~0ULL : pages << EFI_PAGE_SHIFT);
    return entry;
}

static bool open_map(const struct mb2_tag *tag, struct map *map)
{
    bool efi = tag->type == MB2_TAG_EFI_MMAP;
    size_t min = efi ? EFI_DESC_MIN : MMAP_ENTRY_MIN;

    if (tag->len < MAP_ENTRIES) {
        return false;
    }
    map->entry_size = mb2_u32(tag->body + MAP_ENTRY_SIZE);
    if (map->entry_size < min) {
        return false;
    }
    map->entries = tag->body + MAP_ENTRIES;
    map->count = (tag->len - MAP_ENTRIES) / map->entry_size;
    map->read = efi ? read_efi : read_e820;
    return true;
}

/* Strictest type of all entries at address *at (from covered), and in *next the lowest boundary above it. */
static bool sweep_step(const struct map *map, u64 at, u64 *next, bool *covered, enum boot_region_type *type)
{
    *next = ~0ULL;
    *covered = false;
    *type = BOOT_REGION_RAM;
    for (size_t i = 0; i < map->count; i++) {
        struct entry entry = map->read(map->entries + i * map->entry_size);

        if (entry.base > at) {
            *next = MIN(*next, entry.base);
        } else if (entry.end > at) {
            *next = MIN(*next, entry.end);
            *covered = true;
            *type = MAX(*type, entry.type);
        }
    }
    return *next != ~0ULL || *covered;
}

static void append(struct boot_info *out, u64 base, u64 end, enum boot_region_type type)
{
    struct boot_region *last = out->region_count != 0 ? &out->regions[out->region_count - 1] : NULL;

    if (last != NULL && out->regions_dropped == 0 && last->type == type && last->base + last->len == base) {
        last->len += end - base;
    } else if (out->region_count < BOOT_REGIONS_MAX) {
        out->regions[out->region_count++] = (struct boot_region){base, end - base, type};
    } else {
        out->regions_dropped++;
    }
}

void mb2_parse_map(const struct mb2_tag *tag, struct boot_info *out)
{
    struct map map;
    enum boot_region_type type;
    bool covered;
    u64 next;

    out->region_count = 0;
    out->regions_dropped = 0;
    if (!open_map(tag, &map)) {
        return;
    }
    if (map.count > MB2_MAP_ENTRIES_MAX) {
        out->regions_dropped = (u32)(map.count - MB2_MAP_ENTRIES_MAX);
        map.count = MB2_MAP_ENTRIES_MAX;
    }
    for (u64 at = 0; sweep_step(&map, at, &next, &covered, &type); at = next) {
        if (covered) {
            append(out, at, next, type);
        }
    }
}
