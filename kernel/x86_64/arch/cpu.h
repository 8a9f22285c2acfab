/* Contract of kernel/base with the ISA: interrupt flag, waiting, barriers. */
#pragma once
#include "kernel/lib/types.h"

#define ARCH_IRQ_ENABLED 0x200ULL /* the interrupt-enable bit of arch_irq_save()'s value */

/* Disable interrupts; returns the previous state for arch_irq_restore(). */
static inline u64 arch_irq_save(void)
{
    u64 flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
    return flags;
}

static inline void arch_irq_restore(u64 flags)
{
    if ((flags & ARCH_IRQ_ENABLED) != 0) {
        __asm__ volatile("sti" ::: "memory");
    }
}

static inline void arch_irq_enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void arch_irq_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}

/* Enable interrupts and wait for one, with no gap between the two; returns with interrupts enabled. */
static inline void arch_irq_wait(void)
{
    __asm__ volatile("sti; hlt" ::: "memory");
}

static inline void arch_cpu_relax(void)
{
    __builtin_ia32_pause();
}

/* The free-running counter behind time_ticks(): the TSC, never read as an MSR. Not ordered against other instructions. */
static inline u64 arch_counter(void)
{
    return __builtin_ia32_rdtsc();
}

/* Stop this CPU for ever, interrupts off. */
NORETURN void arch_cpu_stop(void);

/* Stop every other CPU (NMI); used by panic. */
void arch_cpu_stop_others(void);
