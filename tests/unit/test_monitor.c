/* Words of the monitor's commands. */
/* units: kernel/init/monitor_parse.c vm/config_value.c */
#include "tests/unit/host.h"
#include "kernel/init/monitor_parse.h"
#include "vm/config_internal.h"

static void numbers(void **state)
{
    static const struct {
        const char *text;
        u64 value;
    } good[] = {{"0", 0}, {"10", 10}, {"0x10", 16}, {"0XfF", 255}, {"007", 7}, {"18446744073709551615", UINT64_MAX},
                {"0xffffffffffffffff", UINT64_MAX}};
    static const char *const bad[] = {"", "0x", "-1", "+1", " 1", "1 ", "1k", "0x1g", "a", "1.0", "18446744073709551616",
                                      "0x10000000000000000", "99999999999999999999999999"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        u64 value = 1;
        assert_true(config_parse_number(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        u64 value = 77;
        if (config_parse_number(bad[i], &value)) {
            fail_msg("'%s' is taken for a number", bad[i]);
        }
        assert_int_equal(value, 77);
    }
}

static void check_vcpu(const char *text, const char *want_name, u32 want_cpu)
{
    char name[32] = "?";
    u32 cpu = 99;

    assert_true(monitor_parse_vcpu(text, name, &cpu));
    assert_string_equal(name, want_name);
    assert_int_equal(cpu, want_cpu);
}

static void names_with_a_vcpu(void **state)
{
    char name[32] = "?";
    u32 cpu = 99;

    (void)state;
    check_vcpu("web", "web", 0);
    check_vcpu("web.3", "web", 3);
    check_vcpu("web.0x1f", "web", 31);
    check_vcpu("bz.img", "bz.img", 0);
    check_vcpu("bz.img.2", "bz.img", 2);
    check_vcpu("web.", "web.", 0);
    check_vcpu("web.99999999999", "web.99999999999", 0);
    check_vcpu("", "", 0);
    check_vcpu("abcdefghijabcdefghijabcdefghijA", "abcdefghijabcdefghijabcdefghijA", 0);
    check_vcpu("abcdefghijabcdefghijabcdefghijA.7", "abcdefghijabcdefghijabcdefghijA", 7);
    assert_false(monitor_parse_vcpu("abcdefghijabcdefghijabcdefghijAB", name, &cpu));
    assert_false(monitor_parse_vcpu("abcdefghijabcdefghijabcdefghijAB.1", name, &cpu));
    assert_string_equal(name, "?");
}

static void choices(void **state)
{
    static const char *const want[] = {"on", "off", "show"};
    const char *usage = "trace NAME on|off|show [--json]";
    char out[MONITOR_CHOICE_MAX];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
        assert_true(monitor_choice(usage, 2, i, out));
        assert_string_equal(out, want[i]);
    }
    assert_false(monitor_choice(usage, 2, 3, out));
    assert_false(monitor_choice(usage, 1, 0, out));
    assert_false(monitor_choice(usage, 3, 0, out));
    assert_false(monitor_choice(usage, 4, 0, out));
    assert_true(monitor_choice("x longer-than-that|b", 1, 0, out));
    assert_string_equal(out, "longer-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(names_with_a_vcpu), cmocka_unit_test(choices)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
