/* The screen's font: 8 by 16 pixels a character, of the 5 by 8 glyphs in screen_font.def. Pure. */
#pragma once
#include "kernel/lib/types.h"

#define SCREEN_FONT_WIDTH 8U
#define SCREEN_FONT_HEIGHT 16U

/* Pixel row y (0..15, from the top) of a character; bit 7 is the leftmost pixel. Not ASCII 32..126: a question mark. */
u8 screen_font_row(u8 character, u32 y);
