#include "mm/physmap.h"

u64 physmap_base = 0xFFFF800000000000; /* start.asm maps the first 4 GiB there, kmap_init() all RAM */
