/* First C code: from the loader's information to kernel_main(). */
#include "boot/boot_main.h"
#include "boot/mb2.h"
#include "kernel/base/log.h"
#include "kernel/base/sections.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/early_serial.h"
#include "mm/physmap.h"
#include <arch/cpu.h>

/* Called by start.asm: 64-bit mode, boot page tables, boot stack, interrupts off. info_pa: below 4 GiB. */
NORETURN void boot_main(u32 info_pa);

extern u64 boot_start_ticks; /* start.asm */
static struct boot_info boot_info;

void boot_main(u32 info_pa)
{
    const void *info = phys_ptr(HPA(info_pa));

    early_serial_start();
    arch_cpu_init_boot();
    int error = mb2_parse(info, mb2_total_size(info), &boot_info);
    if (error != 0) {
        log_warn("loader information is cut short: %s", errno_text(error));
    }
    boot_info.info_base = HPA(info_pa);
    boot_info.info_len = mb2_total_size(info);
    boot_info.kernel_base = kernel_pa(kernel_start);
    boot_info.kernel_len = (u64)kernel_end - (u64)kernel_start;
    boot_info.start_ticks = boot_start_ticks;
    kernel_main(&boot_info);
}
