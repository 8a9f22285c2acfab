/* The ACPI tables that tell a guest what this PC has (ACPI 6.5): RSDP, XSDT, FADT, FACS, MADT, DSDT with \_S5, and of a VM
 * with watchdog= the WDAT. */
#pragma once
#include "vm/config.h"
#include "vm/gmem.h"

/* Write the tables from base (16-byte aligned, in RAM; under 4 KiB) for the CPUs and the serial ports of config. 0 or -E_FAULT. */
MUST_CHECK int acpi_build(struct gmem *mem, u64 base, const struct vm_config *config);

/* Does the VM have the port MOTE_PORT_WATCHDOG and the table that tells of it? */
bool acpi_has_watchdog(const struct vm_config *config);
