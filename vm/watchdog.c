/* The key watchdog=: a guest that has not kicked for so long has crashed. Its time stands still while the VM is paused, or held by
 * a debugger. */
#include "kernel/time.h"
#include "vm/vm.h"

/* A clock that the VM's pauses stop. */
static u64 awake_ns(const struct vm *vm)
{
    return time_now_ns() - READ_ONCE(vm->watchdog.frozen_ns);
}

/* How much of its time is left; none: 0. A kick while the pause was coming may lie a little ahead. */
static u64 left_ns(const struct vm *vm)
{
    s64 silent = (s64)(awake_ns(vm) - READ_ONCE(vm->watchdog.kicked_ns));
    s64 left = (s64)READ_ONCE(vm->watchdog.period_ns) - silent;

    return left > 0 ? (u64)left : 0;
}

/* Kicks only leave a time: the timer looks at it when it fires, and is set again for what is left. */
static void fire(struct timer *timer)
{
    struct vm *vm = timer->arg;
    u64 left = left_ns(vm);

    if (READ_ONCE(vm->paused) || READ_ONCE(vm->held)) {
        return; /* vm_watchdog_resume() sets it again */
    }
    if (left != 0) {
        timer_arm(timer, time_now_ns() + left);
        return;
    }
    vm_stop(vm, VM_END_WATCHDOG, 1, "after-ms=%llu kicks=%llu", (unsigned long long)(READ_ONCE(vm->watchdog.period_ns) / NS_PER_MS),
            (unsigned long long)READ_ONCE(vm->watchdog.kicks));
}

void vm_watchdog_init(struct vm *vm)
{
    timer_init(&vm->watchdog.timer, fire, vm);
    vm->watchdog.period_ns = vm->config->watchdog_ns;
}

void vm_watchdog_start(struct vm *vm)
{
    if (vm->config->watchdog_ns != 0) {
        WRITE_ONCE(vm->watchdog.kicked_ns, awake_ns(vm));
        timer_arm(&vm->watchdog.timer, time_now_ns() + vm->config->watchdog_ns);
    }
}

void vm_watchdog_stop(struct vm *vm)
{
    timer_cancel(&vm->watchdog.timer);
}

void vm_watchdog_pause(struct vm *vm)
{
    vm->watchdog.paused_ns = time_now_ns();
}

void vm_watchdog_resume(struct vm *vm)
{
    WRITE_ONCE(vm->watchdog.frozen_ns, vm->watchdog.frozen_ns + time_now_ns() - vm->watchdog.paused_ns);
    if (vm->config->watchdog_ns != 0) {
        timer_arm(&vm->watchdog.timer, time_now_ns() + left_ns(vm));
    }
}

u64 vm_watchdog_kick(struct vm *vm)
{
    WRITE_ONCE(vm->watchdog.kicked_ns, awake_ns(vm));
    __atomic_fetch_add(&vm->watchdog.kicks, 1, __ATOMIC_RELAXED);
    return READ_ONCE(vm->watchdog.period_ns) / NS_PER_MS;
}

void vm_watchdog_set(struct vm *vm, u64 ms)
{
    u64 most = vm->config->watchdog_ns / NS_PER_MS;

    WRITE_ONCE(vm->watchdog.period_ns, MAX(MIN(ms, most), 1ULL) * NS_PER_MS);
    (void)vm_watchdog_kick(vm);
    timer_arm(&vm->watchdog.timer, time_now_ns() + left_ns(vm)); /* it may be due before the timer would look */
}

u64 vm_watchdog_left_ms(const struct vm *vm)
{
    return left_ns(vm) / NS_PER_MS;
}
