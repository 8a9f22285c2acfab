/* The real-time clock's interrupts: periodic, alarm, update-ended. Flags are worked out from host time when somebody looks;
 * a host timer runs only while an enabled interrupt is yet to come. */
#include "kernel/time.h"
#include "vm/dev/x86_64/rtc_regs.h"

#define CRYSTAL_HZ 32768ULL
#define UPDATE_WARNING_NS 244000ULL
#define DAY_SECONDS 86400ULL
#define HOUR_SECONDS 3600ULL
#define MINUTE_SECONDS 60ULL
#define ALARM_ANY 0xC0U /* both upper bits: every value matches */
#define NEVER (~0ULL)

static bool divider_runs(const struct vrtc *rtc)
{
    return FIELD_GET(REG_A_DIVIDER, rtc->cmos[REG_A]) == REG_A_32KHZ;
}

static bool updates(const struct vrtc *rtc)
{
    return divider_runs(rtc) && (rtc->cmos[REG_B] & REG_B_SET) == 0;
}

/* The periodic interrupt's distance in crystal ticks, 0 = none. */
static u64 period_ticks(const struct vrtc *rtc)
{
    u32 rate = (u32)FIELD_GET(REG_A_RATE, rtc->cmos[REG_A]);

    if (rate == 0 || !divider_runs(rtc)) {
        return 0;
    }
    return rate < 3 ? BIT(rate + 6) : BIT(rate - 1);
}

static u64 crystal_ticks(u64 ns)
{
    return ns / NS_PER_SEC * CRYSTAL_HZ + ns % NS_PER_SEC * CRYSTAL_HZ / NS_PER_SEC;
}

static u64 crystal_ns(u64 ticks)
{
    return ticks / CRYSTAL_HZ * NS_PER_SEC + (ticks % CRYSTAL_HZ * NS_PER_SEC + CRYSTAL_HZ - 1) / CRYSTAL_HZ;
}

/* One field of the alarm: -1 any, else its value; limit when it is nonsense that never matches. */
static s32 field(u8 raw, u32 value, u32 limit)
{
    if ((raw & ALARM_ANY) == ALARM_ANY) {
        return -1;
    }
    return (s32)MIN(value, limit);
}

static bool differs(s32 wanted, u64 value)
{
    return wanted >= 0 && (u64)wanted != value;
}

/* The first second after `from` that the alarm matches, or NEVER. It steps over hours and minutes that do not match. */
static u64 next_alarm(const struct vrtc *rtc, u64 from)
{
    const u8 *cmos = rtc->cmos;
    s32 second = field(cmos[REG_ALARM_SECONDS], vrtc_decode(rtc, cmos[REG_ALARM_SECONDS]), 60);
    s32 minute = field(cmos[REG_ALARM_MINUTES], vrtc_decode(rtc, cmos[REG_ALARM_MINUTES]), 60);
    s32 hour = field(cmos[REG_ALARM_HOURS], vrtc_decode_hour(rtc, cmos[REG_ALARM_HOURS]), 24);
    u64 t = from + 1;

    if (second == 60 || minute == 60 || hour == 24) {
        return NEVER;
    }
    while (t - from <= DAY_SECONDS) {
        if (differs(hour, t / HOUR_SECONDS % 24)) {
            t = (t / HOUR_SECONDS + 1) * HOUR_SECONDS;
        } else if (differs(minute, t / MINUTE_SECONDS % 60)) {
            t = (t / MINUTE_SECONDS + 1) * MINUTE_SECONDS;
        } else if (differs(second, t % 60)) {
            t++;
        } else {
            return t;
        }
    }
    return NEVER;
}

void vrtc_collect(struct vrtc *rtc)
{
    u64 now = time_now_ns();
    u64 period = period_ticks(rtc);
    u8 flags = 0;

    if (period != 0 && crystal_ticks(now) / period != crystal_ticks(rtc->seen_ns) / period) {
        flags |= (u8)REG_C_PERIODIC;
    }
    if (updates(rtc) && now / NS_PER_SEC != rtc->seen_ns / NS_PER_SEC) {
        bool alarm = next_alarm(rtc, vrtc_seconds_at(rtc, rtc->seen_ns)) <= vrtc_seconds_at(rtc, now);
        flags |= (u8)(REG_C_UPDATE | (alarm ? REG_C_ALARM : 0U));
    }
    rtc->cmos[REG_C] |= flags;
    rtc->seen_ns = now;
}

/* When the next enabled interrupt comes, in host nanoseconds. */
static u64 next_event(const struct vrtc *rtc)
{
    u8 enabled = rtc->cmos[REG_B];
    u64 period = period_ticks(rtc);
    u64 now = rtc->seen_ns;
    u64 next = NEVER;

    if ((enabled & REG_B_PERIODIC) != 0 && period != 0) {
        next = crystal_ns((crystal_ticks(now) / period + 1) * period);
    }
    if (!updates(rtc)) {
        return next;
    }
    if ((enabled & REG_B_UPDATE) != 0) {
        next = MIN(next, (now / NS_PER_SEC + 1) * NS_PER_SEC);
    }
    u64 today = vrtc_seconds_at(rtc, now);
    u64 alarm = (enabled & REG_B_ALARM) != 0 ? next_alarm(rtc, today) : NEVER;
    return alarm == NEVER ? next : MIN(next, (now / NS_PER_SEC + (alarm - today)) * NS_PER_SEC);
}

/* Once the wire is high nothing changes it until register C is read, so no timer is needed. */
void vrtc_settle(struct vrtc *rtc)
{
    bool level = (rtc->cmos[REG_C] & rtc->cmos[REG_B] & REG_C_FLAGS) != 0;
    u64 next = level || rtc->stopped ? NEVER : next_event(rtc);

    rtc->cmos[REG_C] = (u8)((rtc->cmos[REG_C] & REG_C_FLAGS) | (level ? REG_C_IRQ : 0U));
    irqline_set(&rtc->irq, level);
    if (next != NEVER) {
        timer_arm(&rtc->timer, next);
    }
}

static void fire(struct timer *timer)
{
    struct vrtc *rtc = timer->arg;
    u64 flags = spin_lock(&rtc->lock);

    vrtc_collect(rtc);
    vrtc_settle(rtc);
    spin_unlock(&rtc->lock, flags);
}

bool vrtc_update_near(const struct vrtc *rtc)
{
    return updates(rtc) && NS_PER_SEC - time_now_ns() % NS_PER_SEC <= UPDATE_WARNING_NS;
}

void vrtc_irq_init(struct vrtc *rtc, const struct irqline *irq)
{
    rtc->irq = *irq;
    rtc->seen_ns = time_now_ns();
    timer_init(&rtc->timer, fire, rtc);
}

void vrtc_stop(struct vrtc *rtc)
{
    u64 flags = spin_lock(&rtc->lock);

    rtc->stopped = true;
    spin_unlock(&rtc->lock, flags);
    timer_cancel(&rtc->timer);
}
