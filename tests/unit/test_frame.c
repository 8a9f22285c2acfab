/* units: mm/frame.c mm/frame_init.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kernel/lib/errno.h"
#include "mm/frame.h"

#define SPAN GIB(16) /* of fake physical memory, reserved and not committed */
#define OWNER FRAME_OWNER_VM(3)

static struct boot_info info;

static int make_memory(void **context)
{
    (void)context;
    void *base = mmap(NULL, SPAN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED) {
        return -1;
    }
    physmap_base = (u64)base;
    return 0;
}

static int drop_memory(void **context)
{
    (void)context;
    return munmap((void *)physmap_base, SPAN);
}

static int clear_info(void **context)
{
    (void)context;
    memset(&info, 0, sizeof(info));
    return madvise((void *)physmap_base, SPAN, MADV_DONTNEED);
}

static void add_region(u64 base, u64 len, enum boot_region_type type)
{
    info.regions[info.region_count++] = (struct boot_region){base, len, type};
}

/* A PC with `bytes` of RAM, the usual holes, a kernel and a module. */
static void make_pc(u64 bytes)
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

static bool in_ram(u64 base, u64 len)
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

static bool in_reserved(u64 base, u64 len)
{
    bool hit = base == 0 || ranges_overlap(info.kernel_base.v, info.kernel_len, base, len);

    for (u32 i = 0; i < info.module_count; i++) {
        hit |= ranges_overlap(info.modules[i].base.v, info.modules[i].len, base, len);
    }
    return hit;
}

