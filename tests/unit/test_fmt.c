/* kernel/lib/fmt.c against the C library's vsnprintf, and its bounds. */
/* units: kernel/lib/fmt.c kernel/lib/errno.c */
#include "tests/unit/host.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"

#define CHECK(...)                                                                                                    \
    do {                                                                                                              \
        char want[256], got[256];                                                                                     \
        int want_len = snprintf(want, sizeof(want), __VA_ARGS__);                                                     \
        int got_len = fmt_snprintf(got, sizeof(got), __VA_ARGS__);                                                    \
        assert_string_equal(got, want);                                                                               \
        assert_int_equal(got_len, want_len);                                                                          \
    } while (0)

#pragma GCC diagnostic ignored "-Wformat"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"
#endif

static void test_integers(void **state)
{
    static const int values[] = {0, 1, -1, 42, -42, INT_MAX, INT_MIN};
    (void)state;

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        int v = values[i];
        CHECK("%d|%i|%u|%x|%X", v, v, v, v, v);
        CHECK("%5d|%-5d|%05d|%.3d|%8.3d|%-8.3d|%08.3d", v, v, v, v, v, v, v);
        CHECK("%#x|%#X|%#10x|%#010x|%-#10x", v, v, v, v, v);
        CHECK("%hd|%hhd|%hu|%hhu|%hx", v, v, v, v, v);
    }
    CHECK("%ld %lu %lx %lld %llu %zu", LONG_MIN, ULONG_MAX, ULONG_MAX, LLONG_MIN, ULLONG_MAX, SIZE_MAX);
    CHECK("%.0d|%.0x|%5.0d|", 0, 0, 0);
}

static void test_text(void **state)
{
    (void)state;
    CHECK("%s|%10s|%-10s|%.2s|%10.2s|%.0s", "hello", "hello", "hello", "hello", "hello", "hello");
    CHECK("%c|%5c|%-5c|%%|plain", 'x', 'y', 'z');
    CHECK("%*d|%-*d|%*d|%.*s|%.*d", 6, 1, 6, 2, -6, 3, 2, "abc", 4, 5);
    CHECK("%.*s", -1, "whole");
    CHECK("%p", (void *)0x1234);
}

static void test_unterminated_string_with_precision(void **state)
{
    char text[3] = {'a', 'b', 'c'};
    (void)state;
    CHECK("%.3s", text);
}

static void test_null_and_unknown(void **state)
{
    char buf[32];
    (void)state;
    (void)fmt_snprintf(buf, sizeof(buf), "%s", (const char *)NULL);
    assert_string_equal(buf, "(null)");
    (void)fmt_snprintf(buf, sizeof(buf), "%q|%");
    assert_string_equal(buf, "q|");
}

static void test_bounds(void **state)
{
    char buf[8];
    (void)state;

    for (size_t size = 0; size <= sizeof(buf); size++) {
        memset(buf, '#', sizeof(buf));
        assert_int_equal(fmt_snprintf(buf, size, "%d-%s", 12345, "abc"), 9);
        for (size_t i = size; i < sizeof(buf); i++) {
            assert_int_equal(buf[i], '#');
        }
        if (size != 0) {
            assert_int_equal(strlen(buf), size - 1);
        }
    }
    assert_int_equal(fmt_snprintf(NULL, 0, "abc"), 3);
}

static void test_absurd_widths_end(void **state)
{
    char buf[8];
    (void)state;
    assert_true(fmt_snprintf(buf, sizeof(buf), "%99999999999999999999d", 1) <= 4096);
    assert_true(fmt_snprintf(buf, sizeof(buf), "%*d", INT_MIN, 1) <= 4096);
    assert_true(fmt_snprintf(buf, sizeof(buf), "%.*d", INT_MAX, 1) <= 4096);
}

static void test_errno_text(void **state)
{
    (void)state;
    assert_string_equal(errno_text(E_NOMEM), "out of memory");
    assert_string_equal(errno_text(-E_NOMEM), "out of memory");
    assert_string_equal(errno_text(0), "success");
    assert_string_equal(errno_text(12345), "unknown error");
    assert_string_equal(errno_text(INT_MIN), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),         cmocka_unit_test(test_text),
        cmocka_unit_test(test_unterminated_string_with_precision), cmocka_unit_test(test_null_and_unknown),
        cmocka_unit_test(test_bounds),           cmocka_unit_test(test_absurd_widths_end),
        cmocka_unit_test(test_errno_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
