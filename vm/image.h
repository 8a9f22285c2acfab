/* A boot module's bytes: borrowed, read-only, alive as long as the host. */
#pragma once
#include "kernel/lib/types.h"

struct image {
    const u8 *data;
    u64 size; /* bytes */
};

#define VM_SYMBOL_MAX 64U

/* A place in a program: name + offset. */
struct vm_symbol {
    char name[VM_SYMBOL_MAX]; /* printable, cut if need be */
    u64 offset;
};
