#include "kernel/lib/ecma48.h"

enum { TEXT, ESCAPE, CONTROL_SEQUENCE };
#define ESC 0x1BU
#define INTERMEDIATE_LAST 0x2FU
#define CSI_FINAL_FIRST 0x40U
#define CSI_FINAL_LAST 0x7EU

bool ecma48_in_escape(u8 *state, u8 byte)
{
    if (*state == TEXT) {
        *state = byte == ESC ? ESCAPE : TEXT;
        return byte == ESC;
    }
    if (*state == ESCAPE) {
        bool intermediate = byte >= ' ' && byte <= INTERMEDIATE_LAST;
        *state = byte == '[' ? CONTROL_SEQUENCE : intermediate ? ESCAPE : TEXT;
    } else if (byte >= CSI_FINAL_FIRST && byte <= CSI_FINAL_LAST) {
        *state = TEXT;
    }
    return true;
}
