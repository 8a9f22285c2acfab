/* The 16550 UART (National Semiconductor PC16550D data sheet), wherever its registers lie. */
#pragma once
#include "kernel/console.h"
#include "kernel/lib/types.h"

#define UART16550_CLOCK_HZ 1843200U
#define UART16550_REGS 8U

struct uart16550 {
    struct console_device console; /* name filled by the owner */
    u8 (*read)(struct uart16550 *uart, u32 reg);
    void (*write)(struct uart16550 *uart, u32 reg, u8 value);
    u64 base;     /* for read and write: port number or mapped address */
    u32 timeouts; /* bytes in a row that could not be sent */
};

/* Program the UART to baud 8N1 with FIFOs on and interrupts off, and make it a console device (not yet added).
 * Returns 0, -E_NOENT (no UART answers there), -E_INVAL (baud is not reachable). read, write and base are set. */
MUST_CHECK int uart16550_init(struct uart16550 *uart, u32 baud);

/* Let received bytes raise the UART's interrupt; uart16550_receive() is its handler (arg: the uart). */
void uart16550_enable_receive(struct uart16550 *uart);
void uart16550_receive(void *arg);
