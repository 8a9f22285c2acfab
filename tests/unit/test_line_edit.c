/* The monitor's line editor, against a terminal of one screen. */
/* units: kernel/init/line_edit.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "kernel/init/line_edit.h"

#define COLS 600U
static char screen[COLS + 1]; /* the line that the cursor is on */
static u32 cursor;
static char above[65536]; /* the lines before it */

static void show(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\b') {
            assert_true(cursor > 0);
            cursor--;
        } else if (text[i] == '\r') {
            cursor = 0;
        } else if (text[i] == '\n') {
            size_t end = strlen(above);
            memcpy(above + end, screen, COLS);
            for (end = strlen(above); end > 0 && above[end - 1] == ' '; end--) {
            }
            memcpy(above + end, "\n", 2);
            memset(screen, ' ', COLS);
        } else {
            assert_in_range(text[i], ' ', '~');
            assert_true(cursor < COLS);
            screen[cursor++] = text[i];
        }
    }
}

static const char *candidate(const char *line, u32 word, u32 index)
{
    static const char *const first[] = {"pause", "poweroff", "power", "resume", "vms", NULL};
    static const char *const second[] = {"linux", "lisa", NULL};

    if (word == 0) {
        return first[MIN(index, 5U)];
    }
    return word == 1 && strncmp(line, "pause ", 6) == 0 ? second[MIN(index, 2U)] : NULL;
}

static struct line_edit edit;

static int start(void **state)
{
    (void)state;
    memset(&edit, 0, sizeof(edit));
    edit = (struct line_edit){.prompt = "> ", .show = show, .candidate = candidate};
    memset(screen, ' ', COLS);
    cursor = 0;
    above[0] = '\0';
    line_edit_begin(&edit);
    return 0;
}

/* Returns whether the last key ended the line. */
static bool type(const char *keys)
{
    bool ended = false;

    for (; *keys != '\0'; keys++) {
        ended = line_edit_key(&edit, (u8)*keys);
    }
    return ended;
}

/* The screen's line, with the cursor as '|'; the editor believes the same. */
static void expect(const char *want)
{
    char got[COLS + 2];
    size_t end = COLS;

    while (end > cursor && screen[end - 1] == ' ') {
        end--;
    }
    memcpy(got, screen, cursor);
    got[cursor] = '|';
    memcpy(got + cursor + 1, screen + cursor, end - cursor);
    got[end + 1] = '\0';
    assert_string_equal(got, want);
    assert_memory_equal(screen + 2, edit.line, edit.len);
    assert_int_equal(cursor, 2 + edit.at);
}

static void enter(const char *keys, const char *line)
{
    assert_true(type(keys));
    assert_string_equal(edit.line, line);
    line_edit_begin(&edit);
}

static void typing_and_moving(void **state)
{
    (void)state;
    type("vmx\b" "s");
    expect("> vms|");
    type("\x1b[D\x1b[D\x1bOD\x1b[D"); /* four times left, once too often */
    expect("> |vms");
    type("\x1b[C" "X");
    expect("> vX|ms");
    type("\x1b[3~\x04");
    expect("> vX|");
    type("\x04\x1b[3~\x7f\x7f\x7f\x7f");
    expect("> |");
    type("abc def\x01_\x05!\x02\x02\x06?");
    expect("> _abc def?|!");
    type("\x1b[H<\x1b[F>\x1b[1~(\x1b[4~)\x1b[7~{\x1b[8~}");
    expect("> {(<_abc def?!>)}|");
    enter("\x1b[D\r", "{(<_abc def?!>)}");
}

static void killing(void **state)
{
    (void)state;
    type("one two  three\x17");
    expect("> one two  |");
    type("\x17");
    expect("> one |");
    type("two\x02\x02\x0b");
    expect("> one t|");
    type("\x02\x15");
    expect("> |t");
    type("rest\x03");
    expect("> |");
    enter("x\n", "x");
}

static void history(void **state)
{
    (void)state;
    type("\x1b[A\x1b[B");
    expect("> |");
    enter("first\r", "first");
    enter("second\r", "second");
    assert_false(type("\n")); /* one line end, not two */
    enter("second\n", "second");
    enter("\r", "");
    type("dra");
    type("\x1b[A");
    expect("> second|");
    type("\x10");
    expect("> first|");
    type("\x1b[A");
    expect("> first|");
    type("\x0e\x1b[B");
    expect("> |");
    enter("\x1b[A\x1b[A!\r", "first!");
    for (u32 i = 0; i < 3 * LINE_HISTORY; i++) {
        char line[] = {'l', (char)('A' + i), '\r', '\0'};
        assert_true(type(line));
        line_edit_begin(&edit);
    }
    for (u32 i = 0; i < 3 * LINE_HISTORY; i++) {
        type("\x1b[A");
    }
    expect("> la|"); /* 'A' + 32: the oldest kept */
}

static void completion(void **state)
{
    (void)state;
    type("v\t");
    expect("> vms |");
    type("\x03" "p\t");
    assert_string_equal(above, "> p\npause  poweroff  power\n");
    expect("> p|");
    type("o\t"); /* as far as it is the same */
    expect("> power|");
    type("\x03" "pause l\t");
    expect("> pause li|");
    type("n\t");
    expect("> pause linux |");
    type("\t\x03zz\t");
    expect("> zz|");
    type("\x03ms\x01v\t"); /* inside a line: nothing is overwritten */
    expect("> vms|ms");
    type("\x03\t");
    assert_non_null(strstr(above, "pause  poweroff  power  resume  vms\n"));
    edit.candidate = NULL;
    type("v\t");
    expect("> v|");
}

static void too_long_a_line(void **state)
{
    (void)state;
    for (u32 i = 0; i < 5000; i++) {
        assert_false(line_edit_key(&edit, 'x'));
    }
    assert_int_equal(edit.len, LINE_MAX - 1);
    assert_true(type("\r"));
    assert_true(edit.too_long);
    line_edit_begin(&edit);
    type("\x1b[A"); /* it is not remembered */
    expect("> |");
    assert_false(edit.too_long);
}

/* Whatever comes, the screen shows what the editor believes. */
static void any_bytes(void **state)
{
    static const char keys[] = "\x1b[ABCDHF~;1234567890O\t\x01\x02\x03\x04\x05\x06\x0b\x0e\x10\x15\x17\b\x7f abcpvlms";

    (void)state;
    srandom(7);
    for (u32 i = 0; i < 200000; i++) {
        u8 byte = random() % 4 != 0 ? (u8)keys[(size_t)random() % (sizeof(keys) - 1)] : (u8)random();
        if (line_edit_key(&edit, byte)) {
            line_edit_begin(&edit);
        }
        assert_true(edit.at <= edit.len && edit.len < LINE_MAX);
        assert_memory_equal(screen + 2, edit.line, edit.len);
        assert_int_equal(cursor, 2 + edit.at);
        above[0] = '\0';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(typing_and_moving, start), cmocka_unit_test_setup(killing, start),
        cmocka_unit_test_setup(history, start),           cmocka_unit_test_setup(completion, start),
        cmocka_unit_test_setup(too_long_a_line, start),   cmocka_unit_test_setup(any_bytes, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
