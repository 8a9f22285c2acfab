/* The arithmetic of the CMOS clock. Pure: also built on the host. */
#pragma once
#include "kernel/lib/types.h"

/* The clock's registers as read. */
struct rtc_registers {
    u8 seconds, minutes, hours, day, month, year;
    u8 century;  /* 0: unknown, taken as 20 */
    u8 status_b; /* RTC_BINARY, RTC_24_HOURS */
};
#define RTC_BINARY 0x04U
#define RTC_24_HOURS 0x02U
#define RTC_PM 0x80U /* in the hours, when not RTC_24_HOURS */

/* Seconds since 1970-01-01, or 0 when a field is out of range. */
u64 rtc_to_seconds(const struct rtc_registers *r);
