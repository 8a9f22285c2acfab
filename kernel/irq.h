/* Host interrupts: drivers of interrupt controllers register here; drivers of devices request lines here. */
#pragma once
#include "kernel/lib/types.h"

typedef void (*irq_handler)(void *arg); /* IRQ context, IRQs off */

/* What an interrupt controller driver provides. */
struct irq_controller {
    const char *name;
    int (*enable_line)(u32 gsi, u32 vector, bool level, bool active_low); /* route gsi to vector on the boot CPU, unmask */
    void (*end)(void);                                                   /* end of interrupt on this CPU */
    void (*send_kick)(u32 hw_id);                                        /* IPI with no payload */
    u32 vector_first, vector_last; /* what irq_request() may hand out */
    u32 vector_kick;               /* what send_kick() raises */
    u32 vector_spurious;           /* not an interrupt: no end() */
};
void irq_set_controller(const struct irq_controller *chip);

/* Route global interrupt gsi (ISA overrides already applied by the caller) to handler. Returns 0, -E_BUSY (line taken),
 * -E_NOMEM (no vector left), -E_NOSYS (no controller, or it has no such line). Boot CPU. */
MUST_CHECK int irq_request(u32 gsi, bool level, bool active_low, irq_handler handler, void *arg);

/* Install handler for a CPU-local vector (timer, kick); arch code picks the number. Returns 0 or -E_BUSY. */
MUST_CHECK int irq_request_local(u32 vector, irq_handler handler, void *arg);

/* Make CPU cpu leave the guest or its wait and look at its flags. Safe for any id, the caller's included. Any context. */
void irq_kick(u32 cpu);

/* fn runs on a CPU, in IRQ context, whenever that CPU was kicked. A few, at boot only. */
void irq_add_kick_handler(void (*fn)(void));

/* External interrupts that nobody had asked for, since boot. */
u64 irq_unclaimed_count(void);

/* Called by the arch trap code for each external vector. IRQs off. */
void irq_dispatch(u32 vector);
