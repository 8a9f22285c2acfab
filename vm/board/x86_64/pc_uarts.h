/* The serial ports of the PC, those that uart= names: the first has the VM's console, each other one a console of its own, named
 * VM:comN. */
#pragma once
#include "vm/board/x86_64/irqchip.h"
#include "vm/dev/uart16550.h"
#include "vm/uart_ports.h"

/* A wire that two ports drive: high while one of them wants it. */
struct pc_shared_wire {
    struct spinlock lock; /* protects high */
    struct irqline wire;
    u32 high; /* a bit for each port */
};

struct pc_uarts {
    u32 count;
    struct vuart *chips;           /* in the order of uart= */
    struct console_port *consoles; /* of all but the first; NULL: there are none */
    struct pc_shared_wire shared[2];
};

/* Make the ports, claim them in vm->pio, and open the consoles, the VM's own first. 0, -E_NOMEM, or bus_add()'s error;
 * pc_uarts_stop() and pc_uarts_destroy() clean up. Task context. */
MUST_CHECK int pc_uarts_attach(struct pc_uarts *uarts, struct vm *vm, struct pc_irqchip *chip);

/* Close the consoles. Task context. */
void pc_uarts_stop(struct pc_uarts *uarts, struct vm *vm);

/* Give the memory back. Task context. */
void pc_uarts_destroy(struct pc_uarts *uarts);
