/* units: vm/dev/x86_64/lapic.c vm/dev/x86_64/lapic_regs.c vm/dev/x86_64/lapic_timer.c vm/dev/x86_64/lapic_assist.c vm/dev/x86_64/apic_bus.c vm/dev/x86_64/ioapic.c vm/bus.c kernel/timer.c tests/unit/apic_rig.c */
/* The local APIC's timer against a clock that the test turns. */
#include "tests/unit/host.h"
#include "tests/unit/apic_rig.h"

#define VECTOR 0x40
#define PERIODIC BIT32(17)
#define DEADLINE BIT32(18)
#define DIVIDE_1 0xBU

static u64 begin;

static int start(void **state)
{
    (void)state;
    rig_start(1);
    rig_write(0, R_DIVIDE, DIVIDE_1);
    begin = rig_now_ns;
    return 0;
}

/* Interrupts that come while time goes to begin + ns in steps of `step`, each taken at once. */
static u32 count_until(u64 ns, u64 step)
{
    u32 count = 0;

    while (rig_now_ns < begin + ns) {
        rig_run_until(MIN(rig_now_ns + step, begin + ns));
        count += rig_take(VECTOR) != 0 ? 1 : 0;
    }
    return count;
}

static void one_shot(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, VECTOR);
    rig_write(0, R_INITIAL, 1000000);
    assert_int_equal(rig_read(0, R_CURRENT), 1000000);
    assert_int_equal(count_until(999999, 10000), 0);
    assert_int_equal(rig_read(0, R_CURRENT), 1);
    assert_int_equal(count_until(1000000, 10000), 1);
    assert_int_equal(rig_read(0, R_CURRENT), 0);
    assert_int_equal(rig_read(0, R_INITIAL), 1000000);
    assert_int_equal(count_until(50000000, 10000), 0);
}

static void periodic(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, PERIODIC | VECTOR);
    rig_write(0, R_INITIAL, 1000000);
    assert_int_equal(count_until(100000000, 10000), 100);
    rig_run_until(rig_now_ns + 250000);
    assert_int_equal(rig_read(0, R_CURRENT), 750000);
    rig_write(0, R_INITIAL, 0);
    assert_int_equal(rig_read(0, R_CURRENT), 0);
    assert_int_equal(count_until(200000000, 10000), 0);
}

/* A CPU that was away finds one interrupt, and the next ones in step with the first. */
static void a_late_look_keeps_the_phase(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, PERIODIC | VECTOR);
    rig_write(0, R_INITIAL, 1000000);
    rig_now_ns = begin + 10300000; /* the host's interrupt comes late */
    rig_run_until(rig_now_ns);
    assert_int_equal(rig_take(VECTOR), 1);
    rig_run_until(begin + 10999999);
    assert_int_equal(rig_take(VECTOR), 0);
    rig_run_until(begin + 11000000);
    assert_int_equal(rig_take(VECTOR), 1);
}

static void a_masked_timer_counts_in_silence(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, LVT_MASKED | PERIODIC | VECTOR);
    rig_write(0, R_INITIAL, 1000000);
    assert_int_equal(count_until(100000000, 10000), 0);
    rig_run_until(rig_now_ns + 500000);
    assert_int_equal(rig_read(0, R_CURRENT), 500000);
    rig_write(0, R_LVT_TIMER, PERIODIC | VECTOR);
    assert_int_equal(count_until(110000000, 10000), 10);
}

static void every_divisor(void **state)
{
    static const u32 divisors[8] = {2, 4, 8, 16, 32, 64, 128, 1};

    (void)state;
    rig_write(0, R_LVT_TIMER, VECTOR);
    for (u32 n = 0; n < 8; n++) {
        rig_write(0, R_DIVIDE, (n & 3) | (n & 4) << 1);
        rig_write(0, R_INITIAL, 1000);
        u64 began = rig_now_ns;
        rig_run_until(began + 1000ULL * divisors[n] - 1);
        assert_int_equal(rig_take(VECTOR), 0);
        rig_run_until(began + 1000ULL * divisors[n]);
        assert_int_equal(rig_take(VECTOR), 1);
    }
}

static void the_longest_count(void **state)
{
    u64 end = 0xFFFFFFFFULL * 128;

    (void)state;
    rig_write(0, R_LVT_TIMER, VECTOR);
    rig_write(0, R_DIVIDE, 0xA);
    rig_write(0, R_INITIAL, ~0U);
    rig_run_until(begin + end - 1);
    assert_int_equal(rig_take(VECTOR), 0);
    assert_int_equal(rig_read(0, R_CURRENT), 1);
    rig_run_until(begin + end);
    assert_int_equal(rig_take(VECTOR), 1);
}

/* A period of one nanosecond may not keep the host busy: 100 us apart at the closest. */
static void the_shortest_period_is_bounded(void **state)
{
    u32 host_interrupts = 0;

    (void)state;
    rig_write(0, R_LVT_TIMER, PERIODIC | VECTOR);
    rig_write(0, R_INITIAL, 1);
    while (rig_now_ns < begin + 10000000) {
        rig_now_ns = MAX(rig_now_ns + 1, rig_programmed_ns);
        rig_run_until(rig_now_ns);
        host_interrupts++;
    }
    assert_true(host_interrupts <= 102);
    assert_int_equal(rig_take(VECTOR), 1);
}

static void a_divisor_changes_on_the_way(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, VECTOR);
    rig_write(0, R_INITIAL, 1000000);
    rig_run_until(begin + 400000);
    rig_write(0, R_DIVIDE, 0x0); /* by 2 */
    assert_int_equal(rig_read(0, R_CURRENT), 600000);
    rig_run_until(begin + 400000 + 1199999);
    assert_int_equal(rig_take(VECTOR), 0);
    rig_run_until(begin + 400000 + 1200000);
    assert_int_equal(rig_take(VECTOR), 1);
}

