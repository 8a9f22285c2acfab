/* The ACPI tables that tell a guest what this PC has (ACPI 6.5): RSDP, XSDT, FADT, FACS, MADT, DSDT with \_S5. */
#pragma once
#include "vm/gmem.h"

/* Write the tables from base (16-byte aligned, in RAM; under 4 KiB) for
 * cpus CPUs, 1..VM_VCPUS_MAX. 0 or -E_FAULT. */
MUST_CHECK int acpi_build(struct gmem *mem, u64 base, u32 cpus);
