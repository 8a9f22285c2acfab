#include "drivers/screen_text.h"
#include "kernel/lib/ecma48.h"
#include "kernel/lib/string.h"

#define DEL 0x7FU
#define TAB_STOPS 8U

static u8 *line_at(const struct screen_text *text, u32 row)
{
    return text->cells + (size_t)((text->top + row) % text->rows) * text->cols;
}

void screen_text_init(struct screen_text *text, u8 *cells, u32 cols, u32 rows)
{
    *text = (struct screen_text){.cols = cols, .rows = rows, .cells = cells};
    memset(cells, ' ', (size_t)cols * rows);
}

static void new_line(struct screen_text *text)
{
    text->col = 0;
    if (text->row + 1 < text->rows) {
        text->row++;
    } else {
        memset(line_at(text, 0), ' ', text->cols); /* the top line becomes the bottom one */
        text->top = (text->top + 1) % text->rows;
    }
}

static void put_character(struct screen_text *text, u8 character)
{
    if (text->col == text->cols) {
        new_line(text);
    }
    line_at(text, text->row)[text->col++] = character;
}

void screen_text_put(struct screen_text *text, u8 byte)
{
    if (ecma48_in_escape(&text->escape, byte)) {
        return;
    }
    switch (byte) {
    case '\n':
        new_line(text);
        break;
    case '\r':
        text->col = 0;
        break;
    case '\b':
        text->col -= text->col != 0 ? 1U : 0U;
        break;
    case '\t':
        text->col = MIN((text->col / TAB_STOPS + 1) * TAB_STOPS, text->cols - 1);
        break;
    default:
        if (byte >= ' ' && byte != DEL) {
            put_character(text, byte < DEL ? byte : '?');
        }
        break;
    }
}

u8 screen_text_at(const struct screen_text *text, u32 col, u32 row)
{
    return line_at(text, row)[col];
}
