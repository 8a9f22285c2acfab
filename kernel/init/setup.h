/* From the loader's strings to the configuration, told to the user. */
#pragma once
#include "boot/boot_info.h"
#include "mm/frame.h"
#include "vm/config.h"

/* Parse the hypervisor line and the module lines; one line for each complaint. Lives for ever. Boot CPU, once. */
struct mote_config *setup_config(const struct boot_info *info);

/* What was found wrong with a key of a VM's later than that: told in the same way, and the VM does not start. */
void setup_complain(struct mote_config *cfg, struct vm_config *vm, const char *key, const char *why);

/* Print the effective configuration, one line per VM. */
void setup_print(const struct mote_config *cfg);

/* What must be kept out of the frame allocator: the loader's information, the modules, and extra. ranges has room for
 * BOOT_MODULES_MAX + 3. Returns the number of ranges. */
size_t setup_reserved(const struct boot_info *info, struct frame_range extra, struct frame_range *ranges);
