/* From the loader's strings to the configuration, told to the user. */
#pragma once
#include "boot/boot_info.h"
#include "mm/frame.h"
#include "vm/config.h"

/* Parse the hypervisor line and the module lines; one line for each complaint. Lives for ever. Boot CPU, once. */
const struct mote_config *setup_config(const struct boot_info *info);

/* Print the effective configuration, one line per VM. */
void setup_print(const struct mote_config *cfg);

/* What must be kept out of the frame allocator: the loader's information, the modules, and extra. ranges has room for
 * BOOT_MODULES_MAX + 3. Returns the number of ranges. */
size_t setup_reserved(const struct boot_info *info, struct frame_range extra, struct frame_range *ranges);
