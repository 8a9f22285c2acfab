/* What a guest that knows KVM's paravirtual interface finds here: the clock. The MSRs, structures and bits are those of
 * Linux's Documentation/virt/kvm/x86/{msr,cpuid}.rst. A record lies in guest memory where the guest says; it is written
 * through config.mem only and never read back. */
#pragma once
#include "vcpu/x86_64/x86.h"

#define MSR_KVM_WALL_CLOCK_OLD 0x00000011U
#define MSR_KVM_SYSTEM_TIME_OLD 0x00000012U
#define MSR_KVM_WALL_CLOCK 0x4B564D00U
#define MSR_KVM_SYSTEM_TIME 0x4B564D01U

/* CPUID 0x40000001 EAX. */
#define KVM_FEATURE_CLOCKSOURCE BIT32(0)
#define KVM_FEATURE_NOP_IO_DELAY BIT32(1)
#define KVM_FEATURE_CLOCKSOURCE2 BIT32(3)
#define KVM_FEATURE_CLOCKSOURCE_STABLE BIT32(24)
#define X86_PV_FEATURES                                                                                                \
    (KVM_FEATURE_CLOCKSOURCE | KVM_FEATURE_NOP_IO_DELAY | KVM_FEATURE_CLOCKSOURCE2 | KVM_FEATURE_CLOCKSOURCE_STABLE)

#define PV_CLOCK_TSC_STABLE 1U

/* struct pvclock_vcpu_time_info: ns = system_time + ((TSC - tsc_timestamp) << shift) * mul / 2^32. version is odd while it
 * is being written. */
struct PACKED pv_clock_record {
    u32 version;
    u32 pad0;
    u64 tsc_timestamp;
    u64 system_time;
    u32 mul;
    s8 shift;
    u8 flags;
    u8 pad[2];
};
_Static_assert(sizeof(struct pv_clock_record) == 32, "pvclock_vcpu_time_info");
_Static_assert(offsetof(struct pv_clock_record, mul) == 24, "pvclock_vcpu_time_info");

/* struct pvclock_wall_clock: the time of day when the system time was zero. */
struct PACKED pv_wall_record {
    u32 version;
    u32 sec;
    u32 nsec;
};
_Static_assert(sizeof(struct pv_wall_record) == 12, "pvclock_wall_clock");

/* Factor and shift that make nanoseconds of ticks at hz, with mul in [2^31, 2^32). hz > 0. Pure. */
void x86_pv_clock_scale(u64 hz, u32 *mul, s8 *shift);
/* ticks in nanoseconds as the guest computes it. Pure. */
u64 x86_pv_clock_ns(u64 ticks, u32 mul, s8 shift);

/* The MSRs. Write: 0, or -E_GUEST: bits 1:0 hold more than the enable bit, or the record does not lie in writable RAM. */
MUST_CHECK int x86_pv_read(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_pv_write_clock(struct vcpu *v, u32 msr, u64 value);
MUST_CHECK int x86_pv_write_wall(struct vcpu *v, u32 msr, u64 value);
/* The guest moved its TSC: its clock goes on as if it had not. Owner CPU. */
void x86_pv_tsc_moved(struct vcpu *v);
