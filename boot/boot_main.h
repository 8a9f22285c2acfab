/* The seam between boot/ and kernel/init: boot jumps here and nobody calls back into it. */
#pragma once
#include "boot/boot_info.h"

/* The whole system. On the boot CPU, interrupts off, on the boot page tables; info is static and lives for ever. */
NORETURN void kernel_main(const struct boot_info *info);
