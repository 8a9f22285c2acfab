/* Prints as fast as it can: 600 lines of 64 characters, looking at the transmitter before each as drivers do. */
#include "tests/guests/kit/kit.h"

#define LINES 600U

static void send(char c)
{
#ifndef RUDE
    wait_uart();
#endif
    putch(c);
}

void guest_main(void)
{
    for (u32 i = 0; i < LINES; i++) {
        for (u32 digit = 10000; digit != 0; digit /= 10) {
            send((char)('0' + i / digit % 10));
        }
        for (u32 k = 0; k < 58; k++) {
            send((char)('a' + (i + k) % 26));
        }
        send('\n');
    }
    print("flood ends\n");
}
