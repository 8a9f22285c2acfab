/* Contract of mm with the ISA: clearing memory fast. */
#pragma once
#include "kernel/lib/types.h"

/* Zero `bytes` (a multiple of 8) at the 8-byte aligned ptr. One string instruction scrubs a guest. */
static inline void arch_mem_zero(void *ptr, u64 bytes)
{
    u64 words = bytes / sizeof(u64);

    __asm__ volatile("rep stosq" : "+D"(ptr), "+c"(words) : "a"(0ULL) : "memory");
}
