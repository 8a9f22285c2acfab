#include "drivers/x86_64/rtc_time.h"

#define NIBBLE_BITS 4U
#define NIBBLE_MASK 0x0FU
#define BCD_BASE 10U
#define DAYS_PER_400_YEARS 146097U
#define DAYS_0000_TO_1970 719468U /* from 0000-03-01 */
#define SECONDS_PER_DAY 86400U

static u32 field(u8 raw, u8 status_b)
{
    return (status_b & RTC_BINARY) != 0 ? raw : (u32)(raw >> NIBBLE_BITS) * BCD_BASE + (raw & NIBBLE_MASK);
}

static u32 hour_of_day(const struct rtc_registers *r)
{
    if ((r->status_b & RTC_24_HOURS) != 0) {
        return field(r->hours, r->status_b);
    }
    u32 hour = field((u8)(r->hours & ~RTC_PM), r->status_b) % 12;
    return hour + ((r->hours & RTC_PM) != 0 ? 12 : 0);
}

/* Days since 1970-01-01 in the Gregorian calendar; the year begins in March, so that a leap day is its last. */
static u64 days_since_1970(u32 year, u32 month, u32 day)
{
    u32 y = month <= 2 ? year - 1 : year;
    u32 month_from_march = (month + 9) % 12;
    u32 day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    u32 year_of_era = y % 400;
    u32 day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return (u64)(y / 400) * DAYS_PER_400_YEARS + day_of_era - DAYS_0000_TO_1970;
}

u64 rtc_to_seconds(const struct rtc_registers *r)
{
    u32 century = r->century != 0 ? field(r->century, r->status_b) : 20;
    u32 year = century * 100 + field(r->year, r->status_b);
    u32 month = field(r->month, r->status_b);
    u32 day = field(r->day, r->status_b);
    u32 hour = hour_of_day(r);
    u32 minute = field(r->minutes, r->status_b);
    u32 second = field(r->seconds, r->status_b);

    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
        return 0;
    }
    return days_since_1970(year, month, day) * SECONDS_PER_DAY + hour * 3600ULL + minute * 60ULL + second;
}
