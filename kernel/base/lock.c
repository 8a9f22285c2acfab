#include "kernel/base/lock.h"
#include <arch/cpu.h>

u64 spin_lock(struct spinlock *lock)
{
    u64 flags = arch_irq_save();
    u32 ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

    /* Pairs with the release store in spin_unlock(). */
    while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket) {
        arch_cpu_relax();
    }
    return flags;
}

void spin_unlock(struct spinlock *lock, u64 flags)
{
    __atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
    arch_irq_restore(flags);
}
