/* GDB's ranges to watch, cut to what the hardware's points can hold. */
/* units: vm/gdb/points.c */
#include "tests/unit/host.h"
#include "vm/gdb/session_parts.h"
#include <string.h>

static struct gdb_session session;

static int begin(void **state)
{
    (void)state;
    memset(&session, 0, sizeof(session));
    return 0;
}

static bool change(enum gdb_point type, u64 address, u64 len, bool set)
{
    return gdb_points_change(&session, &(struct gdb_watch){type, address, len}, set);
}

static void holds(u32 i, enum vcpu_debug_type type, u64 address, u32 len)
{
    assert_int_equal(session.points[i].type, type);
    assert_int_equal(session.points[i].address, address);
    assert_int_equal(session.points[i].len, len);
}

static u32 used(void)
{
    u32 count = 0;

    for (u32 i = 0; i < VCPU_DEBUG_POINTS; i++) {
        count += session.points[i].type != VCPU_DEBUG_NOTHING;
    }
    return count;
}

static void four_and_no_more(void **state)
{
    (void)state;
    assert_true(change(GDB_POINT_EXECUTE, 0x1001, 3, true)); /* whatever the length is */
    assert_true(change(GDB_POINT_EXECUTE, 0x1001, 3, true)); /* again */
    assert_true(change(GDB_POINT_WRITE, 0x2000, 8, true));
    assert_true(change(GDB_POINT_READ, 0x3004, 4, true));
    assert_true(change(GDB_POINT_ACCESS, 0x4002, 2, true));
    holds(0, VCPU_DEBUG_EXECUTE, 0x1001, 1);
    holds(1, VCPU_DEBUG_WRITE, 0x2000, 8);
    holds(2, VCPU_DEBUG_ACCESS, 0x3004, 4);
    holds(3, VCPU_DEBUG_ACCESS, 0x4002, 2);
    assert_false(change(GDB_POINT_EXECUTE, 0x5000, 1, true));
    assert_true(change(GDB_POINT_EXECUTE, 0x5000, 1, false)); /* it is not there */
    assert_int_equal(used(), 4);
    assert_true(change(GDB_POINT_READ, 0x3004, 4, false));
    assert_int_equal(used(), 3);
    assert_true(change(GDB_POINT_EXECUTE, 0x5000, 1, true));
    holds(2, VCPU_DEBUG_EXECUTE, 0x5000, 1);
}

/* A range that no single point can hold takes several, and leaves none when they do not suffice. */
static void in_pieces(void **state)
{
    (void)state;
    assert_true(change(GDB_POINT_WRITE, 0x1003, 11, true)); /* 1 + 4 + 4 + 2 */
    holds(0, VCPU_DEBUG_WRITE, 0x1003, 1);
    holds(1, VCPU_DEBUG_WRITE, 0x1004, 4);
    holds(2, VCPU_DEBUG_WRITE, 0x1008, 4);
    holds(3, VCPU_DEBUG_WRITE, 0x100C, 2);
    assert_true(change(GDB_POINT_WRITE, 0x1003, 11, false));
    assert_int_equal(used(), 0);
    assert_false(change(GDB_POINT_WRITE, 0x1001, 32, true));
    assert_false(change(GDB_POINT_ACCESS, 0x1000, ~0ULL, true));
    assert_false(change(GDB_POINT_ACCESS, ~0ULL, ~0ULL, true));
    assert_int_equal(used(), 0);
    assert_true(change(GDB_POINT_ACCESS, 0x1000, 32, true));
    assert_int_equal(used(), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(four_and_no_more, begin),
        cmocka_unit_test_setup(in_pieces, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
