/* Contract of kernel/base/percpu.h: the x86 part of a CPU's area, reached through GS. */
#pragma once
#include "kernel/lib/types.h"

struct percpu;

struct arch_percpu {
    u64 tss_stack_top;   /* top of this CPU's kernel stack */
    void *gdt;           /* this CPU's GDT */
    void *tss;           /* this CPU's TSS */
    void *hw_enable;     /* vcpu backend's per-CPU region (VMXON region / host save area), owned by the backend */
    hpa_t hw_enable_pa;
    void *host_vmcb;     /* SVM: host state for VMLOAD/VMSAVE, owned by the backend */
    hpa_t host_vmcb_pa;
    u64 asid_generation; /* SVM ASID allocator of this CPU */
    u32 asid_next;
    u64 nmi_count;
};

static inline struct percpu *arch_percpu_self(void)
{
    struct percpu *self;
    __asm__("movq %%gs:0, %0" : "=r"(self));
    return self;
}
