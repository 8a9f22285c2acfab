/* A terminal's escape sequences (ECMA-48, sections 5.3 and 5.4), as far as they must be told from text. Pure. */
#pragma once
#include "kernel/lib/types.h"

/* Where a byte stands. */
enum { ECMA48_TEXT, ECMA48_ESCAPE, ECMA48_CONTROL_SEQUENCE };

/* Is the byte part of an escape sequence? *state is ECMA48_TEXT before the first byte and moves with each. Known are ESC x,
 * ESC with intermediate bytes, and control sequences, ESC [ to the final byte. */
bool ecma48_in_escape(u8 *state, u8 byte);
