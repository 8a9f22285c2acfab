/* units: vm/gmem.c mm/pt.c mm/pt_query.c mm/x86_64/pt_formats.c mm/frame.c mm/frame_init.c tests/unit/memory.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "kernel/lib/errno.h"
#include "mm/frame.h"
#include "mm/x86_64/pt_formats.h"
#include "tests/unit/memory.h"
#include "vm/gmem.h"

#define OWNER FRAME_OWNER_VM(1)

static struct gmem mem;
static u64 frames_at_start;

static int start(void **context)
{
    (void)context;
    memory_start(MIB(1), MIB(63));
    frames_at_start = frame_get_stats().free;
    return gmem_init(&mem, &pt_format_npt, OWNER);
}

static int finish(void **context)
{
    (void)context;
    gmem_destroy(&mem);
    assert_int_equal(frame_count_owned(OWNER), 0);
    assert_int_equal(frame_get_stats().free, frames_at_start);
    return 0;
}

static void test_arguments(void **context)
{
    (void)context;
    assert_int_equal(gmem_add(&mem, 1, KIB(4), GMEM_RAM), -E_INVAL);
    assert_int_equal(gmem_add(&mem, 0, 1, GMEM_RAM), -E_INVAL);
    assert_int_equal(gmem_add(&mem, 0, 0, GMEM_RAM), -E_INVAL);
    assert_int_equal(gmem_add(&mem, ~0xFFFULL, KIB(8), GMEM_RAM), -E_INVAL);
    assert_int_equal(gmem_add(&mem, BIT(48), KIB(4), GMEM_RAM), -E_INVAL); /* beyond the format */
    assert_int_equal(gmem_add(&mem, BIT(48) - KIB(4), KIB(8), GMEM_RAM), -E_INVAL);
    assert_int_equal(mem.count, 0);
    assert_int_equal(mem.bytes, 0);
    assert_int_equal(gmem_add(&mem, KIB(64), KIB(64), GMEM_RAM), 0);
    assert_int_equal(gmem_add(&mem, KIB(124), KIB(4), GMEM_RAM), -E_OVERLAP);
    assert_int_equal(gmem_add(&mem, 0, KIB(68), GMEM_RAM), -E_OVERLAP);
    assert_int_equal(gmem_add(&mem, 0, MIB(1), GMEM_RAM), -E_OVERLAP);
    assert_int_equal(gmem_add(&mem, 0, KIB(64), GMEM_RAM), 0);
    assert_int_equal(gmem_add(&mem, KIB(128), KIB(4), GMEM_RAM), 0);
    assert_int_equal(mem.bytes, KIB(132));
}

/* A PC's memory: low part, hole, rest; large blocks, stage 2 shows the blocks' frames. */
static void test_layout(void **context)
{
    (void)context;
    u64 counts[3];

    assert_int_equal(gmem_add(&mem, MIB(1), MIB(31), GMEM_RAM), 0);
    assert_int_equal(gmem_add(&mem, 0, KIB(640), GMEM_RAM), 0);
    assert_int_equal(mem.bytes, MIB(31) + KIB(640));
    assert_int_equal(mem.count, 2 + 5); /* 512K 128K | 1M 2M 4M 8M 16M */
    pt_count_leaves(&mem.stage2, counts);
    assert_int_equal(counts[1], 15);
    assert_int_equal(counts[0], 160 + 256);
    for (u64 gpa = 0; gpa < MIB(32); gpa += KIB(4)) {
        struct pt_mapping found;
        u64 mark = 0;
        bool ram = gpa < KIB(640) || gpa >= MIB(1);
        assert_int_equal(pt_query(&mem.stage2, gpa, &found), ram ? 0 : -E_NOENT);
        assert_int_equal(gmem_contains(&mem, GPA(gpa), KIB(4)), ram);
        if (ram) {
            assert_int_equal(found.attr, PT_READ | PT_WRITE | PT_EXEC);
            assert_int_equal(gmem_write(&mem, GPA(gpa), &gpa, sizeof(gpa)), 0);
            assert_int_equal(*(u64 *)phys_ptr(found.pa), gpa); /* the guest sees what was written */
            assert_int_equal(gmem_read(&mem, GPA(gpa), &mark, sizeof(mark)), 0);
            assert_int_equal(mark, gpa);
        }
    }
}

