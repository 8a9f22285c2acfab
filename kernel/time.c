/* Monotonic time from the raw counter, by a fixed-point multiplication. */
#include "kernel/time.h"
#include "kernel/base/panic.h"
#include <arch/cpu.h>

#define SCALE_SHIFT 32U

/* Written once by time_init() on the boot CPU before others run. Zero before: time stands still at 0. */
static u64 hz;
static u64 base_ticks;
static u64 wall_at_boot;
static u64 ns_per_tick; /* both scaled by 2^SCALE_SHIFT */
static u64 ticks_per_ns;

/* value * scale / 2^SCALE_SHIFT, or all ones when that does not fit. */
static u64 scale(u64 value, u64 factor)
{
    unsigned __int128 product = (unsigned __int128)value * factor >> SCALE_SHIFT;

    return product > UINT64_MAX ? UINT64_MAX : (u64)product;
}

void time_init(u64 ticks_hz, u64 wall_seconds_at_boot)
{
    ASSERT(ticks_hz > 0);
    hz = ticks_hz;
    base_ticks = arch_counter();
    wall_at_boot = wall_seconds_at_boot;
    ns_per_tick = (NS_PER_SEC << SCALE_SHIFT) / hz;
    /* hz << 32 overflows above 4.29 GHz: take the whole part and the remainder apart. */
    ticks_per_ns = ((hz / NS_PER_SEC) << SCALE_SHIFT) + ((hz % NS_PER_SEC) << SCALE_SHIFT) / NS_PER_SEC;
}

u64 time_ticks(void)
{
    return arch_counter();
}

u64 time_ticks_hz(void)
{
    return hz;
}

u64 time_ticks_to_ns(u64 ticks)
{
    return scale(ticks, ns_per_tick);
}

u64 time_ns_to_ticks(u64 ns)
{
    return scale(ns, ticks_per_ns);
}

u64 time_now_ns(void)
{
    return time_ticks_to_ns(arch_counter() - base_ticks);
}

u64 time_base_ticks(void)
{
    return base_ticks;
}

void time_delay_ns(u64 ns)
{
    u64 start = arch_counter();
    u64 ticks = time_ns_to_ticks(ns) + 1;

    while (arch_counter() - start < ticks) {
        arch_cpu_relax();
    }
}

u64 time_wall_seconds(void)
{
    return wall_at_boot + time_now_ns() / NS_PER_SEC;
}
