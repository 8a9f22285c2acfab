/* The PC's small system ports: keyboard controller (8042), port 92h, reset control CF9h. Each can
 * reset the machine; here that ends or restarts this VM alone. A20 is always open. */
#pragma once
#include "kernel/base/lock.h"
#include "vm/bus.h"
#include "vm/dev/x86_64/keyboard.h"
#include "vm/irqline.h"

#define KBC_IRQ 1U

struct reset_ports {
    struct spinlock lock; /* protects everything below */
    u8 kbc_command;       /* a command that waits for its data byte, 0 = none */
    u8 kbc_control;       /* the 8042's command byte */
    u8 kbc_output[KEYBOARD_REPLY_MAX]; /* the first one is what port 60h shows */
    u8 kbc_waiting;       /* how many of them wait to be read */
    struct keyboard keyboard;
    struct irqline irq;
    u8 port92;
    u8 cf9;
    void (*reset)(void *ctx); /* the guest asked for a reset; called without the lock */
    void *ctx;
};

void reset_ports_init(struct reset_ports *ports, const struct irqline *irq, void (*reset)(void *ctx), void *ctx);

/* The handler of port CF9h, for the PCI address register whose range holds it. */
void reset_control_port(void *device, u64 offset, u8 size, bool write, u64 *value);

/* Claim ports 60h, 64h and 92h. 0 or bus_add()'s error. */
MUST_CHECK int reset_ports_attach(struct reset_ports *ports, struct bus *pio);
