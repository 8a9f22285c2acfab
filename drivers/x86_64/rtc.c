#include "drivers/x86_64/rtc.h"
#include "drivers/x86_64/rtc_time.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/pio.h"

#define CMOS_INDEX 0x70U
#define CMOS_DATA 0x71U
#define RTC_STATUS_A_UPDATING 0x80U
#define UPDATE_SPINS 100000U /* an update takes 2 ms */
#define ATTEMPTS 3U

enum { RTC_SECONDS = 0x00, RTC_MINUTES = 0x02, RTC_HOURS = 0x04, RTC_DAY = 0x07, RTC_MONTH = 0x08, RTC_YEAR = 0x09,
       RTC_STATUS_A = 0x0A, RTC_STATUS_B = 0x0B };

static u8 cmos_read(u8 index)
{
    pio_write8(CMOS_INDEX, index);
    return pio_read8(CMOS_DATA);
}

static void read_registers(struct rtc_registers *r, u8 century_index)
{
    for (u32 i = 0; i < UPDATE_SPINS && (cmos_read(RTC_STATUS_A) & RTC_STATUS_A_UPDATING) != 0; i++) {
    }
    *r = (struct rtc_registers){
        .seconds = cmos_read(RTC_SECONDS), .minutes = cmos_read(RTC_MINUTES), .hours = cmos_read(RTC_HOURS),
        .day = cmos_read(RTC_DAY),         .month = cmos_read(RTC_MONTH),     .year = cmos_read(RTC_YEAR),
        .century = century_index != 0 ? cmos_read(century_index) : 0, .status_b = cmos_read(RTC_STATUS_B),
    };
}

u64 rtc_read_seconds(u8 century_index)
{
    struct rtc_registers first, second;

    read_registers(&first, century_index);
    for (u32 i = 0; i < ATTEMPTS; i++) {
        read_registers(&second, century_index);
        if (memcmp(&first, &second, sizeof(first)) == 0) {
            break; /* no update came in between */
        }
        first = second;
    }
    return rtc_to_seconds(&second);
}
