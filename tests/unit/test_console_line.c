/* What a console makes of a guest's line, against a terminal of one line. */
/* units: kernel/console_line.c kernel/lib/ecma48.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "kernel/console_line.h"

static char screen[CONSOLE_LINE_MAX];
static u32 cursor, shown_len;
static struct console_line line;

static void show(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\b') {
            assert_true(cursor > 0); /* or it would leave the line's text */
            cursor--;
        } else {
            assert_true((u8)text[i] >= ' ' && text[i] != 0x7F);
            assert_true(cursor < CONSOLE_LINE_MAX);
            screen[cursor++] = text[i];
            shown_len = MAX(shown_len, cursor);
        }
    }
}

static int start(void **state)
{
    (void)state;
    console_line_clear(&line);
    memset(screen, ' ', sizeof(screen));
    cursor = shown_len = 0;
    return 0;
}

static void check(const char *bytes, const char *want, u32 at)
{
    (void)start(NULL);
    for (; *bytes != '\0'; bytes++) {
        assert_false(console_line_put(&line, (u8)*bytes, show));
    }
    assert_int_equal(line.len, strlen(want));
    assert_memory_equal(line.text, want, line.len);
    assert_memory_equal(screen, want, line.len);
    assert_int_equal(line.at, at);
    assert_int_equal(cursor, at);
}

static void known_bytes(void **state)
{
    (void)state;
    check("plain", "plain", 5);
    check("ab\bc", "ac", 2);
    check("\b\b\ba", "a", 1);
    check("abc\rX", "Xbc", 1);
    check("a\tb", "a       b", 9);
    check("abcd\x1b[2DX", "abXd", 3);
    check("abcd\x1b[DX", "abcX", 4);
    check("abcd\x1b[99DX", "Xbcd", 1);
    check("abcd\x1b[99D\x1b[2CX", "abXd", 3);
    check("ab\x1b[9CX", "abX", 3); /* not beyond the text */
    check("abcd\x1b[2GX", "aXcd", 2);
    check("abcd\x1b[GX", "Xbcd", 1);
    check("abcd\x1b[2D\x1b[K", "ab", 2);
    check("abcd\x1b[2D\x1b[J", "ab", 2);
    check("abcd\x1b[2D\x1b[0KX", "abX", 3);
    check("abcd\x1b[2D\x1b[1KX", "abXd", 3);
    check("abcd\x1b[2J\x1b[H\x1b[A\x1b[?25l\x1b[1;31mX", "abcdX", 5);
    check("\x1b(B\x1b=\x1b" "7\x1b[6n\x1b[cX", "X", 1);
    check("\x01\x07\x0b\x0c\x0e\x0f\x7fX", "X", 1);
    check("\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac", 5);
    check("\xc2\x9b" "31m", "\xc2?31m", 5);
}

static void any_bytes(void **state)
{
    static const char some[] = "ab \b\b\r\t\x1b[[0123456789;DCGKJm";

    (void)state;
    srandom(3);
    for (u32 i = 0; i < 500000; i++) {
        u8 byte = random() % 3 != 0 ? (u8)some[(size_t)random() % (sizeof(some) - 1)] : (u8)random();
        if (console_line_put(&line, byte, show)) {
            (void)start(NULL);
        }
        assert_true(line.at <= line.len && line.len < CONSOLE_LINE_MAX);
        assert_int_equal(cursor, line.at);
        assert_memory_equal(screen, line.text, line.len);
    }
}

/* Shown again, it looks the same. */
static void again(void **state)
{
    (void)state;
    check("abc\x1b[2D", "abc", 1);
    memset(screen, ' ', sizeof(screen));
    cursor = 0;
    console_line_show(&line, show);
    assert_memory_equal(screen, "abc ", 4);
    assert_int_equal(cursor, 1);
}

static void length(void **state)
{
    (void)state;
    for (u32 i = 0; i + 1 < CONSOLE_LINE_MAX; i++) {
        assert_false(console_line_put(&line, 'x', NULL));
    }
    assert_true(console_line_put(&line, 'x', NULL));
    (void)start(NULL);
    for (u32 i = 0; i < 10000; i++) {
        if (console_line_put(&line, '\t', show)) {
            (void)start(NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(known_bytes, start), cmocka_unit_test_setup(any_bytes, start),
        cmocka_unit_test_setup(again, start),       cmocka_unit_test_setup(length, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
