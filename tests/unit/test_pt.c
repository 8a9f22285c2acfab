/* units: mm/pt.c mm/pt_query.c mm/x86_64/pt_formats.c mm/frame.c mm/frame_init.c tests/unit/memory.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "kernel/lib/errno.h"
#include "mm/frame.h"
#include "mm/x86_64/pt_formats.h"
#include "tests/unit/memory.h"

#define OWNER FRAME_OWNER_PAGETABLE
#define UPPER 0xFFFF800000000000ULL
#define RW (PT_READ | PT_WRITE)

static const struct pt_format *const formats[] = {&pt_format_host, &pt_format_host_2m, &pt_format_ept,
                                                  &pt_format_ept_2m, &pt_format_npt, &pt_format_npt_2m};

static u64 frames_at_start;

static void start(struct pt *pt, const struct pt_format *format)
{
    memory_start(MIB(1), MIB(16));
    frames_at_start = frame_get_stats().free;
    assert_int_equal(pt_init(pt, format, OWNER), 0);
    assert_int_equal(pt->tables, 1);
}

static void finish(struct pt *pt)
{
    assert_int_equal(frame_count_owned(OWNER), pt->tables);
    pt_destroy(pt);
    assert_int_equal(frame_get_stats().free, frames_at_start);
}

static void expect(struct pt *pt, u64 va, u64 pa, unsigned level, u32 attr)
{
    struct pt_mapping found;

    assert_int_equal(pt_query(pt, va, &found), 0);
    assert_int_equal(found.pa.v, pa);
    assert_int_equal(found.level, level);
    assert_int_equal(found.attr, attr);
}

static void expect_none(struct pt *pt, u64 va)
{
    struct pt_mapping found;

    assert_int_equal(pt_query(pt, va, &found), -E_NOENT);
}

static void expect_leaves(struct pt *pt, u64 small, u64 medium, u64 large)
{
    u64 counts[3];

    pt_count_leaves(pt, counts);
    assert_int_equal(counts[0], small);
    assert_int_equal(counts[1], medium);
    assert_int_equal(counts[2], large);
}

static void test_arguments(void **context)
{
    (void)context;
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        struct pt pt;
        bool high = formats[i]->sign_extended;

        start(&pt, formats[i]);
        assert_int_equal(pt_map(&pt, 1, HPA(0), KIB(4), RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, 0, HPA(1), KIB(4), RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, 0, HPA(0), KIB(4) - 1, RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, 0, HPA(0), 0, RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, 0, HPA(0), KIB(4), PT_WRITE), -E_INVAL);
        assert_int_equal(pt_map(&pt, 0, HPA(BIT(52)), KIB(4), RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, 0, HPA(BIT(52) - KIB(4)), KIB(8), RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, 0, HPA(~0xFFFULL), KIB(8), RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, BIT(48), HPA(0), KIB(4), RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, BIT(47) - KIB(4), HPA(0), KIB(8), RW), high ? -E_INVAL : 0);
        assert_int_equal(pt_map(&pt, ~0xFFFULL, HPA(0), KIB(8), RW), -E_INVAL);
        assert_int_equal(pt_map(&pt, ~0xFFFULL, HPA(0), KIB(4), RW), high ? 0 : -E_INVAL);
        assert_int_equal(pt_map(&pt, UPPER - KIB(4), HPA(0), KIB(4), RW), -E_INVAL);
        assert_int_equal(pt_unmap(&pt, 1, KIB(4)), -E_INVAL);
        assert_int_equal(pt_unmap(&pt, 0, 0), -E_INVAL);
        assert_int_equal(pt_protect(&pt, 0, ~0ULL, RW), -E_INVAL);
        assert_int_equal(pt_protect(&pt, 0, KIB(4), PT_EXEC), -E_INVAL);
        expect_none(&pt, BIT(60));
        finish(&pt);
    }
}

/* What the hardware sees, entry by entry. */
static void test_entry_bits(void **context)
{
    (void)context;
    const struct pt_format *host = &pt_format_host, *ept = &pt_format_ept, *npt = &pt_format_npt;

    assert_int_equal(host->make_leaf(HPA(0x5000), 0, PT_READ), 0x8000000000005061ULL);
    assert_int_equal(host->make_leaf(HPA(0x5000), 0, RW | PT_GLOBAL), 0x8000000000005163ULL);
    assert_int_equal(host->make_leaf(HPA(0x200000), 1, PT_READ | PT_EXEC), 0x2000E1ULL);
    assert_int_equal(host->make_leaf(HPA(0x40000000), 2, RW | PT_USER), 0x80000000400000E7ULL);
    assert_int_equal(host->make_leaf(HPA(0xFEE00000), 0, RW | PT_UNCACHED), 0x80000000FEE0007BULL);
    assert_int_equal(host->make_table(HPA(0x7000)), 0x7027);
    assert_int_equal(npt->make_leaf(HPA(0x5000), 0, RW | PT_EXEC), 0x5067);
    assert_int_equal(npt->make_leaf(HPA(0x200000), 1, PT_READ), 0x80000000002000E5ULL);
    assert_int_equal(npt->make_leaf(HPA(0x5000), 0, RW | PT_EXEC | PT_GLOBAL), 0x5067);
    assert_int_equal(npt->make_table(HPA(0x7000)), 0x7027);
    assert_int_equal(ept->make_leaf(HPA(0x5000), 0, RW | PT_EXEC), 0x5037);
    assert_int_equal(ept->make_leaf(HPA(0x200000), 1, PT_READ | PT_EXEC), 0x2000B5);
    assert_int_equal(ept->make_leaf(HPA(0x40000000), 2, RW), 0x400000B3);
    assert_int_equal(ept->make_leaf(HPA(0xFEE00000), 0, RW | PT_UNCACHED), 0xFEE00003);
    assert_int_equal(ept->make_table(HPA(0x7000)), 0x7007);
    assert_true(ept->is_present(4) && !ept->is_present(0x5030) && !npt->is_present(6));
    /* The PAT bit of a large page is not part of its address. */
    assert_int_equal(npt->entry_pa(0x2010E7, 1).v, 0x200000);
}

