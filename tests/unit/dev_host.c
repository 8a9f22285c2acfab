#include "tests/unit/dev_host.h"
#include <string.h>

#define TIMERS 8U

u64 dev_now;
u64 dev_wall_at_boot = 1700000000ULL;
struct bus dev_pio;
unsigned dev_timers_fired;
static struct timer *armed[TIMERS];

u64 time_now_ns(void)
{
    return dev_now;
}

u64 time_wall_seconds(void)
{
    return dev_wall_at_boot + dev_now / NS_PER_SEC;
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer), void *arg)
{
    memset(timer, 0, sizeof(*timer));
    timer->fire = fire;
    timer->arg = arg;
}

void timer_cancel(struct timer *timer)
{
    timer->armed = false;
    for (size_t i = 0; i < TIMERS; i++) {
        armed[i] = armed[i] == timer ? NULL : armed[i];
    }
}

void timer_arm(struct timer *timer, u64 deadline_ns)
{
    timer_cancel(timer);
    timer->armed = true;
    timer->deadline_ns = deadline_ns;
    for (size_t i = 0; i < TIMERS; i++) {
        if (armed[i] == NULL) {
            armed[i] = timer;
            return;
        }
    }
    fail_msg("more than %u timers", TIMERS);
}

static struct timer *first(void)
{
    struct timer *best = NULL;

    for (size_t i = 0; i < TIMERS; i++) {
        if (armed[i] != NULL && (best == NULL || armed[i]->deadline_ns < best->deadline_ns)) {
            best = armed[i];
        }
    }
    return best;
}

u64 dev_next_timer(void)
{
    const struct timer *timer = first();

    return timer != NULL ? timer->deadline_ns : UINT64_MAX;
}

void dev_run_until(u64 ns)
{
    struct timer *timer;

    while ((timer = first()) != NULL && timer->deadline_ns <= ns) {
        dev_now = MAX(dev_now, timer->deadline_ns);
        timer_cancel(timer);
        dev_timers_fired++;
        timer->fire(timer);
    }
    dev_now = MAX(dev_now, ns);
}

static void set_wire(void *chip, u32 pin, bool level)
{
    struct dev_wire *wire = chip;

    (void)pin;
    wire->rises += level && !wire->level;
    wire->level = level;
}

struct irqline dev_line(struct dev_wire *wire)
{
    memset(wire, 0, sizeof(*wire));
    return (struct irqline){.set = set_wire, .chip = wire};
}

int dev_setup(void **state)
{
    (void)state;
    memset(armed, 0, sizeof(armed));
    memset(&dev_pio, 0, sizeof(dev_pio));
    dev_now = NS_PER_SEC;
    dev_timers_fired = 0;
    return 0;
}

u32 dev_in(u16 port, u8 size)
{
    u64 value = 0x5A5A5A5A5A5A5A5AULL;

    (void)bus_access(&dev_pio, port, size, false, &value);
    return (u32)(value & (~0ULL >> (64 - size * 8U)));
}

void dev_out(u16 port, u8 size, u32 value)
{
    u64 wide = value;

    (void)bus_access(&dev_pio, port, size, true, &wide);
}
