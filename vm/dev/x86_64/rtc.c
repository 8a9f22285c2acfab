#include "vm/dev/x86_64/rtc.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"
#include "vm/dev/x86_64/rtc_regs.h"

#define RTC_PORT 0x70U
#define INDEX_MASK GENMASK(6, 0) /* bit 7 masks NMI on a real board */

enum { CMOS_BASE_LOW = 0x15, CMOS_EXT_LOW = 0x17, CMOS_EXT_LOW2 = 0x30, CMOS_ABOVE_16M = 0x34, CMOS_ABOVE_4G = 0x5B };

#define REG_A_DEFAULT 0x26U /* 32 kHz crystal, 1024 Hz */

struct civil {
    u64 year;
    u32 month, day, hour, minute, second, weekday;
};

/* Days since 1970-01-01 to a civil date: years are counted from March, so that the leap day comes last. */
static void civil_from_seconds(u64 seconds, struct civil *out)
{
    u64 days = seconds / 86400;
    u64 shifted = days + 719468; /* days since 0000-03-01 */
    u64 era = shifted / 146097;
    u64 day_of_era = shifted % 146097;
    u64 year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    u64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    u64 month = (5 * day_of_year + 2) / 153; /* 0 = March */

    out->day = (u32)(day_of_year - (153 * month + 2) / 5 + 1);
    out->month = (u32)(month < 10 ? month + 3 : month - 9);
    out->year = year_of_era + era * 400 + (out->month <= 2 ? 1 : 0);
    out->hour = (u32)(seconds / 3600 % 24);
    out->minute = (u32)(seconds / 60 % 60);
    out->second = (u32)(seconds % 60);
    out->weekday = (u32)((days + 4) % 7 + 1);
}

static u64 seconds_from_civil(const struct civil *c)
{
    u64 year = c->year - (c->month <= 2 ? 1 : 0);
    u64 month = c->month > 2 ? c->month - 3 : c->month + 9;
    u64 day_of_year = (153 * month + 2) / 5 + c->day - 1;
    u64 days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;

    return days * 86400 + c->hour * 3600ULL + c->minute * 60ULL + c->second;
}

static u8 encode(const struct vrtc *rtc, u32 value)
{
    return (u8)((rtc->cmos[REG_B] & REG_B_BINARY) != 0 ? value : value / 10 % 10 << 4 | value % 10);
}

u32 vrtc_decode(const struct vrtc *rtc, u8 value)
{
    return (rtc->cmos[REG_B] & REG_B_BINARY) != 0 ? value : (value >> 4) * 10U + (value & 15U);
}

/* 12-hour clocks say 12, 1, .. 11 twice a day. */
u32 vrtc_decode_hour(const struct vrtc *rtc, u8 value)
{
    u32 hour = vrtc_decode(rtc, value & (u8)~HOURS_PM);

    if ((rtc->cmos[REG_B] & REG_B_24H) != 0) {
        return vrtc_decode(rtc, value);
    }
    return hour % 12 + ((value & HOURS_PM) != 0 ? 12U : 0U);
}

u64 vrtc_seconds_at(const struct vrtc *rtc, u64 now_ns)
{
    u64 now = time_now_ns();

    return (u64)((s64)time_wall_seconds() + rtc->offset_s) - now / NS_PER_SEC + now_ns / NS_PER_SEC;
}

static u8 encode_hour(const struct vrtc *rtc, u32 hour)
{
    if ((rtc->cmos[REG_B] & REG_B_24H) != 0) {
        return encode(rtc, hour);
    }
    return (u8)(encode(rtc, hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? HOURS_PM : 0U));
}

/* The time registers as they stand now. */
static void refresh(struct vrtc *rtc)
{
    struct civil now;

    if ((rtc->cmos[REG_B] & REG_B_SET) != 0) {
        return; /* software is setting the clock: the registers are its own */
    }
    civil_from_seconds(vrtc_seconds_at(rtc, time_now_ns()), &now);
    rtc->cmos[REG_SECONDS] = encode(rtc, now.second);
    rtc->cmos[REG_MINUTES] = encode(rtc, now.minute);
    rtc->cmos[REG_HOURS] = encode_hour(rtc, now.hour);
    rtc->cmos[REG_WEEKDAY] = encode(rtc, now.weekday);
    rtc->cmos[REG_DAY] = encode(rtc, now.day);
    rtc->cmos[REG_MONTH] = encode(rtc, now.month);
    rtc->cmos[REG_YEAR] = encode(rtc, (u32)(now.year % 100));
    rtc->cmos[REG_CENTURY] = encode(rtc, (u32)(now.year / 100 % 100));
}

