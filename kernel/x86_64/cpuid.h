/* CPUID with the maximum leaf checked: leaves above it return other leaves' data on real CPUs (SDM Vol. 2, CPUID). */
#pragma once
#include "kernel/lib/types.h"

#define CPUID_EXTENDED_BASE 0x80000000U
#define CPUID_HYPERVISOR_BASE 0x40000000U

struct cpuid {
    u32 eax, ebx, ecx, edx;
};

/* The raw instruction; the caller knows that the leaf exists. */
static inline struct cpuid cpuid_raw(u32 leaf, u32 subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

/* Leaf and subleaf, or all zeroes when the leaf lies above its range's maximum. For basic and extended leaves. */
static inline struct cpuid cpuid_get(u32 leaf, u32 subleaf)
{
    u32 base = leaf & CPUID_EXTENDED_BASE;
    u32 max = cpuid_raw(base, 0).eax;

    if (max < leaf || (max & CPUID_EXTENDED_BASE) != base) {
        return (struct cpuid){0, 0, 0, 0};
    }
    return cpuid_raw(leaf, subleaf);
}
