/* The text of a screen: what a plain terminal shows of the bytes that it was sent. Scrolling moves an index; the screen
 * itself is never read. Pure. */
#pragma once
#include "kernel/lib/types.h"

struct screen_text {
    u32 cols, rows;
    u32 top;      /* the row of cells that stands at the top of the screen */
    u32 col, row; /* where the next character goes; col = cols: at the start of the next line */
    u8 escape;    /* inside a terminal escape sequence */
    u8 *cells;    /* rows of cols characters, a ring of rows */
};

/* An empty screen. cells has room for cols * rows bytes, both at least 1; it stays the caller's. */
void screen_text_init(struct screen_text *text, u8 *cells, u32 cols, u32 rows);

/* One byte: printable ASCII, CR, LF, backspace, tab; escape sequences (ECMA-48) are left out, other bytes show as '?',
 * other control characters not at all. O(cols). */
void screen_text_put(struct screen_text *text, u8 byte);

/* The character at a place of the screen, counted from the top left; col < cols, row < rows. */
u8 screen_text_at(const struct screen_text *text, u32 col, u32 row);
