#include "kernel/lib/ecma48.h"

#define ESC 0x1BU
#define INTERMEDIATE_LAST 0x2FU
#define CSI_FINAL_FIRST 0x40U
#define CSI_FINAL_LAST 0x7EU

bool ecma48_in_escape(u8 *state, u8 byte)
{
    if (*state == ECMA48_TEXT) {
        *state = byte == ESC ? ECMA48_ESCAPE : ECMA48_TEXT;
        return byte == ESC;
    }
    if (*state == ECMA48_ESCAPE) {
        bool intermediate = byte >= ' ' && byte <= INTERMEDIATE_LAST;
        *state = byte == '[' ? ECMA48_CONTROL_SEQUENCE : intermediate ? ECMA48_ESCAPE : ECMA48_TEXT;
    } else if (byte >= CSI_FINAL_FIRST && byte <= CSI_FINAL_LAST) {
        *state = ECMA48_TEXT;
    }
    return true;
}
