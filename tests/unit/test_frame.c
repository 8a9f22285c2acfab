/* units: mm/frame.c mm/frame_init.c tests/unit/frame_pc.c tests/unit/memory.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kernel/lib/errno.h"
#include "mm/frame.h"
#include "tests/unit/frame_pc.h"
#include "tests/unit/memory.h"

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
        cmocka_unit_test_setup(test_large_machine, clear_info),
        cmocka_unit_test_setup(test_below, clear_info),
        cmocka_unit_test_setup(test_refusals, clear_info),
        cmocka_unit_test_setup(test_scrub, clear_info),
        cmocka_unit_test_setup(test_release_module, clear_info),
        cmocka_unit_test_setup(test_release_is_safe, clear_info),
        cmocka_unit_test_setup(test_random_against_model, clear_info),
    };

    return cmocka_run_group_tests(tests, memory_reserve, memory_drop);
}
