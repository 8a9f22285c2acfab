/* Model-specific registers. An MSR that the CPU lacks faults: check CPUID first (SDM Vol. 4, APM Vol. 2 appendix A). */
#pragma once
#include "kernel/lib/types.h"

static inline u64 msr_read(u32 msr)
{
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return ((u64)high << 32) | low;
}

static inline void msr_write(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}
