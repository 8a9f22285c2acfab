/* A PS/2 keyboard on which nobody types: it answers what firmware and drivers ask it (IBM PS/2 Technical Reference, "Keyboard
 * (101- and 102-Key)", "Commands from the System"). Pure; its controller holds the lock. */
#pragma once
#include "kernel/lib/types.h"

#define KEYBOARD_REPLY_MAX 3U

struct keyboard {
    u8 command; /* waits for its parameter, 0 = none */
};

/* One byte from the system; returns how many bytes of reply there are. */
u32 keyboard_receive(struct keyboard *keyboard, u8 byte, u8 reply[KEYBOARD_REPLY_MAX]);
