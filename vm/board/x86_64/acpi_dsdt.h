/* The DSDT's AML: what the guest cannot find by itself. ACPI 6.5, 20.2 "AML Grammar Definition". */
#pragma once
#include "kernel/lib/types.h"
#include "vm/uart_ports.h"

#define ACPI_DSDT_SIZE 173U
#define ACPI_DSDT_UART_SIZE 54U

/* \_S5, and under \_SB the PCI root and the clock; without the table's header. */
extern const u8 acpi_dsdt[ACPI_DSDT_SIZE];
/* com1 to com4, each a term of its own that may follow. */
extern const u8 acpi_dsdt_uart[UART_PORTS][ACPI_DSDT_UART_SIZE];
