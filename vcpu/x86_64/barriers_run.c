/* The barriers themselves. */
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/barriers.h"
#include "vcpu/x86_64/hostcpu.h"

#define FLUSH_CMD_L1D BIT(0)
#define SPEC_CTRL_IBRS BIT(0)

static u32 barriers; /* X86_BARRIER_*, of every CPU */
static bool chosen;
static u32 last_vm[CPU_MAX]; /* VM id + 1 that this CPU ran last; each entry is its CPU's */

void x86_barriers_init(void)
{
    struct x86_cpuid leaf7 = hostcpu_cpuid(CPUID_LEAF_FEATURES, 0);
    struct x86_barrier_cpu cpu = {
        .leaf7_ebx = leaf7.ebx, .leaf7_edx = leaf7.edx, .ext8_ebx = hostcpu_cpuid(CPUID_EXT_ADDRESS, 0).ebx,
        .arch_capabilities = hostcpu_arch_capabilities()};

    if (chosen) {
        return;
    }
    barriers = x86_barriers_choose(&cpu);
    chosen = true;
    char names[VCPU_BARRIERS_MAX];
    vcpu_barriers(names);
    log_info("ev=barriers between-vms=%s", names);
}

void vcpu_barriers(char text[VCPU_BARRIERS_MAX])
{
    x86_barriers_name(barriers, text, VCPU_BARRIERS_MAX);
}

/* As many calls as the deepest return stack has entries: a return that the CPU predicts by one of them ends in a loop that
 * speculation does not leave. */
static void overwrite_return_stack(void)
{
    u64 count = 16;

    __asm__ volatile("1: call 3f\n"
                     "2: pause\n\tlfence\n\tjmp 2b\n"
                     "3: call 5f\n"
                     "4: pause\n\tlfence\n\tjmp 4b\n"
                     "5: addq $16, %%rsp\n\tdecq %0\n\tjnz 1b\n\tlfence"
                     : "+r"(count)
                     :
                     : "memory", "cc");
}

/* VERW with a writable data selector in memory. */
static void clear_buffers(void)
{
    u16 selector;

    __asm__ volatile("movw %%ds, %0\n\tverw %0" : "=m"(selector)::"cc");
}

void x86_barriers_between(u32 vm_id)
{
    u32 *last = &last_vm[percpu()->id];
    u32 before = *last;

    *last = vm_id + 1;
    if (before == 0 && (barriers & X86_BARRIER_IBRS) != 0) {
        msr_write(MSR_IA32_SPEC_CTRL, SPEC_CTRL_IBRS);
    }
    if (before == vm_id + 1) {
        return;
    }
    if ((barriers & X86_BARRIER_IBPB) != 0) {
        hostcpu_ibpb();
    }
    if ((barriers & X86_BARRIER_RSB) != 0) {
        overwrite_return_stack();
    }
    if ((barriers & X86_BARRIER_L1D) != 0) {
        msr_write(MSR_IA32_FLUSH_CMD, FLUSH_CMD_L1D);
    }
    if ((barriers & X86_BARRIER_BUFFERS) != 0) {
        clear_buffers();
    }
}
