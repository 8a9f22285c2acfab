/* The direct map: all RAM and ACPI memory, readable and writable, never executable, at a fixed offset. */
#pragma once
#include "kernel/lib/types.h"

/* No frame, table or mapping lies at or above this physical address: the direct map's window ends there. */
#define PHYSMAP_LIMIT BIT(46)

/* Virtual address of physical 0. A variable so that host unit tests can point it into a buffer. */
extern u64 physmap_base;

static inline void *phys_ptr(hpa_t pa)
{
    return (void *)(physmap_base + pa.v); /* NOLINT: the one place where a physical address becomes a pointer */
}

/* Inverse of phys_ptr(); only for pointers into the direct map. */
static inline hpa_t phys_of(const void *ptr)
{
    return HPA((u64)ptr - physmap_base);
}
