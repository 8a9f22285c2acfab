/* The local APIC's timer (SDM Vol. 3 11.5.4): one-shot, periodic, TSC deadline. Its input clock is 1 GHz. */
#include "kernel/time.h"
#include "vm/dev/x86_64/lapic_bits.h"

/* A period shorter than this is served at this distance: a guest may not keep its host busy with interrupts. */
#define SHORTEST_REARM_NS 100000ULL
/* A deadline that is farther away is looked at again on the way, so that no sum of times wraps. */
#define LONGEST_WAIT_NS 1000000000000ULL

static u32 mode(const struct vlapic *lapic)
{
    return (u32)FIELD_GET(LVT_TIMER_MODE, READ_ONCE(lapic->timer_lvt));
}

/* Divide configuration: bits 3, 1, 0 make n; the divisor is 2^(n+1), and 1 for n = 7. */
static u64 divisor(const struct vlapic *lapic)
{
    u32 n = (lapic->timer_divide & 3U) | (lapic->timer_divide >> 1 & 4U);

    return n == 7 ? 1 : BIT(n + 1);
}

static u64 period_ns(const struct vlapic *lapic)
{
    return lapic->timer_initial * divisor(lapic);
}

static u64 guest_ticks(const struct vlapic *lapic)
{
    return time_ticks() + lapic->tsc_offset;
}

static void expire(struct vlapic *lapic)
{
    u32 lvt = READ_ONCE(lapic->timer_lvt);

    if ((lvt & LVT_MASKED) == 0) {
        (void)vlapic_post(lapic, (u8)(lvt & VECTOR_MASK), false);
    }
}

/* Arm for the deadline. Lock held. Inline: guests arm it before each sleep. */
static inline __attribute__((always_inline)) void arm_deadline(struct vlapic *lapic)
{
    u64 now = guest_ticks(lapic);
    u64 wait = lapic->deadline_ticks > now ? time_ticks_to_ns(lapic->deadline_ticks - now) : 0;

    timer_arm(&lapic->timer, time_now_ns() + MIN(wait, LONGEST_WAIT_NS));
}

/* Decide under the lock whether it is time, and what comes next. */
static bool due(struct vlapic *lapic, u64 now)
{
    if (lapic->stopped) {
        return false;
    }
    if (mode(lapic) == TIMER_DEADLINE) {
        if (lapic->deadline_ticks == 0) {
            return false;
        }
        if (guest_ticks(lapic) < lapic->deadline_ticks) {
            arm_deadline(lapic);
            return false;
        }
        lapic->deadline_ticks = 0;
        return true;
    }
    if (lapic->timer_initial == 0 || now < lapic->timer_start_ns + period_ns(lapic)) {
        return false;
    }
    if (mode(lapic) == TIMER_PERIODIC) {
        u64 period = period_ns(lapic);
        lapic->timer_start_ns += (now - lapic->timer_start_ns) / period * period;
        timer_arm(&lapic->timer, MAX(lapic->timer_start_ns + period, now + SHORTEST_REARM_NS));
    }
    return true;
}

static void fire(struct timer *timer)
{
    struct vlapic *lapic = timer->arg;
    u64 flags = spin_lock(&lapic->lock);
    bool expired = due(lapic, time_now_ns());

    spin_unlock(&lapic->lock, flags);
    if (expired) {
        expire(lapic);
    }
}

void vlapic_timer_init(struct vlapic *lapic)
{
    timer_init(&lapic->timer, fire, lapic);
}

void vlapic_timer_start(struct vlapic *lapic, u32 initial)
{
    u64 flags = spin_lock(&lapic->lock);

    if (mode(lapic) != TIMER_DEADLINE) {
        lapic->timer_initial = initial;
        lapic->timer_start_ns = time_now_ns();
        if (initial != 0 && !lapic->stopped) {
            timer_arm(&lapic->timer, lapic->timer_start_ns + period_ns(lapic));
        }
    }
    REG(lapic, REG_INITIAL) = lapic->timer_initial;
    spin_unlock(&lapic->lock, flags);
}

/* Lock held. */
static u32 current(const struct vlapic *lapic, u64 now)
{
    u64 gone = (now - lapic->timer_start_ns) / divisor(lapic);
    bool periodic = mode(lapic) == TIMER_PERIODIC;

    if (lapic->timer_initial == 0 || mode(lapic) == TIMER_DEADLINE || (!periodic && gone >= lapic->timer_initial)) {
        return 0;
    }
    return lapic->timer_initial - (u32)(gone % lapic->timer_initial);
}

u32 vlapic_timer_current(struct vlapic *lapic)
{
    u64 flags = spin_lock(&lapic->lock);
    u32 count = current(lapic, time_now_ns());

    spin_unlock(&lapic->lock, flags);
    return count;
}

/* The count goes on from where it is, at the new rate. */
void vlapic_timer_set_divide(struct vlapic *lapic, u32 divide)
{
    u64 flags = spin_lock(&lapic->lock);
    u64 now = time_now_ns();
    u64 gone = lapic->timer_initial - current(lapic, now);
    bool runs = lapic->timer_initial != 0 && gone < lapic->timer_initial;

    lapic->timer_divide = divide;
    REG(lapic, REG_DIVIDE) = divide;
    if (runs && !lapic->stopped) {
        lapic->timer_start_ns = now - gone * divisor(lapic);
        timer_arm(&lapic->timer, lapic->timer_start_ns + period_ns(lapic));
    }
    spin_unlock(&lapic->lock, flags);
}

/* A change to or from deadline mode disarms (SDM 11.5.4.1). */
void vlapic_timer_set_lvt(struct vlapic *lapic, u32 value)
{
    u64 flags = spin_lock(&lapic->lock);
    u32 old = mode(lapic);

    WRITE_ONCE(lapic->timer_lvt, value);
    REG(lapic, REG_LVT + LVT_TIMER) = value;
    if ((old == TIMER_DEADLINE) != (mode(lapic) == TIMER_DEADLINE)) {
        lapic->timer_initial = 0;
        REG(lapic, REG_INITIAL) = 0;
        lapic->deadline_ticks = 0;
    }
    spin_unlock(&lapic->lock, flags);
}

u64 vlapic_read_deadline(const struct vlapic *lapic)
{
    return READ_ONCE(lapic->deadline_ticks);
}

void vlapic_write_deadline(struct vlapic *lapic, u64 ticks)
{
    u64 flags = spin_lock(&lapic->lock);

    if (mode(lapic) == TIMER_DEADLINE) {
        lapic->deadline_ticks = ticks;
        if (ticks != 0 && !lapic->stopped) {
            arm_deadline(lapic);
        }
    }
    spin_unlock(&lapic->lock, flags);
}

void vlapic_stop(struct vlapic *lapic)
{
    u64 flags = spin_lock(&lapic->lock);

    lapic->stopped = true;
    spin_unlock(&lapic->lock, flags);
    timer_cancel(&lapic->timer);
}
