/* Host build of <arch/cpu.h>: the interrupt flag is a variable that tests read. */
#pragma once
#include "kernel/lib/types.h"

#define ARCH_IRQ_ENABLED 0x200ULL

extern bool host_irqs_on; /* in tests/unit/host.c; starts true */
extern void (*host_on_wait)(void);  /* called by arch_irq_wait() when not NULL */
extern void (*host_on_relax)(void); /* called by arch_cpu_relax() when not NULL */
extern u64 host_counter;            /* what arch_counter() returns */

static inline u64 arch_irq_save(void)
{
    u64 flags = host_irqs_on ? ARCH_IRQ_ENABLED : 0;
    host_irqs_on = false;
    return flags;
}

static inline void arch_irq_restore(u64 flags)
{
    if ((flags & ARCH_IRQ_ENABLED) != 0) {
        host_irqs_on = true;
    }
}

static inline void arch_irq_enable(void)
{
    host_irqs_on = true;
}

static inline void arch_irq_disable(void)
{
    host_irqs_on = false;
}

static inline void arch_irq_wait(void)
{
    host_irqs_on = true;
    if (host_on_wait != NULL) {
        host_on_wait();
    }
}

/* An interrupt that waits comes here. */
static inline void arch_irq_take_pending(void)
{
    if (host_on_relax != NULL) {
        host_on_relax();
    }
}

static inline void arch_cpu_relax(void)
{
    if (host_on_relax != NULL) {
        host_on_relax();
    }
}

static inline u64 arch_counter(void)
{
    return host_counter;
}

NORETURN void arch_cpu_stop(void);
void arch_cpu_stop_others(void);
