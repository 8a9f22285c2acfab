/* What one guest must not leave behind for the next in the CPU's predictors and buffers. x86_barriers_choose() decides from
 * what the CPU says of itself; x86_barriers_between() does it when a CPU goes from one VM to another.
 * SDM Vol. 4 "IA32_SPEC_CTRL", "IA32_PRED_CMD", "IA32_ARCH_CAPABILITIES", "IA32_FLUSH_CMD"; APM Vol. 2 3.2.9. */
#pragma once
#include "kernel/lib/types.h"

#define X86_BARRIER_IBPB BIT32(0)    /* forget indirect branches */
#define X86_BARRIER_RSB BIT32(1)     /* overwrite the return stack, which IBPB may leave */
#define X86_BARRIER_L1D BIT32(2)     /* flush the L1 data cache: L1 terminal fault */
#define X86_BARRIER_BUFFERS BIT32(3) /* clear fill, load and store buffers: MDS, TAA, MMIO stale data, register files */
#define X86_BARRIER_IBRS BIT32(4)    /* once and for all: guests' branches do not steer the host's */

/* What the decision is made of. All zeroes where the CPU has no such leaf or MSR. */
struct x86_barrier_cpu {
    u32 leaf7_ebx, leaf7_edx;
    u32 ext8_ebx;
    u64 arch_capabilities;
};

/* X86_BARRIER_* that this CPU needs and has. Pure. */
u32 x86_barriers_choose(const struct x86_barrier_cpu *cpu);

/* Their names, such as "ibpb,rsb"; "none". Pure. */
void x86_barriers_name(u32 barriers, char *text, size_t size);

/* Look at the CPU, once; before the first vCPU is loaded. */
void x86_barriers_init(void);

/* This CPU is about to load a vCPU of that VM. IRQs off. */
void x86_barriers_between(u32 vm_id);
