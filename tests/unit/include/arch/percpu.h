/* Host build of <arch/percpu.h>: the test is one CPU, and may say which. */
#pragma once
#include "kernel/lib/types.h"

struct percpu;

struct arch_percpu {
    void *hw_enable;
    hpa_t hw_enable_pa;
    void *host_state;
    hpa_t host_state_pa;
    u64 asid_generation;
    u32 asid_next;
    u64 nmi_count;
};

extern struct percpu *host_percpu; /* in tests/unit/host.c; a test may point it elsewhere */

static inline struct percpu *arch_percpu_self(void)
{
    return host_percpu;
}
