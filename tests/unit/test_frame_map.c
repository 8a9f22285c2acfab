/* units: mm/frame.c mm/frame_init.c tests/unit/frame_pc.c tests/unit/memory.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include "kernel/lib/errno.h"
#include "mm/frame.h"
#include "tests/unit/frame_pc.h"
#include "tests/unit/memory.h"

static void test_small_machine(void **context)
{
    (void)context;
    make_pc(MIB(64));
    assert_int_equal(frame_init(&info, NULL, 0), 0);

    struct frame_stats stats = frame_get_stats();
    u64 ram = KIB(636) / FRAME_SIZE + (MIB(63) - KIB(128)) / FRAME_SIZE; /* 639K rounds down to 636K */
    u64 table = ALIGN_UP(ram * 8, FRAME_SIZE) / FRAME_SIZE;
    u64 held = 1 + 171 + 3015 + table; /* frame 0, kernel, module */
    assert_int_equal(stats.reserved, held);
    assert_int_equal(stats.total, ram - held);
    assert_int_equal(stats.free, stats.total);
    assert_int_equal(frame_phys_limit(), MIB(64) - KIB(128));
    drain_and_refill();
}

static void test_absurd_maps(void **context)
{
    (void)context;
    assert_int_equal(frame_init(&info, NULL, 0), -E_NOMEM); /* no RAM at all */

    add_region(MIB(32), MIB(8), BOOT_REGION_RAM); /* unsorted, overlapping, doubled, wrapping, empty, unaligned */
    add_region(MIB(1), MIB(4), BOOT_REGION_RAM);
    add_region(MIB(4), MIB(4), BOOT_REGION_RAM);
    add_region(MIB(1), MIB(4), BOOT_REGION_RAM);
    add_region(MIB(34), MIB(1), BOOT_REGION_RESERVED);
    add_region(MIB(36) + 1, 1, BOOT_REGION_RECLAIMABLE);
    add_region(MIB(60) + 1, 4096, BOOT_REGION_RAM); /* no whole frame */
    add_region(MIB(61), 0, BOOT_REGION_RAM);
    add_region(~0ULL - 100, ~0ULL, BOOT_REGION_RAM);
    add_region(PHYSMAP_LIMIT, GIB(1), BOOT_REGION_RAM);
    add_region(~0ULL, ~0ULL, BOOT_REGION_RESERVED);
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    struct frame_stats stats = frame_get_stats();
    u64 ram = (MIB(7) + MIB(8) - MIB(1)) / FRAME_SIZE - 1;
    assert_int_equal(stats.total + stats.reserved, ram);
    assert_int_equal(stats.reserved, ALIGN_UP(ram * 8, FRAME_SIZE) / FRAME_SIZE);
    assert_int_equal(frame_phys_limit(), MIB(40));
    hpa_t pa;
    for (u64 i = 0; i < stats.free; i++) {
        assert_int_equal(frame_alloc(0, OWNER, &pa), 0);
        assert_false(ranges_overlap(MIB(34), MIB(1), pa.v, FRAME_SIZE));
    }
    assert_int_equal(frame_alloc(0, OWNER, &pa), -E_NOMEM);
}

static void test_absurd_sizes(void **context)
{
    (void)context;
    add_region(0, ~0ULL, BOOT_REGION_RAM); /* 16 EiB of RAM, of which most is something else */
    add_region(MIB(64), ~0ULL - MIB(64), BOOT_REGION_RESERVED);
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    assert_int_equal(frame_phys_limit(), MIB(64));
    drain_and_refill();

    info.region_count = 0;
    for (u32 i = 0; i < BOOT_REGIONS_MAX; i++) { /* one frame each, with gaps */
        add_region(MIB(1) + i * KIB(8), KIB(4), BOOT_REGION_RAM);
    }
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    assert_int_equal(frame_get_stats().total + frame_get_stats().reserved, BOOT_REGIONS_MAX);
    drain_and_refill();

    info.region_count = BOOT_REGIONS_MAX + 100; /* a lying count */
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    info.region_count = BOOT_REGIONS_MAX;
    drain_and_refill();
}

static void test_adjacent_regions_join(void **context)
{
    (void)context;
    hpa_t pa;

    for (u64 i = 0; i < 16; i++) {
        add_region(MIB(16) + i * KIB(256), KIB(256), BOOT_REGION_RAM);
    }
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    assert_int_equal(frame_alloc(FRAME_ORDER_2M, OWNER, &pa), 0);
    assert_int_equal(pa.v, MIB(16));
}

static void test_reserved_argument(void **context)
{
    (void)context;
    const struct frame_range keep[] = {{MIB(40) + 5, 1}, {MIB(40) + 4090, 10}, {~0ULL - 5, 100}, {MIB(41), 0},
                                       {0x8000, 0x1000}};

    make_pc(MIB(64));
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    u64 without = frame_get_stats().free;
    assert_int_equal(frame_init(&info, keep, ARRAY_SIZE(keep)), 0);
    assert_int_equal(frame_get_stats().free, without - 3);
    hpa_t pa;
    while (frame_alloc(0, OWNER, &pa) == 0) {
        assert_true(pa.v != 0x8000 && pa.v != MIB(40) && pa.v != MIB(40) + FRAME_SIZE);
    }
}

static u64 random_address(void)
{
    u64 near = ((u64)rand() << 8 ^ (u64)rand()) % MIB(24);

    return rand() % 8 == 0 ? ~0ULL - near : near;
}

/* Any map at all: either it is refused for want of RAM, or all that is handed out is RAM and nobody else's. */
static void test_random_maps(void **context)
{
    u32 refused = 0;

    srand(17);
    for (int round = 0; round < 300; round++) {
        (void)clear_info(context);
        for (int i = rand() % 12; i >= 0; i--) {
            u64 len = rand() % 6 == 0 ? ~0ULL : random_address() / 4;
            add_region(random_address(), len, (enum boot_region_type)(rand() % 3));
        }
        add_region(MIB(32), ~0ULL, BOOT_REGION_RESERVED); /* so that the fake memory is enough */
        info.kernel_base = HPA(random_address());
        info.kernel_len = random_address() / 16;
        info.modules[0] = (struct boot_module){HPA(random_address()), random_address() / 8, ""};
        info.module_count = 1;
        if (frame_init(&info, NULL, 0) == 0) {
            frame_release_reserved(info.modules[0].base.v, info.modules[0].len);
            info.module_count = 0;
            drain_and_refill();
        } else {
            refused++;
        }
    }
    assert_true(refused > 0 && refused < 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_small_machine, clear_info),
        cmocka_unit_test_setup(test_absurd_maps, clear_info),
        cmocka_unit_test_setup(test_absurd_sizes, clear_info),
        cmocka_unit_test_setup(test_random_maps, clear_info),
        cmocka_unit_test_setup(test_adjacent_regions_join, clear_info),
        cmocka_unit_test_setup(test_reserved_argument, clear_info),
    };

    return cmocka_run_group_tests(tests, memory_reserve, memory_drop);
}
