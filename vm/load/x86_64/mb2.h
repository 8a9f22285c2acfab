/* Between the two halves of the multiboot 2 loader. */
#pragma once
#include "vm/load/x86_64/multiboot.h"

/* Build the information block in boot->block. 0, or -E_* with why. */
MUST_CHECK int mb2_build_info(const struct load_request *rq, struct mb_boot *boot);