static void test_no_memory(void **context)
{
    (void)context;
    assert_int_equal(gmem_add(&mem, 0, MIB(4), GMEM_RAM), 0);
    u64 before = frame_get_stats().free;
    assert_int_equal(gmem_add(&mem, MIB(8), MIB(64), GMEM_RAM), -E_NOMEM);
    assert_int_equal(frame_get_stats().free, before);
    assert_int_equal(mem.count, 1);
    assert_int_equal(mem.bytes, MIB(4));
    for (u64 spare = 0; spare < 6; spare++) { /* frames run out at every point: data, then tables */
        memory_hog(spare);
        assert_int_equal(gmem_add(&mem, GIB(1), KIB(16), GMEM_RAM), -E_NOMEM);
        assert_false(gmem_contains(&mem, GPA(GIB(1)), 1));
        memory_unhog();
        assert_int_equal(frame_get_stats().free, before);
    }
    memory_hog(6);
    assert_int_equal(gmem_add(&mem, GIB(1), KIB(16), GMEM_RAM), 0);
    memory_unhog();
}

/* Only single frames are left: the memory is built of them until the block table is full. */
static void test_fragmented(void **context)
{
    (void)context;
    hpa_t pa;
    u32 count = 0;
    static hpa_t taken[20000];

    while (frame_alloc(0, MEMORY_HOG_OWNER, &pa) == 0) {
        taken[count++] = pa;
    }
    for (u32 i = 0; i < count; i++) {
        if (taken[i].v % KIB(8) == 0) {
            assert_int_equal(frame_free(taken[i], 0, MEMORY_HOG_OWNER), 0);
            taken[i] = HPA(0);
        }
    }
    u64 before = frame_get_stats().free;
    assert_int_equal(gmem_add(&mem, 0, GMEM_BLOCKS_MAX * KIB(4), GMEM_RAM), 0);
    assert_int_equal(mem.count, GMEM_BLOCKS_MAX);
    u8 pattern[10000], back[10000];
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (u8)(i * 13 + i / 256);
    }
    assert_int_equal(gmem_write(&mem, GPA(4000), pattern, sizeof(pattern)), 0);
    assert_int_equal(gmem_read(&mem, GPA(4000), back, sizeof(back)), 0);
    assert_memory_equal(pattern, back, sizeof(back));
    assert_int_equal(gmem_add(&mem, MIB(64), KIB(4), GMEM_RAM), -E_NOMEM);
    gmem_destroy(&mem);
    assert_int_equal(gmem_init(&mem, &pt_format_ept, OWNER), 0);
    assert_int_equal(gmem_add(&mem, 0, (GMEM_BLOCKS_MAX + 1) * KIB(4), GMEM_RAM), -E_NOMEM);
    assert_int_equal(frame_get_stats().free, before);
    for (u32 i = 0; i < count; i++) {
        if (taken[i].v != 0) {
            assert_int_equal(frame_free(taken[i], 0, MEMORY_HOG_OWNER), 0);
        }
    }
}

