/* The DSDT's AML: what the guest cannot find by itself. ACPI 6.5, 20.2 "AML Grammar Definition". */
#pragma once
#include "kernel/lib/types.h"

#define ACPI_DSDT_SIZE 212U

/* \_S5, and under \_SB the PCI root, the UART and the clock; without the table's header. */
extern const u8 acpi_dsdt[ACPI_DSDT_SIZE];
