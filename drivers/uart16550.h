/* The 16550 UART (National Semiconductor PC16550D data sheet), wherever its registers lie. */
#pragma once
#include "kernel/console.h"
#include "kernel/lib/types.h"
#include "kernel/serial.h"
#include "kernel/timer.h"

#define UART16550_CLOCK_HZ 1843200U
#define UART16550_REGS 8U
#define UART16550_QUEUE 32000U /* 2.8 s at 115200 baud */

struct uart16550 {
    struct console_device console; /* name filled by the owner */
    u8 (*read)(struct uart16550 *uart, u32 reg);
    void (*write)(struct uart16550 *uart, u32 reg, u8 value);
    u64 base;     /* for read and write: port number or mapped address */
    u32 timeouts; /* bytes in a row that could not be sent */
    u8 *queue;    /* UART16550_QUEUE bytes to be sent; NULL until uart16550_queue() */
    u32 first, queued;  /* in it; the console's lock protects them */
    u64 sent_ns;        /* when a byte went out last */
    u64 fifo_ns;        /* what the wire takes for a full FIFO */
    struct timer timer; /* then */
    bool timed;         /* it is armed */
    bool is_console;    /* console is one; else serial is in use */
    bool turned_away;   /* serial's service takes nothing now */
    struct serial_port serial;
};

/* Program the UART to baud 8N1 with FIFOs on and interrupts off, and make it a console device (not yet added) or, unless
 * is_console is set, a serial port.
 * Returns 0, -E_NOENT (no UART answers there), -E_INVAL (baud is not reachable). read, write and base are set. */
MUST_CHECK int uart16550_init(struct uart16550 *uart, u32 baud);

/* From now on output waits in a queue and leaves by timer. Needs the heap and timers; without memory output goes on as
 * before. */
void uart16550_queue(struct uart16550 *uart);

/* From now on received bytes raise the UART's interrupt: the handler, which may also be called often instead, is
 * uart16550_receive() (arg: the uart). */
void uart16550_listen(struct uart16550 *uart);
void uart16550_receive(void *arg);
