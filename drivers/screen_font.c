#include "drivers/screen_font.h"

#define GLYPH_ROWS 8U
#define FIRST ' '
#define LAST '~'
#define LEFT_MARGIN 2U /* five pixels of eight: one stays free on the left, two on the right */

static const u8 glyphs[][GLYPH_ROWS] = {
#define GLYPH(character, ...) [(character) - FIRST] = {__VA_ARGS__},
#include "drivers/screen_font.def"
#undef GLYPH
};
_Static_assert(ARRAY_SIZE(glyphs) == LAST - FIRST + 1, "one glyph for each printable ASCII character");

u8 screen_font_row(u8 character, u32 y)
{
    u8 known = character >= FIRST && character <= LAST ? character : '?';

    return (u8)(glyphs[known - FIRST][y * GLYPH_ROWS / SCREEN_FONT_HEIGHT % GLYPH_ROWS] << LEFT_MARGIN);
}
