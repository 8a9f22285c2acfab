/* The information block of a multiboot2 loader -> struct boot_info. Pure: also built on the host and fuzzed.
 * multiboot2 specification 2.0, section 3.6 "Boot information format". */
#pragma once
#include "boot/boot_info.h"

#define MB2_INFO_MAX MIB(4)     /* a block that claims more is cut: bounds every loop over it */
#define MB2_MAP_ENTRIES_MAX 1024U /* entries of a memory map beyond these are dropped and counted */

/* How many bytes the block at info says it has; at most MB2_INFO_MAX. The first 8 bytes must be readable. */
size_t mb2_total_size(const void *info);

/* Fill *out from the block of size bytes (8-byte aligned, lives as long as *out: module strings stay in it). Whatever is
 * missing, malformed or out of bounds is left out, with the zero value of its field. Sets all fields but info_*, kernel_*.
 * Returns 0, or -E_TRUNC when the tag list is cut short: what stood before the cut is in *out. */
MUST_CHECK int mb2_parse(const void *info, size_t size, struct boot_info *out);
