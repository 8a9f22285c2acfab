/* A boot module's bytes: borrowed, read-only, alive as long as the host. */
#pragma once
#include "kernel/lib/types.h"

struct image {
    const u8 *data;
    u64 size; /* bytes */
};
