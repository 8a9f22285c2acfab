/* units: tests/unit/dev_host.c vm/dev/x86_64/acpipm.c vm/bus.c */
/* ACPI fixed hardware: the PM1 blocks and the PM timer (ACPI 6.5, 4.8.3). */
#include "tests/unit/dev_host.h"
#include "vm/dev/x86_64/acpipm.h"

#define STATUS ACPIPM_BASE
#define ENABLE (ACPIPM_BASE + 2)
#define CONTROL (ACPIPM_BASE + 4)
#define TIMER (ACPIPM_BASE + 8)

static struct acpipm pm;
static struct dev_wire sci;
static unsigned offs;

static void power_off(void *ctx)
{
    assert_ptr_equal(ctx, &offs);
    offs++;
}

static int setup(void **state)
{
    (void)dev_setup(state);
    struct irqline line = dev_line(&sci);
    offs = 0;
    acpipm_init(&pm, &line, power_off, &offs);
    return acpipm_attach(&pm, &dev_pio, ACPIPM_BASE);
}

static void timer_counts_3579545_hz(void **state)
{
    (void)state;
    u32 start = dev_in(TIMER, 4);
    dev_run_until(2 * NS_PER_SEC);
    assert_int_equal(dev_in(TIMER, 4) - start, 3579545);
    dev_run_until(2 * NS_PER_SEC + 280); /* one tick is 279.4 ns */
    assert_int_equal(dev_in(TIMER, 4) - start, 3579546);
    dev_run_until(1001 * NS_PER_SEC);
    assert_int_equal(dev_in(TIMER, 4), (u32)(1001ULL * 3579545));
    dev_run_until(1000000 * NS_PER_SEC); /* wraps, never stops */
    assert_int_equal(dev_in(TIMER, 4), (u32)(1000000ULL * 3579545));
    dev_out(TIMER, 4, 0); /* read-only */
    assert_int_equal(dev_in(TIMER, 4), (u32)(1000000ULL * 3579545));
    assert_int_equal(dev_in(TIMER + 1, 1), (u8)((1000000ULL * 3579545) >> 8));
}

static void soft_off_needs_enable_and_type(void **state)
{
    (void)state;
    dev_out(CONTROL, 2, 1 << 10 | BIT32(13)); /* another sleep state */
    assert_int_equal(offs, 0);
    dev_out(CONTROL, 2, ACPIPM_S5 << 10);
    assert_int_equal(offs, 0);
    dev_out(CONTROL, 2, ACPIPM_S5 << 10 | BIT32(13));
    assert_int_equal(offs, 1);
    assert_int_equal(dev_in(CONTROL, 2) & BIT32(13), 0); /* write-only */
}

static void soft_off_by_bytes(void **state)
{
    (void)state;
    dev_out(CONTROL + 1, 1, 0x20 | ACPIPM_S5 << 2);
    assert_int_equal(offs, 1);
}

static void always_in_acpi_mode(void **state)
{
    (void)state;
    assert_int_equal(dev_in(CONTROL, 2) & 1, 1);
    dev_out(CONTROL, 2, 0);
    assert_int_equal(dev_in(CONTROL, 2) & 1, 1);
}

static void status_is_cleared_by_ones(void **state)
{
    (void)state;
    pm.status = 0x0121;
    dev_out(ENABLE, 2, 0x0100);
    assert_true(sci.level);
    dev_out(STATUS, 2, 0x0020);
    assert_int_equal(dev_in(STATUS, 2), 0x0101);
    dev_out(STATUS + 1, 1, 0x01);
    assert_int_equal(dev_in(STATUS, 2), 0x0001);
    assert_false(sci.level);
    assert_int_equal(dev_in(ENABLE, 2), 0x0100);
    dev_out(ENABLE, 1, 0x01);
    assert_int_equal(dev_in(ENABLE, 2), 0x0101);
    assert_true(sci.level);
    assert_int_equal(dev_in(STATUS, 4), 0x01010001);
    dev_out(STATUS, 4, 0x00000001);
    assert_int_equal(dev_in(STATUS, 4), 0);
    assert_int_equal(sci.rises, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(timer_counts_3579545_hz, setup),
        cmocka_unit_test_setup(soft_off_needs_enable_and_type, setup),
        cmocka_unit_test_setup(soft_off_by_bytes, setup),
        cmocka_unit_test_setup(always_in_acpi_mode, setup),
        cmocka_unit_test_setup(status_is_cleared_by_ones, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
