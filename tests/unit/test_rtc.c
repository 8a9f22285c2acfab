/* units: tests/unit/dev_host.c vm/dev/x86_64/rtc.c vm/dev/x86_64/rtc_irq.c vm/bus.c */
/* The real-time clock: time, setting it, its three interrupts, register C (MC146818A data sheet). */
#include "tests/unit/dev_host.h"
#include "vm/dev/x86_64/rtc_regs.h"

static struct vrtc rtc;
static struct dev_wire wire;

static int setup(void **state)
{
    (void)dev_setup(state);
    struct irqline line = dev_line(&wire);
    vrtc_init(&rtc, &line, MIB(256), 0);
    return vrtc_attach(&rtc, &dev_pio);
}

static u8 get(u8 reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static void set(u8 reg, u8 value)
{
    outb(0x70, reg);
    outb(0x71, value);
}

static void tells_the_hosts_time_as_bcd(void **state)
{
    (void)state; /* 1700000001 = 2023-11-14 22:13:21, a Tuesday */
    assert_int_equal(get(REG_SECONDS), 0x21);
    assert_int_equal(get(REG_MINUTES), 0x13);
    assert_int_equal(get(REG_HOURS), 0x22);
    assert_int_equal(get(REG_WEEKDAY), 3);
    assert_int_equal(get(REG_DAY), 0x14);
    assert_int_equal(get(REG_MONTH), 0x11);
    assert_int_equal(get(REG_YEAR), 0x23);
    assert_int_equal(get(REG_CENTURY), 0x20);
    assert_int_equal(get(REG_D), 0x80);
    set(REG_B, REG_B_BINARY); /* 12-hour */
    assert_int_equal(get(REG_HOURS), 10 | 0x80);
    assert_int_equal(get(REG_SECONDS), 21);
}

static void keeps_a_time_that_was_set(void **state)
{
    (void)state;
    set(REG_B, REG_B_24H | REG_B_SET);
    set(REG_HOURS, 0x23);
    set(REG_MINUTES, 0x59);
    set(REG_SECONDS, 0x58);
    set(REG_DAY, 0x31);
    set(REG_MONTH, 0x12);
    set(REG_YEAR, 0x99);
    dev_run_until(5 * NS_PER_SEC);
    assert_int_equal(get(REG_SECONDS), 0x58); /* stands still while SET */
    set(REG_B, REG_B_24H);
    dev_run_until(7 * NS_PER_SEC);
    assert_int_equal(get(REG_SECONDS), 0);
    assert_int_equal(get(REG_DAY), 1);
    assert_int_equal(get(REG_MONTH), 1);
    assert_int_equal(get(REG_YEAR), 0);
    assert_int_equal(get(REG_CENTURY), 0x21);
}

static void announces_an_update(void **state)
{
    (void)state;
    assert_int_equal(get(REG_A), 0x26);
    dev_run_until(2 * NS_PER_SEC - 200000);
    assert_int_equal(get(REG_A), 0xA6);
    dev_run_until(2 * NS_PER_SEC);
    assert_int_equal(get(REG_A), 0x26);
}

static void periodic_interrupt_has_its_rate(void **state)
{
    static const struct { u8 rate; u32 hz; } rows[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {13, 8}, {15, 2}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        (void)setup(state);
        set(REG_A, 0x20 | rows[i].rate);
        (void)get(REG_C);
        set(REG_B, REG_B_24H | REG_B_PERIODIC);
        for (u64 t = NS_PER_SEC; t <= 2 * NS_PER_SEC; t += 20000) {
            dev_run_until(t);
            if (wire.level) {
                assert_int_equal(get(REG_C), REG_C_IRQ | REG_C_PERIODIC | (t == 2 * NS_PER_SEC ? REG_C_UPDATE : 0));
                assert_false(wire.level);
            }
        }
        if (wire.rises < rows[i].hz - 1 || wire.rises > rows[i].hz) {
            fail_msg("rate %u: %u interrupts in a second", rows[i].rate, wire.rises);
        }
    }
}

static void no_rate_no_interrupt(void **state)
{
    (void)state;
    set(REG_A, 0x20);
    set(REG_B, REG_B_24H | REG_B_PERIODIC);
    assert_true(dev_next_timer() == UINT64_MAX);
    set(REG_A, 0x06); /* divider off */
    assert_true(dev_next_timer() == UINT64_MAX);
    dev_run_until(10 * NS_PER_SEC);
    assert_int_equal(get(REG_C), 0);
}

static void update_interrupt_each_second(void **state)
{
    (void)state;
    set(REG_B, REG_B_24H | REG_B_UPDATE);
    for (u64 s = 2; s < 12; s++) {
        dev_run_until(s * NS_PER_SEC - 1);
        assert_false(wire.level);
        dev_run_until(s * NS_PER_SEC);
        assert_true(wire.level);
        assert_int_equal(get(REG_C) & ~REG_C_PERIODIC, REG_C_IRQ | REG_C_UPDATE);
        assert_int_equal(get(REG_C), 0);
    }
    assert_int_equal(wire.rises, 10);
    set(REG_B, REG_B_24H | REG_B_UPDATE | REG_B_SET);
    outb(0x70, REG_B);
    assert_int_equal(inb(0x71), REG_B_24H | REG_B_SET); /* SET clears the enable */
}

static void a_wire_that_nobody_answers_costs_nothing(void **state)
{
    (void)state;
    set(REG_A, 0x23);
    set(REG_B, REG_B_24H | REG_B_PERIODIC);
    dev_run_until(3600 * NS_PER_SEC);
    assert_int_equal(wire.rises, 1);
    assert_int_equal(dev_timers_fired, 1);
}

static void set_alarm(u8 hour, u8 minute, u8 second)
{
    set(REG_ALARM_HOURS, hour);
    set(REG_ALARM_MINUTES, minute);
    set(REG_ALARM_SECONDS, second);
}

/* The clock says 22:13:21 at 1 s. */
static void alarm_comes_when_it_should(void **state)
{
    static const struct { u8 h, m, s; u64 after; } rows[] = {
        {0x22, 0x13, 0x22, 1}, {0x22, 0x14, 0x00, 39}, {0x23, 0x13, 0x21, 3600}, {0x22, 0x13, 0x21, 86400},
        {0xFF, 0xFF, 0xFF, 1}, {0xFF, 0xFF, 0x21, 60}, {0xC0, 0x13, 0x20, 3599}, {0x00, 0xFF, 0xFF, 6399},
        {0x00, 0x00, 0x00, 6399},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        (void)setup(state);
        set_alarm(rows[i].h, rows[i].m, rows[i].s);
        set(REG_B, REG_B_24H | REG_B_ALARM);
        dev_run_until((1 + rows[i].after) * NS_PER_SEC - 1);
        if (wire.level) {
            fail_msg("row %zu: early", i);
        }
        dev_run_until((1 + rows[i].after) * NS_PER_SEC);
        if (!wire.level) {
            fail_msg("row %zu: did not come", i);
        }
        assert_int_equal(get(REG_C) & ~REG_C_PERIODIC, REG_C_IRQ | REG_C_ALARM | REG_C_UPDATE);
    }
}

static void nonsense_alarms_never_come(void **state)
{
    static const u8 values[][3] = {{0x25, 0, 0}, {0xFF, 0x60, 0}, {0xFF, 0xFF, 0x60}, {0x99, 0x99, 0x99}, {0xFF, 0xFF, 0xBF}};

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        (void)setup(state);
        set_alarm(values[i][0], values[i][1], values[i][2]);
        set(REG_B, REG_B_24H | REG_B_ALARM);
        dev_run_until(2 * 86400 * NS_PER_SEC);
        assert_int_equal(wire.rises, 0);
    }
}

