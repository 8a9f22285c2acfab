/* The GDT and TSS of each CPU and the common IDT. */
#pragma once
#include "kernel/lib/types.h"
#include <arch/cpu.h>

/* Fill the gates; before any cpu_tables_load(). Boot CPU, once. */
void cpu_tables_init_idt(void);

/* Fill the GDT and TSS of CPU cpu (below CPU_MAX) with these stack tops. */
void cpu_tables_prepare(u32 cpu, void *const stack_tops[ARCH_STACKS]);

/* Load GDT, segments, TR and IDT on the calling CPU, which is CPU cpu. Clears the FS and GS bases. Interrupts off. */
void cpu_tables_load(u32 cpu);

void *cpu_tables_gdt(u32 cpu);
void *cpu_tables_tss(u32 cpu);
