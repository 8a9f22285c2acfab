/* One-shot timers, one ordered queue (a pairing heap) per CPU, programmed tickless into that CPU's timer hardware. */
#pragma once
#include "kernel/base/percpu.h"
#include "kernel/lib/types.h"

struct timer {
    u64 deadline_ns; /* absolute, time_now_ns() scale */
    void (*fire)(struct timer *timer); /* IRQ context, IRQs off, on the CPU that armed it; may re-arm; must be short */
    void *arg;       /* for fire */
    struct timer *child, *next, *prev; /* queue linkage, owned by timer.c: prev = elder sibling or parent */
    u32 cpu;
    bool armed;
};

void timer_init(struct timer *timer, void (*fire)(struct timer *timer), void *arg);

/* Arm, or move, on the calling CPU for an absolute deadline; a deadline in the past fires at once (soon). O(1);
 * taking timers off costs O(log n) amortised.
 * An armed timer of another CPU is cancelled there first. Any context but NMI. */
void timer_arm(struct timer *timer, u64 deadline_ns);

/* After return fire() is not running on any CPU and will not run, unless re-armed. Never call it from the timer's own
 * fire(), nor with a lock held that fire() takes. */
void timer_cancel(struct timer *timer);

/* Supplied by the timer driver: program this CPU's hardware to interrupt at deadline_ns (absolute), or never (~0). */
struct timer_hw {
    const char *name;
    void (*program)(u64 deadline_ns);
};
void timer_set_hw(const struct timer_hw *hw);

/* Called by the timer driver's interrupt handler: run what is due and re-program. IRQ context. */
void timer_interrupt(void);

void timer_program_again(void);
/* Program the hardware again when its interrupt should have come: one may be lost, as QEMU 7.2 loses one that coincides
 * with a VMRUN while V_IRQ is set. now_ns is the time; any context in which interrupts come soon. */
static inline void timer_recover(u64 now_ns)
{
    if (percpu()->timer_ns < now_ns) {
        timer_program_again();
    }
}
