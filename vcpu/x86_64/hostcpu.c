/* The real CPU behind the policy units. */
#include "vcpu/x86_64/hostcpu.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"

struct x86_cpuid hostcpu_cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r = cpuid_get(leaf, subleaf);

    return (struct x86_cpuid){r.eax, r.ebx, r.ecx, r.edx};
}

void hostcpu_vendor(char text[HOSTCPU_VENDOR_SIZE])
{
    struct x86_cpuid leaf = hostcpu_cpuid(0, 0);
    u32 words[] = {leaf.ebx, leaf.edx, leaf.ecx};

    memcpy(text, words, sizeof(words));
    text[sizeof(words)] = '\0';
}

u64 hostcpu_tsc(void)
{
    return rdtsc();
}

u64 hostcpu_tsc_hz(void)
{
    return time_ticks_hz();
}

u64 hostcpu_wall_ns(void)
{
    return time_wall_seconds() * NS_PER_SEC + time_now_ns() % NS_PER_SEC;
}

void hostcpu_set_tsc_aux(u64 value)
{
    msr_write(MSR_IA32_TSC_AUX, value);
}

void hostcpu_set_dr6(u64 value)
{
    write_dr6(value);
}

u64 hostcpu_arch_capabilities(void)
{
    bool has = (hostcpu_cpuid(CPUID_LEAF_FEATURES, 0).edx & CPUID_7_EDX_ARCH_CAPABILITIES) != 0;

    return has ? msr_read(MSR_IA32_ARCH_CAPABILITIES) : 0;
}

void hostcpu_ibpb(void)
{
    msr_write(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

u64 hostcpu_get_xcr0(void)
{
    return xgetbv(0);
}

void hostcpu_set_xcr0(u64 value)
{
    xsetbv(0, value);
}
