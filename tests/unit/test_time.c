/* units: kernel/time.c drivers/x86_64/rtc_time.c drivers/x86_64/trampoline_choose.c */
#include "tests/unit/host.h"
#include "drivers/x86_64/rtc_time.h"
#include "drivers/x86_64/trampoline.h"
#include "kernel/time.h"
#include <arch/cpu.h>

static void conversions_at_many_frequencies(void **state)
{
    static const u64 rates[] = {1000, 1000000, 50000000, 999999999, 1000000000, 2300000001, 5000000000, 100000000000};
    static const u64 seconds[] = {0, 1, 60, 86400, 3000000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        time_init(rates[i], 0);
        for (size_t j = 0; j < ARRAY_SIZE(seconds); j++) {
            u64 ns = seconds[j] * NS_PER_SEC;
            u64 ticks = seconds[j] * rates[i];
            u64 slack_ns = ns / 1000000 + 1; /* one part in a million */
            u64 slack_ticks = ticks / 200 + 1; /* 1 kHz has few bits of ticks per ns */
            assert_in_range(time_ticks_to_ns(ticks), ns - MIN(ns, slack_ns), ns + slack_ns);
            assert_in_range(time_ns_to_ticks(ns), ticks - MIN(ticks, slack_ticks), ticks + slack_ticks);
        }
    }
}

static void conversions_saturate(void **state)
{
    (void)state;
    time_init(1000, 0);
    assert_true(time_ticks_to_ns(UINT64_MAX) == UINT64_MAX);
    time_init(100000000000, 0);
    assert_true(time_ns_to_ticks(UINT64_MAX) == UINT64_MAX);
    time_init(1000000000, 0);
    assert_true(time_ticks_to_ns(UINT64_MAX) == UINT64_MAX);
}

static void time_starts_at_init(void **state)
{
    (void)state;
    host_counter = 5000;
    time_init(1000000000, 77);
    assert_int_equal(time_now_ns(), 0);
    assert_int_equal(time_base_ticks(), 5000);
    host_counter += 3 * NS_PER_SEC + 5;
    assert_int_equal(time_now_ns(), 3 * NS_PER_SEC + 5);
    assert_int_equal(time_wall_seconds(), 80);
}

static void advance(void)
{
    host_counter += 10;
}

static void delay_waits_long_enough(void **state)
{
    (void)state;
    host_counter = 0;
    time_init(1000000000, 0);
    host_on_relax = advance;
    time_delay_ns(95);
    host_on_relax = NULL;
    assert_in_range(host_counter, 95, 120);
}

static void rtc_knows_the_calendar(void **state)
{
    static const struct {
        struct rtc_registers r;
        u64 seconds;
    } cases[] = {
        /* sec min hour day month year century status */
        {{0x00, 0x00, 0x00, 0x01, 0x01, 0x70, 0x19, RTC_24_HOURS}, 0},
        {{0x40, 0x46, 0x01, 0x09, 0x09, 0x01, 0x20, RTC_24_HOURS}, 1000000000},
        {{0x59, 0x59, 0x23, 0x29, 0x02, 0x24, 0x00, RTC_24_HOURS}, 1709251199},
        {{59, 59, 23, 29, 2, 24, 20, RTC_24_HOURS | RTC_BINARY}, 1709251199},
        {{0x59, 0x59, 0x91, 0x29, 0x02, 0x24, 0x20, 0}, 1709251199},        /* 11 pm */
        {{0x00, 0x00, 0x12, 0x01, 0x03, 0x00, 0x20, 0}, 951868800},         /* 12 am is midnight */
        {{0x00, 0x00, 0x92, 0x01, 0x03, 0x00, 0x20, 0}, 951868800 + 43200}, /* 12 pm is noon */
        {{0x00, 0x00, 0x00, 0x00, 0x01, 0x24, 0x20, RTC_24_HOURS}, 0},      /* no day 0 */
        {{0x00, 0x00, 0x00, 0x01, 0x13, 0x24, 0x20, RTC_24_HOURS}, 0},
        {{0x00, 0x61, 0x00, 0x01, 0x01, 0x24, 0x20, RTC_24_HOURS}, 0},
        {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 0},              /* no clock there */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(rtc_to_seconds(&cases[i].r), cases[i].seconds);
    }
}

static struct boot_info info;

static void region(u64 base, u64 len, enum boot_region_type type)
{
    info.regions[info.region_count++] = (struct boot_region){base, len, type};
}

static void start_page_avoids_what_is_used(void **state)
{
    (void)state;
    info = (struct boot_info){0};
    assert_int_equal(trampoline_choose(&info).len, 0);
    region(0, 0x1000, BOOT_REGION_RAM); /* page 0 alone will not do */
    region(0x1800, 0x1000, BOOT_REGION_RAM); /* no whole page */
    region(MIB(1), GIB(1), BOOT_REGION_RAM);
    assert_int_equal(trampoline_choose(&info).len, 0);
    region(0x8000, 0x4000, BOOT_REGION_RAM);
    assert_int_equal(trampoline_choose(&info).base, 0xB000);
    info.modules[0].base = HPA(0xB800);
    info.modules[0].len = 1;
    info.module_count = 1;
    assert_int_equal(trampoline_choose(&info).base, 0xA000);
    info.info_base = HPA(0xA000);
    info.info_len = 8;
    assert_int_equal(trampoline_choose(&info).base, 0x9000);
    info.kernel_base = HPA(0x8FFF);
    info.kernel_len = 2;
    assert_int_equal(trampoline_choose(&info).len, 0);
    region(0x9F000, 0x1000, BOOT_REGION_RECLAIMABLE);
    assert_int_equal(trampoline_choose(&info).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversions_at_many_frequencies),
        cmocka_unit_test(conversions_saturate),
        cmocka_unit_test(time_starts_at_init),
        cmocka_unit_test(delay_waits_long_enough),
        cmocka_unit_test(rtc_knows_the_calendar),
        cmocka_unit_test(start_page_avoids_what_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
