/* Contract of kernel/base/percpu.h: the x86 part of a CPU's area, reached through GS. */
#pragma once
#include "kernel/lib/types.h"

struct percpu;

struct arch_percpu {
    u64 tss_stack_top;   /* top of this CPU's kernel stack */
    void *gdt;           /* this CPU's GDT */
    void *tss;           /* this CPU's TSS */
    void *hw_enable;     /* what the vcpu backend gave the CPU to be enabled with; owned by the backend */
    hpa_t hw_enable_pa;
    void *host_state;    /* host registers that the backend reloads after a guest; owned by the backend */
    hpa_t host_state_pa;
    u64 asid_generation; /* the backend's allocator of TLB tags on this CPU */
    u32 asid_next;
    u64 nmi_count;
};

static inline struct percpu *arch_percpu_self(void)
{
    struct percpu *self;
    __asm__("movq %%gs:0, %0" : "=r"(self));
    return self;
}