static void test_leaf_sizes(void **context)
{
    (void)context;
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        struct pt pt;
        unsigned top = formats[i]->max_leaf_level;

        start(&pt, formats[i]);
        /* 4K + 2M up to the next GiB, one GiB, then 2M + 4K again */
        u64 va = GIB(1) - MIB(2) - KIB(4);
        assert_int_equal(pt_map(&pt, va, HPA(GIB(4) + va), GIB(1) + 2 * (MIB(2) + KIB(4)), RW), 0);
        expect_leaves(&pt, 2, top == 2 ? 2 : 514, top == 2 ? 1 : 0);
        expect(&pt, va + 5, GIB(4) + va + 5, 0, RW);
        expect(&pt, GIB(1) - 1, GIB(5) - 1, 1, RW);
        expect(&pt, GIB(1) + 12345678, GIB(5) + 12345678, top, RW);
        expect(&pt, GIB(2) + MIB(2), GIB(6) + MIB(2), 0, RW);
        expect_none(&pt, va - 1);
        expect_none(&pt, GIB(2) + MIB(2) + KIB(4));
        /* alignment that does not match forbids large leaves */
        assert_int_equal(pt_map(&pt, GIB(8), HPA(KIB(4)), MIB(2), RW), 0);
        expect(&pt, GIB(8) + MIB(1), MIB(1) + KIB(4), 0, RW);
        assert_int_equal(pt_unmap(&pt, 0, GIB(16)), 0);
        assert_int_equal(pt.tables, 1);
        expect_leaves(&pt, 0, 0, 0);
        finish(&pt);
    }
}

