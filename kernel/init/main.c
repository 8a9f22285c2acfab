/* The table of contents of the whole system. */
#include "boot/boot_main.h"
#include "kernel/base/log.h"
#include "kernel/base/version.h"
#include <arch/cpu.h>

void kernel_main(const struct boot_info *info)
{
    log_event("version=%s commit=%s arch=x86_64 modules=%u regions=%u cmdline=\"%s\"", version_number, version_commit,
              info->module_count, info->region_count, info->cmdline);
    arch_cpu_stop();
}