static void test_access_bounds(void **context)
{
    (void)context;
    u8 buf[KIB(8)];

    assert_int_equal(gmem_add(&mem, KIB(64), KIB(64), GMEM_RAM), 0);
    assert_int_equal(gmem_add(&mem, KIB(128), KIB(4), GMEM_EXECUTABLE), 0); /* ROM */
    memset(buf, 7, sizeof(buf));
    assert_int_equal(gmem_read(&mem, GPA(KIB(64) - 1), buf, 2), -E_FAULT);
    assert_int_equal(gmem_read(&mem, GPA(KIB(132) - 1), buf, 2), -E_FAULT);
    assert_int_equal(buf[0], 7);
    assert_int_equal(gmem_read(&mem, GPA(~0ULL), buf, 2), -E_FAULT);
    assert_int_equal(gmem_read(&mem, GPA(~0ULL - 1), buf, KIB(8)), -E_FAULT);
    assert_int_equal(gmem_write(&mem, GPA(KIB(128) - 4), buf, 8), -E_FAULT); /* the end is ROM: nothing is written */
    assert_int_equal(gmem_read(&mem, GPA(KIB(128) - 4), buf, 8), 0);
    assert_true(buf[0] == 0 && buf[7] == 0);
    memset(buf, 7, sizeof(buf));
    assert_int_equal(gmem_load(&mem, GPA(KIB(128) - 4), buf, 8), 0);
    assert_int_equal(gmem_read(&mem, GPA(KIB(128) - 8), buf, 16), 0);
    assert_true(buf[3] == 0 && buf[4] == 7 && buf[11] == 7 && buf[12] == 0);
    assert_int_equal(gmem_zero(&mem, GPA(KIB(128) - 2), 4), 0);
    assert_int_equal(gmem_read(&mem, GPA(KIB(128) - 8), buf, 16), 0);
    assert_true(buf[5] == 7 && buf[6] == 0 && buf[9] == 0 && buf[10] == 7);
    assert_int_equal(gmem_zero(&mem, GPA(KIB(128)), KIB(8)), -E_FAULT);
    assert_int_equal(gmem_load(&mem, GPA(KIB(132)), buf, 1), -E_FAULT);
    assert_true(gmem_contains(&mem, GPA(KIB(64)), KIB(68)));
    assert_false(gmem_contains(&mem, GPA(KIB(64)), KIB(68) + 1));
    assert_false(gmem_contains(&mem, GPA(KIB(64)), ~0ULL));
    assert_false(gmem_contains(&mem, GPA(0), KIB(128)));
    struct pt_mapping found;
    assert_int_equal(pt_query(&mem.stage2, KIB(128), &found), 0);
    assert_int_equal(found.attr, PT_READ | PT_EXEC);
}

/* More than 4 GiB of guest memory, in 1 GiB blocks, then all of it back. */
static void test_large(void **context)
{
    (void)context;
    u64 counts[3];
    u64 mark = 0x1234567890ABCDEFULL;

    gmem_destroy(&mem);
    memory_start(GIB(4), GIB(3));
    frames_at_start = frame_get_stats().free;
    assert_int_equal(gmem_init(&mem, &pt_format_ept, OWNER), 0);
    assert_int_equal(gmem_add(&mem, GIB(4), GIB(2), GMEM_RAM), 0);
    pt_count_leaves(&mem.stage2, counts);
    assert_int_equal(counts[2], 2);
    assert_int_equal(gmem_write(&mem, GPA(GIB(5) - 4), &mark, 8), 0);
    mark = 0;
    assert_int_equal(gmem_read(&mem, GPA(GIB(5) - 4), &mark, 8), 0);
    assert_int_equal(mark, 0x1234567890ABCDEFULL);
}

static u32 rights_at(u64 gpa)
{
    struct pt_mapping found;

    return pt_query(&mem.stage2, gpa, &found) == 0 ? found.attr : 0;
}

/* One page amid a large leaf: it alone changes, and what the host sees does not. */
static void test_rights(void **context)
{
    (void)context;
    const u32 all = PT_READ | PT_WRITE | PT_EXEC;
    static const u32 rights[] = {0, PT_READ, PT_READ | PT_WRITE, 0, PT_READ | PT_EXEC, PT_READ | PT_WRITE | PT_EXEC};
    u64 page = MIB(9), mark = 77, counts[3];

    assert_int_equal(gmem_add(&mem, MIB(8), MIB(8), GMEM_RAM), 0);
    assert_true(gmem_permits(&mem, GPA(0), 1, all)); /* nobody asked so far */
    assert_int_equal(gmem_write(&mem, GPA(page), &mark, sizeof(mark)), 0);
    for (u32 i = 0; i < ARRAY_SIZE(rights); i++) {
        u64 generation = mem.stage2.generation;
        assert_int_equal(gmem_set_rights(&mem, GPA(page), KIB(4), rights[i]), 0);
        assert_true(mem.stage2.generation != generation);
        assert_int_equal(rights_at(page), rights[i]);
        assert_int_equal(rights_at(page - 1), all);
        assert_int_equal(rights_at(page + KIB(4)), all);
        assert_int_equal(gmem_permits(&mem, GPA(page + 4), 8, PT_READ), rights[i] != 0);
        assert_int_equal(gmem_permits(&mem, GPA(page - 4), 8, PT_WRITE), (rights[i] & PT_WRITE) != 0);
        assert_int_equal(gmem_permits(&mem, GPA(page + KIB(4) - 1), 2, PT_EXEC), (rights[i] & PT_EXEC) != 0);
        assert_true(gmem_permits(&mem, GPA(page + KIB(4)), KIB(4), all));
        mark = 0;
        assert_int_equal(gmem_read(&mem, GPA(page), &mark, sizeof(mark)), 0);
        assert_int_equal(mark, 77);
    }
    pt_count_leaves(&mem.stage2, counts);
    assert_true(counts[0] == 512 && counts[1] == 3);
    assert_int_equal(gmem_own_rights(&mem, GPA(page)), all);
    assert_int_equal(gmem_own_rights(&mem, GPA(MIB(16))), 0);
}

