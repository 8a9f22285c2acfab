/* Who lives and who dies: builds and starts the configured VMs, buries the ended ones, and ends the machine when none is
 * left. A task on the boot CPU; nobody else creates or destroys VMs. */
#pragma once
#include "boot/boot_info.h"
#include "vm/config.h"

/* Build and start every VM of config that has no error. One event line for each that fails. With a failed VM that has
 * require=1 the machine ends here. Both arguments live for ever. Boot CPU, before sched_loop(). */
void manager_start(const struct boot_info *info, const struct mote_config *config);
