/* The PC's ways to end. */
#pragma once
#include "drivers/x86_64/acpi_parse.h"

/* Register them with kernel/power.h. First the emulators' exits, only where an emulator is recognised; then ACPI soft-off
 * and the resets. info lives for ever. Boot CPU. */
void power_emulator_init(void);
void power_acpi_init(const struct acpi_info *info);
