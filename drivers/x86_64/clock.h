/* How fast the TSC and the local APIC timer count. */
#pragma once
#include "drivers/x86_64/acpi_parse.h"

/* Measure both against the best clock of the machine (0.1 to 10 ms, the longer the slower its reading is), then start time
 * and this CPU's timer. When nothing can be measured against, a warning line and a guess. Needs lapic_init(). Boot CPU,
 * IRQs off. */
void clock_init(const struct acpi_info *info);