static void test_exist(void **context)
{
    (void)context;
    struct pt pt;

    start(&pt, &pt_format_ept);
    assert_int_equal(pt_map(&pt, MIB(3), HPA(0), KIB(4), RW), 0);
    u64 tables = pt.tables;
    assert_int_equal(pt_map(&pt, 0, HPA(GIB(1)), MIB(4), RW), -E_EXIST);
    assert_int_equal(pt_map(&pt, MIB(3), HPA(GIB(1)), KIB(4), RW), -E_EXIST);
    assert_int_equal(pt.tables, tables);
    expect_leaves(&pt, 1, 0, 0);
    expect(&pt, MIB(3), 0, 0, RW);
    assert_int_equal(pt_map(&pt, 0, HPA(GIB(1)), MIB(3), RW), 0); /* around it: fine, with a 2M leaf below */
    assert_int_equal(pt_map(&pt, MIB(3) + KIB(4), HPA(GIB(1)), GIB(1), RW), 0);
    assert_int_equal(pt_map(&pt, GIB(1), HPA(0), KIB(4), RW), -E_EXIST);
    finish(&pt);
}

static void test_split(void **context)
{
    (void)context;
    struct pt pt;

    start(&pt, &pt_format_npt);
    assert_int_equal(pt_map(&pt, 0, HPA(GIB(4)), GIB(2), RW | PT_EXEC), 0);
    expect_leaves(&pt, 0, 0, 2);
    u64 generation = pt.generation;
    assert_int_equal(pt_unmap(&pt, MIB(5), KIB(4)), 0);
    assert_int_equal(pt.generation, generation + 1);
    expect_leaves(&pt, 511, 511, 1);
    expect_none(&pt, MIB(5));
    expect(&pt, MIB(5) - 1, GIB(4) + MIB(5) - 1, 0, RW | PT_EXEC);
    expect(&pt, MIB(5) + KIB(4), GIB(4) + MIB(5) + KIB(4), 0, RW | PT_EXEC);
    expect(&pt, MIB(8), GIB(4) + MIB(8), 1, RW | PT_EXEC);
    assert_int_equal(pt_protect(&pt, GIB(2) - KIB(8), KIB(8), PT_READ), 0);
    expect_leaves(&pt, 511 + 512, 511 + 511, 0);
    expect(&pt, GIB(2) - 1, GIB(6) - 1, 0, PT_READ);
    expect(&pt, GIB(2) - KIB(8) - 1, GIB(6) - KIB(8) - 1, 0, RW | PT_EXEC);
    /* whole leaves change without a split; holes are fine */
    assert_int_equal(pt_protect(&pt, 0, GIB(64), RW), 0);
    expect_leaves(&pt, 511 + 512, 511 + 511, 0);
    expect(&pt, GIB(2) - 1, GIB(6) - 1, 0, RW);
    expect_none(&pt, MIB(5));
    finish(&pt);
}

/* Every possible number of free frames: a failure leaves the tree as it was, success needs no more. */
static void test_exhaustion(void **context)
{
    (void)context;
    for (u64 spare = 0; spare < 12; spare++) {
        struct pt pt;

        start(&pt, &pt_format_host);
        assert_int_equal(pt_map(&pt, UPPER, HPA(0), GIB(1), RW), 0);
        u64 tables = pt.tables;
        memory_hog(spare);
        int error = pt_map(&pt, GIB(1) - KIB(4), HPA(GIB(2) - KIB(4)), GIB(600) + KIB(8), RW);
        assert_int_equal(error, spare >= 6 ? 0 : -E_NOMEM); /* 3 tables below 512G, 3 above */
        if (error != 0) {
            assert_int_equal(pt.tables, tables);
            expect_leaves(&pt, 0, 0, 1);
        }
        memory_unhog();
        assert_int_equal(error == 0 ? pt_unmap(&pt, 0, GIB(1024)) : 0, 0);
        assert_int_equal(pt.tables, tables);

        memory_hog(spare);
        error = pt_unmap(&pt, UPPER + MIB(3), MIB(4));
        assert_int_equal(error, spare >= 3 ? 0 : -E_NOMEM); /* one for 1G, one for each edge */
        if (error != 0) {
            for (u64 va = 0; va < GIB(1); va += KIB(512)) {
                struct pt_mapping found;
                assert_int_equal(pt_query(&pt, UPPER + va, &found), 0);
                assert_int_equal(found.pa.v, va);
                assert_int_equal(found.attr, RW);
            }
        }
        memory_unhog();
        finish(&pt);
    }
}

