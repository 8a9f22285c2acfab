/* The machine as its ACPI tables describe it. */
#pragma once
#include "boot/boot_info.h"
#include "drivers/x86_64/acpi_parse.h"

/* Find and read the tables. Whatever is missing or absurd leaves its default and one warning line. Needs kmap. Boot CPU. */
void acpi_init(const struct boot_info *info);

const struct acpi_info *acpi_info(void);

/* The line of an ISA interrupt 0..15, overrides applied. */
struct acpi_irq acpi_isa_irq(u32 irq);
