#include "drivers/x86_64/trampoline.h"

#define LOW_MEMORY_END KIB(640)

static bool in_ram(const struct boot_info *info, u64 page)
{
    for (u32 i = 0; i < info->region_count; i++) {
        const struct boot_region *r = &info->regions[i];
        if (r->type == BOOT_REGION_RAM && range_contains(r->base, r->len, page, FRAME_SIZE)) {
            return true;
        }
    }
    return false;
}

static bool in_use(const struct boot_info *info, u64 page)
{
    if (ranges_overlap(page, FRAME_SIZE, info->info_base.v, info->info_len) ||
        ranges_overlap(page, FRAME_SIZE, info->kernel_base.v, info->kernel_len)) {
        return true;
    }
    for (u32 i = 0; i < info->module_count; i++) {
        if (ranges_overlap(page, FRAME_SIZE, info->modules[i].base.v, info->modules[i].len)) {
            return true;
        }
    }
    return false;
}

struct frame_range trampoline_choose(const struct boot_info *info)
{
    /* From the top: loaders and BIOSes use the bottom. Page 0 is never taken. */
    for (u64 page = LOW_MEMORY_END - FRAME_SIZE; page != 0; page -= FRAME_SIZE) {
        if (in_ram(info, page) && !in_use(info, page)) {
            return (struct frame_range){.base = page, .len = FRAME_SIZE};
        }
    }
    return (struct frame_range){.base = 0, .len = 0};
}
