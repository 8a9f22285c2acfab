/* Makes a CPU ours: descriptor tables, percpu area, and the protections that it has. */
#include "kernel/base/percpu.h"
#include "kernel/x86_64/cpu_tables.h"
#include "kernel/x86_64/cpuid.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include <arch/cpu.h>

#define EARLY_STACK_SIZE KIB(8)

/* The boot CPU's exception stacks until mm can give guarded ones. */
static u8 early_stacks[ARCH_STACKS][EARLY_STACK_SIZE] ALIGNED(16);
extern char boot_stack_top[];

/* CR4 as the host wants it. Every bit is gated by CPUID: QEMU answers a reserved bit by a bogus exit, not by #GP. */
static u64 wanted_cr4(void)
{
    struct cpuid features = cpuid_get(1, 0);
    struct cpuid extended = cpuid_get(7, 0);
    u64 cr4 = CR4_PAE;

    cr4 |= (features.edx & CPUID_1_EDX_DE) != 0 ? CR4_DE : 0;
    cr4 |= (features.edx & CPUID_1_EDX_MCE) != 0 ? CR4_MCE : 0;
    cr4 |= (features.edx & CPUID_1_EDX_PGE) != 0 ? CR4_PGE : 0;
    cr4 |= (features.edx & CPUID_1_EDX_FXSR) != 0 ? CR4_OSFXSR : 0;
    cr4 |= (features.edx & CPUID_1_EDX_SSE) != 0 ? CR4_OSXMMEXCPT : 0;
    cr4 |= (features.ecx & CPUID_1_ECX_XSAVE) != 0 ? CR4_OSXSAVE : 0;
    cr4 |= (extended.ebx & CPUID_7_EBX_SMEP) != 0 ? CR4_SMEP : 0;
    cr4 |= (extended.ebx & CPUID_7_EBX_SMAP) != 0 ? CR4_SMAP : 0;
    cr4 |= (extended.ecx & CPUID_7_ECX_UMIP) != 0 ? CR4_UMIP : 0;
    return cr4;
}

static void enable_features(void)
{
    u64 cr4 = wanted_cr4();

    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
    write_cr4(cr4);
    wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_NXE);
    if ((cpuid_get(1, 0).edx & CPUID_1_EDX_PAT) != 0) {
        wrmsr(MSR_IA32_PAT, PAT_RESET); /* the memory types that mm's page-table bits stand for */
    }
    write_dr7(DR7_FIXED); /* no breakpoint of the firmware's */
    if ((cr4 & CR4_OSXSAVE) != 0) {
        xsetbv(0, XCR0_X87);
    }
}

void arch_cpu_prepare(struct percpu *area, void *const stack_tops[ARCH_STACKS])
{
    cpu_tables_prepare(area->id, stack_tops);
    area->arch.tss_stack_top = (u64)stack_tops[ARCH_STACK_KERNEL];
    area->arch.gdt = cpu_tables_gdt(area->id);
    area->arch.tss = cpu_tables_tss(area->id);
}

void arch_cpu_activate(struct percpu *area)
{
    cpu_tables_load(area->id);
    wrmsr(MSR_IA32_GS_BASE, (u64)area);
    wrmsr(MSR_IA32_KERNEL_GS_BASE, 0);
    enable_features();
}

void arch_cpu_init_boot(void)
{
    struct percpu *area = percpu_init_boot();
    void *tops[ARCH_STACKS];

    for (u32 stack = 0; stack < ARCH_STACKS; stack++) {
        tops[stack] = early_stacks[stack] + EARLY_STACK_SIZE;
    }
    tops[ARCH_STACK_KERNEL] = boot_stack_top;
    cpu_tables_init_idt();
    arch_cpu_prepare(area, tops);
    arch_cpu_activate(area);
}

void arch_stack_run(void *top, void (*fn)(const void *arg), const void *arg)
{
    __asm__ volatile("movq %0, %%rsp\n\t"
                     "xorl %%ebp, %%ebp\n\t" /* end of the frame-pointer chain */
                     "call *%1\n\t"
                     "ud2" ::"r"(top),
                     "r"(fn), "D"(arg)
                     : "memory");
    __builtin_unreachable();
}