/* Software finished setting the clock: keep the difference to the host's. Nonsense (month 0) is bounded, not refused. */
static void commit(struct vrtc *rtc)
{
    struct civil set = {
        .year = vrtc_decode(rtc, rtc->cmos[REG_CENTURY]) * 100U + vrtc_decode(rtc, rtc->cmos[REG_YEAR]),
        .month = MAX(1U, MIN(12U, vrtc_decode(rtc, rtc->cmos[REG_MONTH]))),
        .day = MAX(1U, vrtc_decode(rtc, rtc->cmos[REG_DAY])),
        .hour = vrtc_decode_hour(rtc, rtc->cmos[REG_HOURS]),
        .minute = vrtc_decode(rtc, rtc->cmos[REG_MINUTES]),
        .second = vrtc_decode(rtc, rtc->cmos[REG_SECONDS]),
    };

    set.year = MAX(1970U, set.year);
    rtc->offset_s = (s64)seconds_from_civil(&set) - (s64)time_wall_seconds();
}

static bool is_clock(u8 reg)
{
    return reg == REG_SECONDS || reg == REG_MINUTES || (reg >= REG_HOURS && reg <= REG_YEAR && reg != REG_ALARM_HOURS) ||
           reg == REG_CENTURY;
}

static void write_b(struct vrtc *rtc, u8 value)
{
    bool was_setting = (rtc->cmos[REG_B] & REG_B_SET) != 0;
    bool sets = (value & REG_B_SET) != 0;

    refresh(rtc);
    rtc->cmos[REG_B] = (u8)(sets ? value & ~REG_B_UPDATE : value); /* SET switches the update interrupt off */
    if (was_setting && !sets) {
        commit(rtc);
    }
}

static void write_register(struct vrtc *rtc, u8 value)
{
    u8 reg = rtc->index;
    bool clock = is_clock(reg);

    if (reg == REG_C || reg == REG_D) {
        return; /* read-only */
    }
    vrtc_collect(rtc);
    if (clock) {
        refresh(rtc);
    }
    if (reg == REG_B) {
        write_b(rtc, value);
    } else {
        rtc->cmos[reg] = reg == REG_A ? (u8)(value & ~REG_A_UIP) : value;
    }
    if (clock && (rtc->cmos[REG_B] & REG_B_SET) == 0) {
        commit(rtc);
    }
    vrtc_settle(rtc);
}

static u8 read_register(struct vrtc *rtc)
{
    u8 reg = rtc->index;

    refresh(rtc);
    u8 value = rtc->cmos[reg];
    if (reg == REG_A) {
        value |= vrtc_update_near(rtc) ? (u8)REG_A_UIP : 0;
    } else if (reg == REG_C) { /* reading takes the flags away */
        vrtc_collect(rtc);
        vrtc_settle(rtc);
        value = rtc->cmos[REG_C];
        rtc->cmos[REG_C] = 0;
        vrtc_settle(rtc);
    }
    return value;
}

static void vrtc_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct vrtc *rtc = device;
    u64 flags = spin_lock(&rtc->lock);

    (void)size;
    if (offset == 0) {
        if (write) {
            rtc->index = (u8)(*value & INDEX_MASK);
        } else {
            *value = ~0ULL;
        }
    } else if (write) {
        write_register(rtc, (u8)*value);
    } else {
        *value = read_register(rtc);
    }
    spin_unlock(&rtc->lock, flags);
}

static void put16(u8 *at, u64 value)
{
    at[0] = (u8)value;
    at[1] = (u8)(value >> 8);
}

void vrtc_init(struct vrtc *rtc, const struct irqline *irq, u64 low_bytes, u64 high_bytes)
{
    u64 extended = low_bytes > MIB(1) ? (low_bytes - MIB(1)) / KIB(1) : 0;
    u64 above_16m = low_bytes > MIB(16) ? (low_bytes - MIB(16)) / KIB(64) : 0;

    memset(rtc, 0, sizeof(*rtc));
    vrtc_irq_init(rtc, irq);
    rtc->cmos[REG_A] = REG_A_DEFAULT;
    rtc->cmos[REG_B] = REG_B_24H;
    rtc->cmos[REG_D] = REG_D_VALID;
    put16(&rtc->cmos[CMOS_BASE_LOW], MIN(low_bytes / KIB(1), 640U));
    put16(&rtc->cmos[CMOS_EXT_LOW], MIN(extended, 65535U));
    put16(&rtc->cmos[CMOS_EXT_LOW2], MIN(extended, 65535U));
    put16(&rtc->cmos[CMOS_ABOVE_16M], MIN(above_16m, 65535U));
    put16(&rtc->cmos[CMOS_ABOVE_4G], high_bytes / KIB(64));
    rtc->cmos[CMOS_ABOVE_4G + 2] = (u8)(high_bytes / KIB(64) >> 16);
}

int vrtc_attach(struct vrtc *rtc, struct bus *pio)
{
    const struct bus_range range = {RTC_PORT, 2, 1, vrtc_access, rtc};

    return bus_add(pio, &range);
}
