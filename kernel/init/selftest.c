#include "kernel/init/selftest.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/string.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "vcpu/vcpu.h"
#include <arch/cpu.h>

#define TIMERS 32U
#define FIRST_NS NS_PER_MS
#define STEP_NS (NS_PER_MS / 2)
#define PATIENCE_NS NS_PER_SEC

static struct {
    struct timer timers[TIMERS];
    u32 fired, early;
    u64 worst_late_ns;
} test;

static void on_timer(struct timer *timer)
{
    u64 now = time_now_ns();

    if (now < timer->deadline_ns) {
        test.early++;
    } else {
        test.worst_late_ns = MAX(test.worst_late_ns, now - timer->deadline_ns);
    }
    __atomic_store_n(&test.fired, test.fired + 1, __ATOMIC_RELAXED);
}

/* Nothing but timers can end the waiting here, once each. */
static void wait_for_timers(u32 count)
{
    u64 end = time_now_ns() + PATIENCE_NS;

    while (READ_ONCE(test.fired) < count && time_now_ns() < end) {
        arch_irq_disable();
        if (READ_ONCE(test.fired) < count) {
            arch_irq_wait();
        }
        arch_irq_enable();
    }
}

void selftest_timers(void)
{
    u64 start = time_now_ns();
    u64 ticks = percpu()->ticks;

    for (u32 i = 0; i < TIMERS; i++) {
        timer_init(&test.timers[i], on_timer, NULL);
        timer_arm(&test.timers[i], start + FIRST_NS + (TIMERS - i) * STEP_NS);
    }
    for (u32 i = 0; i < TIMERS; i += 2) {
        timer_cancel(&test.timers[i]);
    }
    wait_for_timers(TIMERS / 2);
    log_event("ev=selftest name=timers armed=%u cancelled=%u fired=%u early=%u worst-late-us=%llu interrupts=%llu", TIMERS,
              TIMERS / 2, test.fired, test.early, (unsigned long long)(test.worst_late_ns / NS_PER_US),
              (unsigned long long)(percpu()->ticks - ticks));
}

static void disable_here(void *arg)
{
    struct selftest_reenabled *seen = arg;

    vcpu_backend()->cpu_disable();
    __atomic_fetch_add(&seen->off, vcpu_backend()->cpu_enabled() ? 0 : 1, __ATOMIC_RELAXED);
}

static void enable_here(void *arg)
{
    struct selftest_reenabled *seen = arg;

    if (vcpu_backend()->cpu_enable() == 0 && vcpu_backend()->cpu_enabled()) {
        __atomic_fetch_add(&seen->on, 1, __ATOMIC_RELAXED);
    } else {
        WRITE_ONCE(percpu()->online, false);
    }
}

struct selftest_reenabled selftest_reenable(void)
{
    struct selftest_reenabled seen = {0, 0};

    smp_call_all(disable_here, &seen);
    smp_call_all(enable_here, &seen);
    return seen;
}

/* --- bugs of the host ------------------------------------------------------------------------------------------------ */

/* In the kernel's half, and never mapped. */
#define NOWHERE 0xFFFFF00000000BADULL

static void bug_assert(void)
{
    panic("asked for at the monitor");
}

static void bug_fault(void)
{
    (void)READ_ONCE(*(u8 *)NOWHERE); /* NOLINT: meant to fault */
}

static u64 descend(u64 depth);
static u64 (*volatile next)(u64 depth) = descend;

static __attribute__((noinline)) u64 descend(u64 depth)
{
    volatile u64 room[32] = {depth};

    return next(depth + 1) + room[0];
}

static void bug_stack(void)
{
    (void)descend(0);
}

bool selftest_panic(const char *way)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } bugs[] = {{"assert", bug_assert}, {"fault", bug_fault}, {"stack", bug_stack}};

    for (u32 i = 0; i < ARRAY_SIZE(bugs); i++) {
        if (strcmp(way, bugs[i].name) == 0) {
            bugs[i].run();
        }
    }
    return false;
}