static void a_new_count_begins_anew(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, VECTOR);
    rig_write(0, R_INITIAL, 1000000);
    rig_run_until(begin + 900000);
    rig_write(0, R_INITIAL, 1000000);
    assert_int_equal(count_until(1899999, 10000), 0);
    assert_int_equal(count_until(1900000, 10000), 1);
}

static void deadline(void **state)
{
    struct vlapic *lapic = &rig.lapic[0];

    (void)state;
    lapic->tsc_offset = 5000000; /* the guest's counter is ahead */
    rig_write(0, R_LVT_TIMER, DEADLINE | VECTOR);
    vlapic_write_deadline(lapic, begin + 5000000 + 1000000);
    assert_int_equal(vlapic_read_deadline(lapic), begin + 6000000);
    assert_int_equal(count_until(999999, 10000), 0);
    assert_int_equal(count_until(1000000, 10000), 1);
    assert_int_equal(vlapic_read_deadline(lapic), 0);
    assert_int_equal(count_until(9000000, 10000), 0);
}

/* The sum of now and the time to wait does not fit. */
static void a_deadline_that_never_comes(void **state)
{
    struct vlapic *lapic = &rig.lapic[0];

    (void)state;
    rig_write(0, R_LVT_TIMER, DEADLINE | VECTOR);
    vlapic_write_deadline(lapic, UINT64_MAX);
    assert_true(lapic->timer.deadline_ns > rig_now_ns);
    assert_int_equal(count_until(1000000, 10000), 0);
    assert_true(vlapic_read_deadline(lapic) == UINT64_MAX);
}

static void deadline_in_the_past_and_disarmed(void **state)
{
    struct vlapic *lapic = &rig.lapic[0];

    (void)state;
    rig_write(0, R_LVT_TIMER, DEADLINE | VECTOR);
    vlapic_write_deadline(lapic, 1);
    rig_run_until(rig_now_ns);
    assert_int_equal(rig_take(VECTOR), 1);
    assert_int_equal(vlapic_read_deadline(lapic), 0);
    vlapic_write_deadline(lapic, rig_now_ns + 1000);
    vlapic_write_deadline(lapic, 0);
    rig_run_until(rig_now_ns + 1000000);
    assert_int_equal(rig_take(VECTOR), 0);
    vlapic_write_deadline(lapic, ~0ULL); /* the farthest of all */
    rig_run_until(rig_now_ns + 1000000);
    assert_int_equal(rig_take(VECTOR), 0);
    assert_int_equal(vlapic_read_deadline(lapic), ~0ULL);
}

/* SDM 11.5.4.1: each mode ignores the other's register, and a change between them disarms. */
static void modes_do_not_mix(void **state)
{
    struct vlapic *lapic = &rig.lapic[0];

    (void)state;
    rig_write(0, R_LVT_TIMER, VECTOR);
    vlapic_write_deadline(lapic, rig_now_ns + 1000);
    assert_int_equal(vlapic_read_deadline(lapic), 0);
    rig_write(0, R_INITIAL, 1000000);
    rig_write(0, R_LVT_TIMER, DEADLINE | VECTOR);
    assert_int_equal(rig_read(0, R_CURRENT), 0);
    rig_write(0, R_INITIAL, 500);
    assert_int_equal(rig_read(0, R_INITIAL), 0);
    assert_int_equal(count_until(5000000, 10000), 0);
    vlapic_write_deadline(lapic, rig_now_ns + 1000000);
    rig_write(0, R_LVT_TIMER, PERIODIC | VECTOR);
    assert_int_equal(vlapic_read_deadline(lapic), 0);
    assert_int_equal(count_until(10000000, 10000), 0);
}

static void reset_and_stop_silence_it(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, DEADLINE | VECTOR);
    vlapic_write_deadline(&rig.lapic[0], rig_now_ns + 1000);
    vlapic_reset(&rig.lapic[0]);
    rig_write(0, R_SVR, SVR_ENABLE);
    rig_write(0, R_LVT_TIMER, PERIODIC | VECTOR);
    assert_int_equal(count_until(1000000, 10000), 0);
    rig_write(0, R_INITIAL, 100000);
    vlapic_stop(&rig.lapic[0]);
    assert_int_equal(count_until(2000000, 10000), 0);
    rig_write(0, R_INITIAL, 100000);
    rig_write(0, R_DIVIDE, 0);
    assert_int_equal(count_until(3000000, 10000), 0);
}

static void an_illegal_vector_is_an_error(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, 7);
    rig_write(0, R_INITIAL, 1000);
    rig_run_until(begin + 1000);
    rig_write(0, R_ESR, 0);
    assert_int_equal(rig_read(0, R_ESR), ESR_RECEIVE_ILLEGAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
    const struct CMUnitTest tests[] = {
        TEST(one_shot), TEST(periodic), TEST(a_late_look_keeps_the_phase), TEST(a_masked_timer_counts_in_silence),
        TEST(every_divisor), TEST(the_longest_count), TEST(the_shortest_period_is_bounded),
        TEST(a_divisor_changes_on_the_way), TEST(a_new_count_begins_anew), TEST(deadline),
        TEST(a_deadline_that_never_comes), TEST(deadline_in_the_past_and_disarmed), TEST(modes_do_not_mix), TEST(reset_and_stop_silence_it),
        TEST(an_illegal_vector_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
