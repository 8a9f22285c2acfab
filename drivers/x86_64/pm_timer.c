/* The ACPI power management timer: ACPI 6.5, 4.8.3.3. */
#include "drivers/x86_64/clocksource.h"
#include "kernel/x86_64/pio.h"

#define PM_TIMER_HZ 3579545U
#define PM_TIMER_24_BITS 0x00FFFFFFU

static u16 port;
static struct clocksource source;

static u32 read_counter(void)
{
    return pio_read32(port) & source.mask;
}

const struct clocksource *pm_timer_start(const struct acpi_info *info)
{
    if (info->pm_timer_port == 0) {
        return NULL;
    }
    port = info->pm_timer_port;
    source = (struct clocksource){"pm-timer", PM_TIMER_HZ, info->pm_timer_32 ? UINT32_MAX : PM_TIMER_24_BITS,
                                  read_counter};
    return &source;
}
