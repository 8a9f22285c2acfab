/* A set of CPU numbers 0..CPU_MAX-1. Pure. */
#pragma once
#include "kernel/lib/types.h"

#define CPU_MAX 256U

struct cpuset {
    u64 bits[CPU_MAX / 64];
};

static inline void cpuset_add(struct cpuset *set, u32 cpu)
{
    if (cpu < CPU_MAX) {
        set->bits[cpu / 64] |= BIT(cpu % 64);
    }
}

static inline bool cpuset_has(const struct cpuset *set, u32 cpu)
{
    return cpu < CPU_MAX && (set->bits[cpu / 64] & BIT(cpu % 64)) != 0;
}

static inline bool cpuset_empty(const struct cpuset *set)
{
    for (size_t i = 0; i < ARRAY_SIZE(set->bits); i++) {
        if (set->bits[i] != 0) {
            return false;
        }
    }
    return true;
}

static inline void cpuset_fill(struct cpuset *set)
{
    for (size_t i = 0; i < ARRAY_SIZE(set->bits); i++) {
        set->bits[i] = ~0ULL;
    }
}
