/* The standard serial ports of a PC: where they sit, and which ISA interrupt they raise. Pure. */
#pragma once
#include "kernel/lib/types.h"

#define UART_PORTS 4U /* com1 to com4, here 0 to 3 */
#define UART_NAMES {"com1", "com2", "com3", "com4"}

/* The first of the eight I/O ports. number below UART_PORTS. */
static inline u16 uart_port(u32 number)
{
    static const u16 ports[UART_PORTS] = {0x3F8, 0x2F8, 0x3E8, 0x2E8};

    return ports[number];
}

/* com1 and com3 share a wire, and so do com2 and com4. */
static inline u32 uart_irq(u32 number)
{
    return number % 2 == 0 ? 4 : 3;
}
