/* What the policy units ask of the real CPU. Functions, so that host unit tests supply their own CPU. */
#pragma once
#include "kernel/lib/types.h"
#include "vcpu/x86_64/x86.h"

/* CPUID, all zeroes above the host's maximum of the range. */
struct x86_cpuid hostcpu_cpuid(u32 leaf, u32 subleaf);
/* CPUID's vendor, such as GenuineIntel. */
#define HOSTCPU_VENDOR_SIZE 13U
void hostcpu_vendor(char text[HOSTCPU_VENDOR_SIZE]);
/* The time-stamp counter and its frequency as measured at boot. */
u64 hostcpu_tsc(void);
u64 hostcpu_tsc_hz(void);
/* Nanoseconds since 1970. */
u64 hostcpu_wall_ns(void);
/* Take effect at once for the vCPU that is loaded on this CPU. */
void hostcpu_set_tsc_aux(u64 value);
void hostcpu_set_dr6(u64 value);
u64 hostcpu_get_xcr0(void);
/* Has it XSAVEC, and is the format right? Tries it: nobody's x87, SSE or AVX state may be in the CPU, and CR4.OSXSAVE is set.
 * SDM Vol. 1 13.10 "Operation of XSAVEC". */
bool hostcpu_xsavec_works(void);
u64 hostcpu_arch_capabilities(void); /* 0 where the CPU has no such MSR */
void hostcpu_ibpb(void);             /* the CPU has it */
void hostcpu_set_xcr0(u64 value);
