/* Application processors: the platform's smp_ops. SDM Vol. 3 8.4.4.1. */
#pragma once
#include "drivers/x86_64/acpi_parse.h"

/* Register smp_ops for the CPUs of info but the calling one. trampoline_init() went before. Boot CPU. */
void ap_init(const struct acpi_info *info);
