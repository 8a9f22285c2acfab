#include "drivers/x86_64/clock.h"
#include "drivers/x86_64/clocksource.h"
#include "drivers/x86_64/lapic.h"
#include "drivers/x86_64/rtc.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/time.h"
#include "kernel/x86_64/cpuid.h"
#include <arch/cpu.h>

#define WINDOW_MIN_DIVISOR 10000U /* of a second: how long to measure at least, and at most */
#define WINDOW_MAX_DIVISOR 100U
#define PRECISION 8192U     /* in between, until reading the counters blurs less than one part in this */
#define SAMPLES 4U          /* the one that took least time is kept */
#define POLLS_MAX 20000000U /* then the clock stands still */
#define TSC_HZ_MIN 1000000U
#define TSC_HZ_MAX 100000000000ULL
#define TSC_HZ_GUESS 1000000000U
#define CPUID_TSC_LEAF 0x15U
#define AGREE_DIVISOR 128U /* CPUID is believed when the measurement differs by less than 1/128 */

struct sample {
    u32 reference;
    u64 tsc;
    u64 width; /* TSC ticks that taking it took */
    u32 lapic;
};

struct rates {
    u64 tsc_hz, lapic_hz;
};

/* The three counters at one moment, as nearly as can be. */
static struct sample take_sample(const struct clocksource *clock)
{
    struct sample best = {.width = UINT64_MAX};

    for (u32 i = 0; i < SAMPLES; i++) {
        u64 before = arch_counter();
        struct sample s = {.reference = clock->read(), .lapic = lapic_timer_elapsed()};
        s.width = arch_counter() - before;
        if (s.width < best.width) {
            s.tsc = before + s.width / 2;
            best = s;
        }
    }
    return best;
}

/* count events while the reference counted ticks: events per second. No overflow for windows of a few seconds. */
static u64 rate(u64 count, u64 ticks, u64 hz)
{
    return (u64)((unsigned __int128)count * hz > UINT64_MAX ? count / ticks * hz : count * hz / ticks);
}

/* Has the window become long against what is uncertain: the reading, and one tick of the reference? */
static bool precise(const struct sample *start, u64 ticks)
{
    u64 elapsed = arch_counter() - start->tsc;

    return elapsed / PRECISION > start->width + elapsed / ticks;
}

/* Let the reference run until the window is long enough; false when it stands still. */
static bool wait_window(const struct clocksource *clock, const struct sample *start)
{
    for (u32 polls = 0; polls < POLLS_MAX; polls++) {
        u32 ticks = (clock->read() - start->reference) & clock->mask;
        if (ticks >= clock->hz / WINDOW_MAX_DIVISOR || (ticks >= clock->hz / WINDOW_MIN_DIVISOR && precise(start, ticks))) {
            return true;
        }
    }
    return false;
}

static bool measure(const struct clocksource *clock, struct rates *out)
{
    struct sample start = take_sample(clock);

    if (!wait_window(clock, &start)) {
        return false;
    }
    struct sample end = take_sample(clock);
    u64 ticks = (end.reference - start.reference) & clock->mask;
    struct rates rates = {rate(end.tsc - start.tsc, ticks, clock->hz), rate(end.lapic - start.lapic, ticks, clock->hz)};
    if (rates.tsc_hz < TSC_HZ_MIN || rates.tsc_hz > TSC_HZ_MAX || rates.lapic_hz == 0) {
        return false;
    }
    *out = rates;
    return true;
}

/* What CPUID says, when the measurement agrees; some virtual CPUs repeat the figures of the CPU they imitate. */
static u64 refine(u64 measured)
{
    struct cpuid leaf = cpuid_get(CPUID_TSC_LEAF, 0);

    if (leaf.eax == 0 || leaf.ebx == 0 || leaf.ecx == 0) {
        return measured;
    }
    u64 stated = (u64)leaf.ecx * leaf.ebx / leaf.eax;
    u64 difference = stated > measured ? stated - measured : measured - stated;
    return difference < measured / AGREE_DIVISOR ? stated : measured;
}

static const char *measure_best(const struct acpi_info *info, struct rates *out)
{
    static const struct clocksource *(*const starters[])(const struct acpi_info *info) = {
        hpet_start, pm_timer_start, pit_start,
    };

    for (size_t i = 0; i < ARRAY_SIZE(starters); i++) {
        const struct clocksource *clock = starters[i](info);
        if (clock != NULL && measure(clock, out)) {
            return clock->name;
        }
    }
    return NULL;
}

void clock_init(const struct acpi_info *info)
{
    struct rates rates = {TSC_HZ_GUESS, TSC_HZ_GUESS};

    lapic_timer_start_free();
    const char *name = measure_best(info, &rates);
    if (name == NULL) {
        log_warn("clock=none tsc-hz=%llu guessed", (unsigned long long)rates.tsc_hz);
    }
    time_init(refine(rates.tsc_hz), rtc_read_seconds(info->century_index));
    int error = lapic_timer_init(rates.lapic_hz);
    ASSERT(error == 0);
    log_info("clock=%s tsc-hz=%llu timer-hz=%llu", name != NULL ? name : "guess",
             (unsigned long long)time_ticks_hz(), (unsigned long long)rates.lapic_hz);
}