static void test_init_without_memory(void **context)
{
    (void)context;
    struct pt pt = {.tables = 77};

    memory_start(MIB(1), MIB(16));
    memory_hog(0);
    assert_int_equal(pt_init(&pt, &pt_format_ept, OWNER), -E_NOMEM);
    assert_int_equal(pt.tables, 77);
    memory_unhog();
}

#define MODEL_PAGES (GIB(3) >> FRAME_SHIFT)

struct model_page {
    u32 frame; /* frame number + 1; 0 = not mapped */
    u32 attr;
};

static struct model_page *model;

static void check_page(struct pt *pt, u64 base, u64 page)
{
    struct pt_mapping found;
    int error = pt_query(pt, base + (page << FRAME_SHIFT) + 77, &found);

    assert_int_equal(error, model[page].frame == 0 ? -E_NOENT : 0);
    if (error == 0) {
        assert_int_equal(found.pa.v, ((u64)(model[page].frame - 1) << FRAME_SHIFT) + 77);
        assert_int_equal(found.attr, model[page].attr);
    }
}

static u64 random_below(u64 limit)
{
    return (((u64)rand() << 31) ^ (u64)rand()) % limit;
}

/* A start and a length in pages, often on 2M or 1G borders. */
static void random_range(u64 *page, u64 *count)
{
    static const u64 units[] = {1, 1, 512, 512, 262144};
    u64 unit = units[rand() % 5];

    *page = ALIGN_DOWN(random_below(MODEL_PAGES), unit);
    *count = (1 + random_below(4)) * units[rand() % 5];
    *count = MIN(*count, MODEL_PAGES - *page);
}

static void random_step(struct pt *pt, u64 base)
{
    u64 page, count;
    u32 attr = PT_READ | ((u32)rand() & (PT_WRITE | PT_EXEC | PT_UNCACHED));
    u32 frame = rand() % 2 == 0 ? (u32)random_below(1 << 20) : (u32)random_below(64) << 18;
    int what = rand() % 4;

    random_range(&page, &count);
    u64 va = base + (page << FRAME_SHIFT);
    bool mapped = false;
    for (u64 i = 0; i < count; i++) {
        mapped |= model[page + i].frame != 0;
    }
    if (what < 2) {
        frame = (rand() & 1) != 0 ? frame : (frame & ~511U) | (u32)(page & 511);
        int error = pt_map(pt, va, HPA((u64)frame << FRAME_SHIFT), count << FRAME_SHIFT, attr);
        assert_int_equal(error, mapped ? -E_EXIST : 0);
        for (u64 i = 0; !mapped && i < count; i++) {
            model[page + i] = (struct model_page){frame + (u32)i + 1, attr};
        }
        return;
    }
    assert_int_equal(what == 2 ? pt_unmap(pt, va, count << FRAME_SHIFT) :
                                 pt_protect(pt, va, count << FRAME_SHIFT, attr), 0);
    for (u64 i = 0; i < count; i++) {
        model[page + i].attr = attr;
        model[page + i].frame = what == 2 ? 0 : model[page + i].frame;
    }
}

static void test_random_against_model(void **context)
{
    (void)context;
    model = calloc(MODEL_PAGES, sizeof(*model));
    assert_non_null(model);
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        struct pt pt;
        u64 base = formats[i]->sign_extended ? UPPER + GIB(511) : GIB(511); /* crosses a top-level slot */

        srand(1000 + (int)i);
        start(&pt, formats[i]);
        memset(model, 0, MODEL_PAGES * sizeof(*model));
        for (int step = 0; step < 600; step++) {
            random_step(&pt, base);
            for (int probe = 0; probe < 50; probe++) {
                check_page(&pt, base, random_below(MODEL_PAGES));
            }
        }
        for (u64 page = 0; page < MODEL_PAGES; page++) {
            check_page(&pt, base, page);
        }
        assert_int_equal(pt_unmap(&pt, base, GIB(3)), 0);
        assert_int_equal(pt.tables, 1); /* every empty table went back */
        finish(&pt);
    }
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_entry_bits),
        cmocka_unit_test(test_leaf_sizes),
        cmocka_unit_test(test_exist),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_init_without_memory),
        cmocka_unit_test(test_random_against_model),
    };

    return cmocka_run_group_tests(tests, memory_reserve, memory_drop);
}
