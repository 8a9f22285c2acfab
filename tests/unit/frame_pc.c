/* See frame_pc.h. */
#include "tests/unit/frame_pc.h"
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "mm/frame.h"
#include "tests/unit/memory.h"

struct boot_info info;

int clear_info(void **context)
{
    (void)context;
    memset(&info, 0, sizeof(info));
    memory_clear();
    return 0;
}

void add_region(u64 base, u64 len, enum boot_region_type type)
{
    info.regions[info.region_count++] = (struct boot_region){base, len, type};
}

void make_pc(u64 bytes)
{
    u64 low = MIN(bytes, GIB(3));

    add_region(0, KIB(639), BOOT_REGION_RAM);
    add_region(KIB(639), KIB(385), BOOT_REGION_RESERVED);
    add_region(MIB(1), low - MIB(1) - KIB(128), BOOT_REGION_RAM);
    add_region(low - KIB(128), KIB(128), BOOT_REGION_RECLAIMABLE);
    add_region(GIB(4) - MIB(1), MIB(1), BOOT_REGION_RESERVED);
    if (bytes > low) {
        add_region(GIB(4), bytes - low, BOOT_REGION_RAM);
    }
    info.kernel_base = HPA(MIB(1));
    info.kernel_len = 700000;
    info.modules[info.module_count++] = (struct boot_module){HPA(MIB(8)), 12345678, ""};
}

bool in_ram(u64 base, u64 len)
{
    for (u32 i = 0; i < info.region_count; i++) {
        const struct boot_region *region = &info.regions[i];
        if (region->type != BOOT_REGION_RAM && ranges_overlap(region->base, region->len, base, len)) {
            return false;
        }
    }
    for (u32 i = 0; i < info.region_count; i++) {
        const struct boot_region *region = &info.regions[i];
        if (region->type == BOOT_REGION_RAM && range_contains(region->base, region->len, base, len)) {
            return true;
        }
    }
    return false;
}

bool in_reserved(u64 base, u64 len)
{
    bool hit = base == 0 || ranges_overlap(info.kernel_base.v, info.kernel_len, base, len);

    for (u32 i = 0; i < info.module_count; i++) {
        hit |= ranges_overlap(info.modules[i].base.v, info.modules[i].len, base, len);
    }
    return hit;
}

void drain_and_refill(void)
{
    struct frame_stats before = frame_get_stats();
    hpa_t *taken = calloc(before.free + 1, sizeof(*taken));
    u64 count = 0;

    assert_non_null(taken);
    while (frame_alloc(0, OWNER, &taken[count]) == 0) {
        assert_true(count < before.free);
        assert_true(in_ram(taken[count].v, FRAME_SIZE));
        assert_false(in_reserved(taken[count].v, FRAME_SIZE));
        assert_true(*(u64 *)phys_ptr(taken[count]) == 0); /* never handed out twice: the next line marks it */
        *(u64 *)phys_ptr(taken[count]) = 1;
        count++;
    }
    assert_int_equal(count, before.free);
    assert_int_equal(frame_get_stats().free, 0);
    assert_int_equal(frame_count_owned(OWNER), before.free);
    for (u64 i = 0; i < count; i++) {
        assert_int_equal(frame_free(taken[(i * 7919) % count], 0, OWNER), 0); /* a prime: every one once */
    }
    assert_int_equal(frame_get_stats().free, before.free);
    assert_int_equal(frame_count_owned(OWNER), 0);
    assert_int_equal(frame_count_owned(FRAME_OWNER_FREE), before.free);
    free(taken);
}
