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

/* Let pending interrupts in and close the door again; interrupts are off before and after. STI opens it only after the
 * next instruction, which must do nothing special (PAUSE keeps some emulators' doors shut). */
static inline void arch_irq_take_pending(void)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
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

/* Stop every other CPU that is online (NMI): for the end of the machine. Does nothing until a driver has registered how
 * to send. A CPU that is not ours yet would answer an NMI with the firmware's vectors, or reset the machine. */
void arch_cpu_stop_others(void);

/* Registered by the interrupt controller's driver: send an NMI to the CPU with this hw_id. Any context. */
void arch_set_nmi(void (*send)(u32 hw_id));

/* Registered by kernel/init: what takes each external interrupt (irq_dispatch). IRQ context, IRQs off. */
void arch_set_irq_entry(void (*dispatch)(u32 vector));

/* Leave the current stack for ever: run fn(arg), which must not return, on the stack with this top (16-byte aligned). */
NORETURN void arch_stack_run(void *top, void (*fn)(const void *arg), const void *arg);

struct trap_frame;

/* Log the registers and a symbolised backtrace: of the trapped code, or with NULL of the caller. For panic. */
void arch_log_state(const struct trap_frame *frame);

struct percpu;

/* The stacks of a CPU: its ordinary one, then one per exception that must not trust the current stack. */
enum { ARCH_STACK_KERNEL, ARCH_STACK_NMI, ARCH_STACK_DOUBLE_FAULT, ARCH_STACK_MACHINE_CHECK, ARCH_STACKS };

/* The boot CPU's first act: its percpu area, descriptor tables, traps (on static stacks) and CPU features. Once. */
void arch_cpu_init_boot(void);

/* Prepare the descriptor tables of area's CPU to use these stacks (tops, 16-byte aligned). For a CPU that is not running
 * yet, or for the boot CPU when guarded stacks exist; the boot CPU goes on using its present ordinary stack. */
void arch_cpu_prepare(struct percpu *area, void *const stack_tops[ARCH_STACKS]);

/* Make the calling CPU the one of area: descriptor tables, traps, GS, CPU features. arch_cpu_prepare() went before.
 * Interrupts off; on a CPU in 64-bit mode with the kernel's page tables. */
void arch_cpu_activate(struct percpu *area);