static bool is_zero(const void *mem, u64 len)
{
    const u64 *word = mem;

    for (u64 i = 0; i < len / 8; i++) {
        if (word[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Take every single frame, check each, and give all back. Dirty ones come back scrubbed. */
static void drain_and_refill(void)
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

static void test_large_machine(void **context)
{
    (void)context;
    hpa_t pa;

    make_pc(GIB(8));
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    assert_int_equal(frame_phys_limit(), GIB(9));
    assert_int_equal(frame_alloc(FRAME_ORDER_2M, OWNER, &pa), 0);
    assert_true(pa.v >= GIB(4)); /* large blocks come from above */
    assert_int_equal(frame_free(pa, FRAME_ORDER_2M, OWNER), 0);
    assert_int_equal(frame_alloc(0, OWNER, &pa), 0);
    assert_true(pa.v < GIB(4)); /* small ones from below */
    assert_int_equal(frame_free(pa, 0, OWNER), 0);
    assert_int_equal(frame_alloc(FRAME_ORDER_1G, OWNER, &pa), 0);
    assert_true(IS_ALIGNED(pa.v, GIB(1)));
    assert_int_equal(madvise(phys_ptr(pa), GIB(1), MADV_DONTNEED), 0);
    assert_int_equal(frame_count_owned(OWNER), BIT(FRAME_ORDER_1G));
    assert_int_equal(frame_free(pa, FRAME_ORDER_1G, OWNER), 0);
    assert_int_equal(frame_get_stats().free, frame_get_stats().total);
}

static void test_below(void **context)
{
    (void)context;
    hpa_t pa;

    make_pc(GIB(8));
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    assert_int_equal(frame_alloc_below(0, OWNER, MIB(1), &pa), 0);
    assert_true(pa.v < MIB(1));
    assert_int_equal(frame_alloc_below(FRAME_ORDER_2M, OWNER, GIB(4), &pa), 0);
    assert_true(pa.v + MIB(2) <= GIB(4));
    assert_int_equal(frame_alloc_below(4, OWNER, KIB(64), &pa), -E_NOMEM); /* frame 0 is out */
    assert_int_equal(frame_alloc_below(3, OWNER, KIB(64), &pa), 0);
    assert_int_equal(pa.v, KIB(32));
    assert_int_equal(frame_alloc_below(0, OWNER, FRAME_SIZE, &pa), -E_NOMEM);
    assert_int_equal(frame_alloc_below(FRAME_ORDER_2M, OWNER, GIB(5), &pa), 0);
    assert_true(pa.v + MIB(2) <= GIB(5));
    for (int i = 0; frame_alloc_below(0, OWNER, MIB(1), &pa) == 0; i++) {
        assert_true(i < 160);
        assert_true(pa.v + FRAME_SIZE <= MIB(1));
    }
}

static void test_refusals(void **context)
{
    (void)context;
    hpa_t pa = HPA(77);

    make_pc(MIB(64));
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    assert_int_equal(frame_alloc(FRAME_ORDER_MAX + 1, OWNER, &pa), -E_INVAL);
    assert_int_equal(frame_alloc(0, FRAME_OWNER_FREE, &pa), -E_INVAL);
    assert_int_equal(frame_alloc(0, FRAME_OWNER_RESERVED, &pa), -E_INVAL);
    assert_int_equal(frame_alloc(FRAME_ORDER_1G, OWNER, &pa), -E_NOMEM);
    assert_int_equal(pa.v, 77);

    assert_int_equal(frame_alloc(2, OWNER, &pa), 0);
    struct frame_stats stats = frame_get_stats();
    assert_int_equal(frame_free(pa, 1, OWNER), -E_INVAL);
    assert_int_equal(frame_free(pa, 3, OWNER), -E_INVAL);
    assert_int_equal(frame_free(pa, 2, OWNER + 1), -E_INVAL);
    assert_int_equal(frame_free(HPA(pa.v + 1), 2, OWNER), -E_INVAL);
    assert_int_equal(frame_free(HPA(pa.v + FRAME_SIZE), 0, OWNER), -E_INVAL);
    assert_int_equal(frame_free(HPA(MIB(1)), 0, FRAME_OWNER_RESERVED), -E_INVAL);
    assert_int_equal(frame_free(HPA(MIB(1)), 0, FRAME_OWNER_KERNEL), -E_INVAL);
    assert_int_equal(frame_free(HPA(GIB(100)), 0, OWNER), -E_INVAL);
    assert_int_equal(frame_free(HPA(~0xFFFULL), 0, OWNER), -E_INVAL);
    assert_memory_equal(&stats, &(struct frame_stats[]){frame_get_stats()}, sizeof(stats));
    assert_int_equal(frame_free(pa, 2, OWNER), 0);
    assert_int_equal(frame_free(pa, 2, OWNER), -E_INVAL); /* double free */
    assert_int_equal(frame_get_stats().free, frame_get_stats().total);
}

static void test_scrub(void **context)
{
    (void)context;
    hpa_t first, second;

    make_pc(MIB(64));
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    assert_int_equal(frame_alloc(3, OWNER, &first), 0);
    memset(phys_ptr(first), 0xA5, FRAME_SIZE << 3);
    assert_int_equal(frame_free(first, 3, OWNER), 0);
    assert_int_equal(frame_alloc(3, OWNER, &second), 0);
    assert_int_equal(first.v, second.v);
    assert_true(is_zero(phys_ptr(second), FRAME_SIZE << 3));
}

static void test_release_module(void **context)
{
    (void)context;
    make_pc(MIB(64));
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    struct frame_stats before = frame_get_stats();

    frame_release_reserved(0, MIB(2)); /* frame 0 and the kernel stay; nothing else there is reserved */
    frame_release_reserved(~0ULL - 4, 100);
    frame_release_reserved(MIB(8), 4095);
    assert_int_equal(frame_get_stats().free, before.free);
    frame_release_reserved(info.modules[0].base.v, info.modules[0].len);
    struct frame_stats after = frame_get_stats();
    assert_int_equal(after.free, before.free + 12345678 / FRAME_SIZE);
    assert_int_equal(after.total, after.free);
    assert_int_equal(after.total + after.reserved, before.total + before.reserved);
    frame_release_reserved(info.modules[0].base.v, info.modules[0].len);
    assert_int_equal(frame_get_stats().free, after.free);
    info.module_count = 0;
    drain_and_refill();
}

/* A release over everything must not free what is in use or pinned. */
static void test_release_is_safe(void **context)
{
    (void)context;
    hpa_t pa;

    make_pc(MIB(64));
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    assert_int_equal(frame_alloc(5, OWNER, &pa), 0);
    struct frame_stats before = frame_get_stats();
    frame_release_reserved(0, ~0ULL);
    assert_int_equal(frame_get_stats().free, before.free + 3015); /* the module alone */
    assert_int_equal(frame_free(pa, 5, OWNER), 0);
    info.module_count = 0;
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

#define MODEL_BLOCKS 400

struct model_block {
    hpa_t pa;
    unsigned order;
    u16 owner;
};

static void check_against(const struct model_block *blocks, u32 count, hpa_t pa, unsigned order)
{
    assert_true(IS_ALIGNED(pa.v, FRAME_SIZE << order));
    assert_true(in_ram(pa.v, FRAME_SIZE << order));
    assert_false(in_reserved(pa.v, FRAME_SIZE << order));
    for (u32 i = 0; i < count; i++) {
        assert_false(ranges_overlap(blocks[i].pa.v, FRAME_SIZE << blocks[i].order, pa.v, FRAME_SIZE << order));
    }
}

static void test_random_against_model(void **context)
{
    static struct model_block blocks[MODEL_BLOCKS];
    u32 count = 0;
    u64 held = 0;

    (void)context;
    srand(4711);
    make_pc(MIB(256));
    assert_int_equal(frame_init(&info, NULL, 0), 0);
    u64 total = frame_get_stats().total;
    for (int step = 0; step < 60000; step++) {
        unsigned order = (unsigned)rand() % 8 + ((unsigned)rand() % 50 == 0 ? 4 : 0);
        u32 pick = count == 0 ? 0 : (u32)rand() % count;
        if (count < MODEL_BLOCKS && rand() % 2 == 0) {
            struct model_block block = {HPA(0), order, FRAME_OWNER_VM(rand() % 5)};
            if (frame_alloc(order, block.owner, &block.pa) == 0) {
                check_against(blocks, count, block.pa, order);
                assert_int_equal(*(u64 *)phys_ptr(block.pa), 0);
                *(u64 *)phys_ptr(block.pa) = 99;
                blocks[count++] = block;
                held += BIT(order);
            }
        } else if (count != 0) {
            struct model_block block = blocks[pick];
            assert_int_equal(frame_free(block.pa, block.order + 1, block.owner), -E_INVAL);
            assert_int_equal(frame_free(block.pa, block.order, block.owner), 0);
            blocks[pick] = blocks[--count];
            held -= BIT(block.order);
        }
        assert_int_equal(frame_get_stats().free, total - held);
    }
    while (count != 0) {
        count--;
        assert_int_equal(frame_free(blocks[count].pa, blocks[count].order, blocks[count].owner), 0);
    }
    for (u16 id = 0; id < 5; id++) {
        assert_int_equal(frame_count_owned(FRAME_OWNER_VM(id)), 0);
    }
    assert_int_equal(frame_count_owned(FRAME_OWNER_FREE), total);
    hpa_t pa; /* everything has joined again */
    assert_int_equal(frame_alloc(14, OWNER, &pa), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_small_machine, clear_info),
        cmocka_unit_test_setup(test_reserved_argument, clear_info),
        cmocka_unit_test_setup(test_large_machine, clear_info),
        cmocka_unit_test_setup(test_below, clear_info),
        cmocka_unit_test_setup(test_refusals, clear_info),
        cmocka_unit_test_setup(test_scrub, clear_info),
        cmocka_unit_test_setup(test_release_module, clear_info),
        cmocka_unit_test_setup(test_release_is_safe, clear_info),
        cmocka_unit_test_setup(test_absurd_maps, clear_info),
        cmocka_unit_test_setup(test_absurd_sizes, clear_info),
        cmocka_unit_test_setup(test_adjacent_regions_join, clear_info),
        cmocka_unit_test_setup(test_random_against_model, clear_info),
    };

    return cmocka_run_group_tests(tests, make_memory, drop_memory);
}
