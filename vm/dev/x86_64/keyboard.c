#include "vm/dev/x86_64/keyboard.h"

enum { SET_LEDS = 0xED, ECHO = 0xEE, SCAN_SET = 0xF0, IDENTIFY = 0xF2, SET_RATE = 0xF3, ENABLE = 0xF4, DISABLE = 0xF5,
       DEFAULTS = 0xF6, RESET = 0xFF };
enum { ACK = 0xFA, RESEND = 0xFE, TEST_PASSED = 0xAA, ID_FIRST = 0xAB, ID_SECOND = 0x83, CURRENT_SET = 2 };

/* A scan set of 0 asks which one is in use. */
static u32 parameter(u8 command, u8 byte, u8 *reply)
{
    reply[0] = ACK;
    reply[1] = CURRENT_SET;
    return command == SCAN_SET && byte == 0 ? 2 : 1;
}

u32 keyboard_receive(struct keyboard *keyboard, u8 byte, u8 reply[KEYBOARD_REPLY_MAX])
{
    u8 command = keyboard->command;

    keyboard->command = 0;
    if (command != 0 && byte < SET_LEDS) {
        return parameter(command, byte, reply);
    }
    reply[0] = ACK;
    switch (byte) {
    case SET_LEDS:
    case SCAN_SET:
    case SET_RATE:
        keyboard->command = byte;
        return 1;
    case ENABLE:
    case DISABLE:
    case DEFAULTS:
        return 1;
    case IDENTIFY:
        reply[1] = ID_FIRST;
        reply[2] = ID_SECOND;
        return 3;
    case RESET:
        reply[1] = TEST_PASSED;
        return 2;
    default:
        reply[0] = byte == ECHO ? (u8)ECHO : (u8)RESEND;
        return 1;
    }
}
