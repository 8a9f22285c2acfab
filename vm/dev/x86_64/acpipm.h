/* The ACPI fixed hardware that an operating system needs to switch itself off and to tell time: PM1a event and control
 * blocks and the PM timer (ACPI 6.5, sections 4.8.3.1-4.8.3.3). Always in ACPI mode; the power button exists. */
#pragma once
#include "kernel/base/lock.h"
#include "vm/bus.h"
#include "vm/irqline.h"

#define ACPIPM_BASE 0x600U /* where ACPI tables say that it is */
#define ACPIPM_EVENT 0U    /* PM1a status and enable, 4 bytes */
#define ACPIPM_CONTROL 4U  /* PM1a control, 2 bytes */
#define ACPIPM_TIMER 8U    /* 32-bit timer */
#define ACPIPM_LEN 12U
#define ACPIPM_SCI 9U      /* interrupt pin */
#define ACPIPM_S5 0U       /* SLP_TYP of soft-off: the value that emulators' ports answer to as well */

struct acpipm {
    struct spinlock lock; /* protects everything below */
    u16 status, enable, control;
    struct irqline sci;
    void (*power_off)(void *ctx); /* the guest entered S5; called without the lock */
    void *ctx;
};

void acpipm_init(struct acpipm *pm, const struct irqline *sci, void (*power_off)(void *ctx), void *ctx);

/* The user presses the power button: the guest sees status bit 8, and an SCI if it has enabled it. Any CPU. */
void acpipm_press(struct acpipm *pm);

/* Claim the ports from base. 0 or bus_add()'s error. */
MUST_CHECK int acpipm_attach(struct acpipm *pm, struct bus *pio, u64 base);
