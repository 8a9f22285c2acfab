/* Function names of this image, for backtraces. The table is generated from nm by kernel/base/ksyms.awk. */
#pragma once
#include "kernel/lib/types.h"

struct ksym_hit {
    const char *name;
    u64 offset; /* of the address inside the function, bytes */
};

/* The function that holds address; name is "?" when none does. Any context. */
struct ksym_hit ksym_lookup(u64 address);
