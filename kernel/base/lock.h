/* Ticket spinlock. One per object, named `lock`; its comment says what it protects.
 * Order: vm -> device -> irqline -> vcpu queue -> sched -> frame -> console. None is held across vcpu_run(). */
#pragma once
#include "kernel/lib/types.h"

struct spinlock {
    u32 next;  /* ticket to hand out */
    u32 owner; /* ticket being served */
};

#define SPINLOCK_INIT {0, 0}

/* Disable interrupts on this CPU and take the lock. Returns the previous interrupt state for spin_unlock(). */
MUST_CHECK u64 spin_lock(struct spinlock *lock);

/* Release the lock and restore the interrupt state that spin_lock() returned. */
void spin_unlock(struct spinlock *lock, u64 flags);
