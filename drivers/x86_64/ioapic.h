/* The I/O APICs: Intel 82093AA data sheet; SDM does not describe them. */
#pragma once
#include "drivers/x86_64/acpi_parse.h"

/* Map and mask all of them. One that cannot be used costs a warning. Boot CPU. */
void ioapic_init(const struct acpi_info *info);

/* As irq_controller.enable_line(): 0, -E_NOSYS (no IOAPIC has this line, or the CPU's id does not fit). */
MUST_CHECK int ioapic_enable_line(u32 gsi, u32 vector, bool level, bool active_low);