static void test_rights_refused(void **context)
{
    (void)context;
    static const struct { u64 gpa, len; u32 attr; } bad[] = {
        {MIB(8) + 1, KIB(4), 0}, {MIB(8), KIB(5), 0}, {MIB(8), 0, 0}, {MIB(8), KIB(4), PT_WRITE}, {MIB(8), KIB(4), PT_EXEC},
        {MIB(8), KIB(4), PT_READ | PT_USER}, {MIB(8), GMEM_RIGHTS_MAX + KIB(4), 0}, {MIB(8) - KIB(4), KIB(8), 0},
        {MIB(16) - KIB(4), KIB(8), 0}, {MIB(16), KIB(4), 0}, {~0xFFFULL, KIB(4), 0}, {~0xFFFULL, KIB(8), 0}, {MIB(8), ~0xFFFULL, 0},
        {MIB(20), KIB(4), PT_READ | PT_WRITE}, {MIB(20), KIB(4), PT_READ | PT_WRITE | PT_EXEC}, /* ROM */
    };

    assert_int_equal(gmem_add(&mem, MIB(8), MIB(8), GMEM_RAM), 0);
    assert_int_equal(gmem_add(&mem, MIB(20), KIB(4), 0), 0);
    u64 tables = mem.stage2.tables;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(gmem_set_rights(&mem, GPA(bad[i].gpa), bad[i].len, bad[i].attr), -E_INVAL);
    }
    assert_false(mem.restricted);
    assert_int_equal(mem.stage2.tables, tables);
    memory_hog(0); /* no frame for the split: nothing changes */
    assert_int_equal(gmem_set_rights(&mem, GPA(MIB(9)), KIB(4), 0), -E_NOMEM);
    memory_unhog();
    assert_int_equal(rights_at(MIB(9)), PT_READ | PT_WRITE | PT_EXEC);
    assert_int_equal(gmem_set_rights(&mem, GPA(MIB(20)), KIB(4), 0), 0);
    assert_int_equal(gmem_set_rights(&mem, GPA(MIB(20)), KIB(4), PT_READ), 0);
}

/* Over and over, in every part of two large leaves: the tables are those of what was split, and all come back. */
static void test_rights_many_times(void **context)
{
    (void)context;
    assert_int_equal(gmem_add(&mem, MIB(8), MIB(8), GMEM_RAM), 0);
    u64 tables = mem.stage2.tables;
    for (u32 i = 0; i < 100000; i++) {
        u64 page = MIB(8) + i * 7919ULL % 1024 * KIB(4);
        u64 len = i % 1000 == 0 ? GMEM_RIGHTS_MAX : KIB(4);
        assert_int_equal(gmem_set_rights(&mem, GPA(page), len, 0), 0);
        assert_int_equal(gmem_set_rights(&mem, GPA(page), len, PT_READ | PT_WRITE | PT_EXEC), 0);
        assert_true(mem.stage2.tables <= tables + 4);
    }
    assert_int_equal(mem.bytes, MIB(8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_arguments, start, finish),
        cmocka_unit_test_setup_teardown(test_layout, start, finish),
        cmocka_unit_test_setup_teardown(test_no_memory, start, finish),
        cmocka_unit_test_setup_teardown(test_fragmented, start, finish),
        cmocka_unit_test_setup_teardown(test_access_bounds, start, finish),
        cmocka_unit_test_setup_teardown(test_large, start, finish),
        cmocka_unit_test_setup_teardown(test_rights, start, finish),
        cmocka_unit_test_setup_teardown(test_rights_refused, start, finish),
        cmocka_unit_test_setup_teardown(test_rights_many_times, start, finish),
    };

    return cmocka_run_group_tests(tests, memory_reserve, memory_drop);
}
