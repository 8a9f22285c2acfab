/* Contract of kernel/lib/string.c: the ISA's way to move and fill long stretches. Also built on the host. */
#pragma once
#include "kernel/lib/types.h"

#define ARCH_BULK_MIN 256U /* bytes from which these beat a loop of words: REP has a start-up cost */

/* Copy words of 8 bytes, upwards; any alignment; the destination does not lie inside the rest of the source. */
static inline void arch_copy_words(void *dst, const void *src, size_t words)
{
    __asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(words)::"memory");
}

/* Store pattern words times; any alignment. */
static inline void arch_fill_words(void *dst, u64 pattern, size_t words)
{
    __asm__ volatile("rep stosq" : "+D"(dst), "+c"(words) : "a"(pattern) : "memory");
}
