/* Any bytes as a multiboot2 information block: no fault, no endless loop, and a result that keeps its promises. */
/* units: boot/mb2.c boot/mb2_map.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "boot/mb2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct boot_info info;

static void check_regions(void)
{
    u64 end = 0;

    if (info.region_count > BOOT_REGIONS_MAX) {
        abort();
    }
    for (u32 i = 0; i < info.region_count; i++) {
        const struct boot_region *region = &info.regions[i];
        if (region->len == 0 || region->base < end || region->len > ~0ULL - region->base) {
            abort();
        }
        end = region->base + region->len;
    }
}

static void check_strings(size_t size)
{
    if (strnlen(info.cmdline, BOOT_CMDLINE_MAX) >= BOOT_CMDLINE_MAX || info.module_count > BOOT_MODULES_MAX) {
        abort();
    }
    for (u32 i = 0; i < info.module_count; i++) {
        if (strlen(info.modules[i].cmdline) > size) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u8 *copy = malloc(size + 1);

    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    (void)!mb2_parse(copy, size, &info);
    check_regions();
    check_strings(size);
    free(copy);
    return 0;
}
