/* The ACPI tables that tell a guest what this PC has (ACPI 6.5): RSDP, XSDT, FADT, FACS, MADT, DSDT with \_S5. */
#pragma once
#include "vm/config.h"
#include "vm/gmem.h"

/* Write the tables from base (16-byte aligned, in RAM; under 4 KiB) for the CPUs and the serial ports of config. 0 or -E_FAULT. */
MUST_CHECK int acpi_build(struct gmem *mem, u64 base, const struct vm_config *config);
