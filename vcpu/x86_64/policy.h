/* Private to the files of vcpu/x86_64 itself: what its policy units share. */
#pragma once
#include "vcpu/x86_64/x86.h"

/* Compute the CPUID table once from this machine's CPUID; later calls do nothing. Boot CPU, before the first vCPU. */
void x86_cpuid_init(void);
/* The answer to leaf when it is every vCPU's and has no subleaves, else NULL: the short way for frequent exits. */
#define X86_CPUID_COMMON 32U /* basic leaves, and as many extended ones */
extern const struct x86_cpuid *x86_cpuid_commons[2][X86_CPUID_COMMON];
static inline const struct x86_cpuid *x86_cpuid_common(u32 leaf)
{
    u32 number = leaf & GENMASK(30, 0);
    return number < X86_CPUID_COMMON ? x86_cpuid_commons[leaf >> 31][number] : NULL;
}
/* Forget it, for tests that change the CPU. */
void x86_cpuid_forget(void);
/* A register of a leaf as every guest sees it, without the per-vCPU parts. */
struct x86_cpuid x86_cpuid_policy(u32 leaf, u32 subleaf);
/* XCR0 components that guests may use; those that the host switches. 0 when there is no XSAVE. */
u64 x86_xcr0_allowed(void);
/* Guest physical address width. */
u8 x86_guest_phys_bits(void);
/* Is the vendor AMD (or a clone that speaks its MSRs)? */
bool x86_cpuid_is_amd(void);

static inline bool x86_is_canonical(u64 address)
{
    return (u64)((s64)(address << 16) >> 16) == address; /* 48-bit linear addresses: LA57 is never offered */
}
