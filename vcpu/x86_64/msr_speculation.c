/* Rows of the MSR table that concern speculation: what the CPU is immune to, so that a guest leaves out what it need not do,
 * and the barrier that it may ask for. IA32_SPEC_CTRL is not offered. SDM Vol. 4 "IA32_ARCH_CAPABILITIES"; APM Vol. 2 3.2.9. */
#include "vcpu/x86_64/msr_speculation.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/policy.h"

/* RDCL, RSBA, SSB, MDS, PSCHANGE_MC, TAA; SBDR_SSDP, FBSDP, PSDP; FB_CLEAR; BHI; PBRSB; GDS, RFDS, RFDS_CLEAR. Not: what
 * speaks of IA32_SPEC_CTRL, IA32_TSX_CTRL, IA32_FLUSH_CMD and other MSRs that a guest has not. */
#define GUEST_CAPABILITIES                                                                                            \
    (BIT(0) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | GENMASK(15, 13) | BIT(17) | BIT(20) | BIT(24) | GENMASK(28, 26))

int x86_msr_read_arch_capabilities(struct vcpu *v, u32 msr, u64 *value)
{
    (void)v;
    (void)msr;
    if ((x86_cpuid_policy(CPUID_LEAF_FEATURES, 0).edx & CPUID_7_EDX_ARCH_CAPABILITIES) == 0) {
        return -E_GUEST;
    }
    *value = hostcpu_arch_capabilities() & GUEST_CAPABILITIES;
    return 0;
}

int x86_msr_write_pred_cmd(struct vcpu *v, u32 msr, u64 value)
{
    (void)v;
    (void)msr;
    if ((x86_cpuid_policy(CPUID_EXT_ADDRESS, 0).ebx & CPUID_EXT8_EBX_IBPB) == 0 || (value & ~PRED_CMD_IBPB) != 0) {
        return -E_GUEST;
    }
    if (value != 0) {
        hostcpu_ibpb();
    }
    return 0;
}
