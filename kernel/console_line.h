/* The unfinished line of a console, as a terminal of one line would show it: nothing that a guest sends moves the cursor off
 * that line or to the left of its text. Pure. */
#pragma once
#include "kernel/lib/types.h"

#define CONSOLE_LINE_MAX 1024U

struct console_line {
    char text[CONSOLE_LINE_MAX];
    u32 len, at;     /* characters; the cursor's place among them */
    bool cr;         /* a carriage return that has not been obeyed: a line feed may follow */
    u8 escape;       /* ecma48_in_escape()'s */
    u8 last;         /* byte */
    u32 number;      /* the control sequence's parameter, as far as read */
};

/* Shows text at the cursor: printable bytes, bytes from 80h on, and backspaces. */
typedef void (*console_show)(const char *text, size_t len);

/* One byte of output. Obeyed are backspace, tab, carriage return, and the control sequences cursor left, right and column,
 * erase to the end of the line or screen (ECMA-48 CUB, CUF, CHA, EL 0, ED 0); all others, colours too, and all other control
 * characters are left out. What changes on the screen goes to show (may be NULL). Returns whether the line has ended, by a
 * line feed or by its length; clear it then. */
bool console_line_put(struct console_line *line, u8 byte, console_show show);

/* Show the whole line, the cursor at its place. */
void console_line_show(const struct console_line *line, console_show show);

void console_line_clear(struct console_line *line);
