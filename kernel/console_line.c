#include "kernel/console_line.h"
#include "kernel/lib/ecma48.h"

#define TAB_STOPS 8U
#define DEL 0x7FU
#define UTF8_C1_LEAD 0xC2U /* with 80h..9Fh behind it: a control character, to terminals that speak UTF-8 */
#define C1_FIRST 0x80U
#define C1_LAST 0x9FU
#define NUMBER_MAX 9999U

static void show_many(console_show show, char c, u32 count)
{
    while (show != NULL && count-- != 0) {
        show(&c, 1);
    }
}

static void move_to(struct console_line *line, u32 at, console_show show)
{
    u32 to = MIN(at, line->len);

    if (to < line->at) {
        show_many(show, '\b', line->at - to);
    } else if (show != NULL && to > line->at) {
        show(line->text + line->at, to - line->at);
    }
    line->at = to;
}

static void erase_tail(struct console_line *line, console_show show)
{
    show_many(show, ' ', line->len - line->at);
    show_many(show, '\b', line->len - line->at);
    line->len = line->at;
}

static void put_text(struct console_line *line, char c, console_show show)
{
    line->text[line->at++] = c;
    line->len = MAX(line->len, line->at);
    show_many(show, c, 1);
}

static void obey_sequence(struct console_line *line, u8 final, console_show show)
{
    u32 count = MAX(line->number, 1U);

    if (final == 'C') {
        move_to(line, line->at + count, show);
    } else if (final == 'D') {
        move_to(line, line->at - MIN(count, line->at), show);
    } else if (final == 'G') {
        move_to(line, count - 1, show);
    } else if ((final == 'J' || final == 'K') && line->number == 0) {
        erase_tail(line, show);
    }
}

/* Is the byte part of an escape sequence? The last one makes it count. */
static bool in_sequence(struct console_line *line, u8 byte, console_show show)
{
    u8 before = line->escape;

    if (!ecma48_in_escape(&line->escape, byte)) {
        return false;
    }
    if (before != ECMA48_CONTROL_SEQUENCE) {
        line->number = 0;
    } else if (line->escape == ECMA48_TEXT) {
        obey_sequence(line, byte, show);
    } else if (byte >= '0' && byte <= '9') {
        line->number = MIN(line->number * 10 + byte - '0', NUMBER_MAX);
    } else {
        line->number = NUMBER_MAX; /* several parameters, private ones: none that is known here */
    }
    return true;
}

static void put_control(struct console_line *line, u8 byte, console_show show)
{
    if (byte == '\b' && line->at != 0) {
        move_to(line, line->at - 1, show);
    }
    if (byte == '\t') {
        u32 stop = MIN((line->at / TAB_STOPS + 1) * TAB_STOPS, CONSOLE_LINE_MAX - 1);
        while (line->at < stop) {
            put_text(line, ' ', show);
        }
    }
}

bool console_line_put(struct console_line *line, u8 byte, console_show show)
{
    bool c1 = line->last == UTF8_C1_LEAD && byte >= C1_FIRST && byte <= C1_LAST;

    line->last = byte;
    if (byte == '\n') {
        return true;
    }
    if (byte == '\r') {
        line->cr = true;
        return false;
    }
    if (line->cr) {
        line->cr = false;
        move_to(line, 0, show);
    }
    if (in_sequence(line, byte, show)) {
        return false;
    }
    if (byte < ' ' || byte == DEL) {
        put_control(line, byte, show);
    } else {
        put_text(line, c1 ? '?' : (char)byte, show);
    }
    return line->len == CONSOLE_LINE_MAX;
}

void console_line_show(const struct console_line *line, console_show show)
{
    show(line->text, line->len);
    show_many(show, '\b', line->len - line->at);
}

void console_line_clear(struct console_line *line)
{
    line->len = 0;
    line->at = 0;
    line->cr = false;
    line->escape = ECMA48_TEXT;
    line->last = 0;
}
