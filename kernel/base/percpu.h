/* What every CPU owns. */
#pragma once
#include "kernel/lib/cpuset.h"
#include "kernel/lib/types.h"
#include <arch/percpu.h>

struct vcpu;
struct task;

struct percpu {
    struct percpu *self;          /* first: arch code reaches it in one load */
    u32 id;                       /* 0..CPU_MAX-1, dense, boot CPU is 0 */
    u32 hw_id;                    /* the interrupt controller's id of this CPU */
    bool online;
    bool resched;                 /* set from IRQ context: the running task should return */
    struct vcpu *current_vcpu;    /* bound here, or NULL */
    struct task *current_task;
    u64 ticks;                    /* host timer interrupts taken */
    u64 timer_ns;                 /* when its timer hardware will interrupt; kernel/timer.c */
    struct arch_percpu arch;
};

/* The calling CPU's area; stable while interrupts are off or the code cannot migrate (nothing in Mote migrates). */
static inline struct percpu *percpu(void)
{
    return arch_percpu_self();
}

/* The area of CPU id, or NULL when no such CPU is present. */
struct percpu *percpu_of(u32 id);

/* Number of CPUs present (online or not): ids are 0..count-1. */
u32 percpu_count(void);

/* Make the boot CPU's (static) area, id 0, online. Called once by arch_cpu_init_boot(), before percpu() works. */
struct percpu *percpu_init_boot(void);

/* Give the zeroed area the id that the next CPU will have, before that CPU runs. hw_id: the interrupt controller's id.
 * Returns 0 or -E_RANGE (CPU_MAX areas exist). Boot CPU, one CPU at a time. */
MUST_CHECK int percpu_prepare(struct percpu *area, u32 hw_id);

/* Enter a prepared area into the table: its CPU has come up. The area lives for ever. Boot CPU. */
void percpu_add(struct percpu *area);
