/* A 16550A UART as a guest sees it (National PC16550D data sheet): instant transmitter, until the console has no room: then
 * it stays busy, as a real one does at its line's speed; 16-byte receive FIFO fed from a
 * larger host-side queue so that pasted input is not lost. */
#pragma once
#include "kernel/base/lock.h"
#include "vm/bus.h"
#include "vm/irqline.h"

#define VUART_PORTS 8U
#define VUART_QUEUE 8192U /* typed ahead, however slow the guest is; a power of two */

struct vuart {
    struct spinlock lock; /* protects everything below */
    u8 ier, lcr, mcr, scr, fcr;
    u8 divisor[2];
    bool thr_event;  /* transmitter-empty interrupt pending */
    bool thr_wait;   /* it comes when the console takes bytes again */
    bool overrun;
    bool level;      /* of the wire */
    u8 queue[VUART_QUEUE];
    u32 head, tail;  /* queue indices, free-running */
    struct irqline irq;
    void (*transmit)(void *ctx, u8 byte); /* called without the lock */
    bool (*ready)(void *ctx); /* may a byte be transmitted? When not, vuart_writable() follows. NULL: always. Set before use */
    void *ctx;
};

void vuart_init(struct vuart *uart, const struct irqline *irq, void (*transmit)(void *ctx, u8 byte), void *ctx);

/* Claim VUART_PORTS ports (or MMIO bytes) from base. 0 or bus_add()'s error. */
MUST_CHECK int vuart_attach(struct vuart *uart, struct bus *bus, u64 base);

/* ready() is true again. Any context but NMI. */
void vuart_writable(struct vuart *uart);

/* One byte arrives from outside; dropped with the overrun flag when the queue is full. Any context but NMI. */
void vuart_receive(struct vuart *uart, u8 byte);