static void polling_sees_flags_without_interrupts(void **state)
{
    (void)state;
    (void)get(REG_C);
    dev_run_until(NS_PER_SEC + NS_PER_MS);
    assert_int_equal(get(REG_C), REG_C_PERIODIC);
    dev_run_until(2 * NS_PER_SEC);
    assert_int_equal(get(REG_C) & REG_C_UPDATE, REG_C_UPDATE);
    assert_int_equal(wire.rises, 0);
}

static void an_enable_after_the_flag_raises_at_once(void **state)
{
    (void)state;
    dev_run_until(3 * NS_PER_SEC);
    set(REG_B, REG_B_24H | REG_B_UPDATE);
    assert_true(wire.level);
    set(REG_B, REG_B_24H);
    assert_false(wire.level);
}

static void stop_is_final(void **state)
{
    (void)state;
    set(REG_B, REG_B_24H | REG_B_UPDATE);
    vrtc_stop(&rtc);
    assert_true(dev_next_timer() == UINT64_MAX);
    set(REG_B, REG_B_24H | REG_B_UPDATE | REG_B_PERIODIC);
    assert_true(dev_next_timer() == UINT64_MAX);
}

static void every_byte_in_every_register_is_survived(void **state)
{
    (void)state;
    for (u32 reg = 0; reg < 256; reg++) {
        for (u32 value = 0; value < 256; value += 5) {
            set((u8)reg, (u8)value);
            (void)get((u8)reg);
            dev_run_until(dev_now + NS_PER_MS);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tells_the_hosts_time_as_bcd, setup),
        cmocka_unit_test_setup(keeps_a_time_that_was_set, setup),
        cmocka_unit_test_setup(announces_an_update, setup),
        cmocka_unit_test_setup(periodic_interrupt_has_its_rate, setup),
        cmocka_unit_test_setup(no_rate_no_interrupt, setup),
        cmocka_unit_test_setup(update_interrupt_each_second, setup),
        cmocka_unit_test_setup(a_wire_that_nobody_answers_costs_nothing, setup),
        cmocka_unit_test_setup(alarm_comes_when_it_should, setup),
        cmocka_unit_test_setup(nonsense_alarms_never_come, setup),
        cmocka_unit_test_setup(polling_sees_flags_without_interrupts, setup),
        cmocka_unit_test_setup(an_enable_after_the_flag_raises_at_once, setup),
        cmocka_unit_test_setup(stop_is_final, setup),
        cmocka_unit_test_setup(every_byte_in_every_register_is_survived, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
