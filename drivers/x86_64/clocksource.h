/* Counters of known frequency, for measuring those of unknown frequency. */
#pragma once
#include "drivers/x86_64/acpi_parse.h"
#include "kernel/lib/types.h"

struct clocksource {
    const char *name;
    u64 hz;
    u32 mask;           /* of the bits that count */
    u32 (*read)(void);  /* counts up, modulo mask + 1 */
};

/* Each returns its source, running, or NULL when the machine has none. */
const struct clocksource *hpet_start(const struct acpi_info *info);
const struct clocksource *pm_timer_start(const struct acpi_info *info);
const struct clocksource *pit_start(const struct acpi_info *info);
