/* What a guest that knows KVM's paravirtual interface finds here: the clock, steal time, and an
 * end of interrupt without an exit; the hypercalls are the VM layer's. The MSRs, structures and bits are those of
 * Linux's Documentation/virt/kvm/x86/{msr,cpuid}.rst. A record lies in guest memory where the guest says; it is
 * reached through config.mem only. */
#pragma once
#include "vcpu/x86_64/x86.h"

#define MSR_KVM_WALL_CLOCK_OLD 0x00000011U
#define MSR_KVM_SYSTEM_TIME_OLD 0x00000012U
#define MSR_KVM_WALL_CLOCK 0x4B564D00U
#define MSR_KVM_SYSTEM_TIME 0x4B564D01U
#define MSR_KVM_STEAL_TIME 0x4B564D03U
#define MSR_KVM_PV_EOI 0x4B564D04U
#define PV_ENABLE BIT(0)

/* CPUID 0x40000001 EAX. */
#define KVM_FEATURE_CLOCKSOURCE BIT32(0)
#define KVM_FEATURE_NOP_IO_DELAY BIT32(1)
#define KVM_FEATURE_CLOCKSOURCE2 BIT32(3)
#define KVM_FEATURE_STEAL_TIME BIT32(5)
#define KVM_FEATURE_PV_EOI BIT32(6)
#define KVM_FEATURE_PV_UNHALT BIT32(7)
#define KVM_FEATURE_PV_TLB_FLUSH BIT32(9)
#define KVM_FEATURE_PV_SEND_IPI BIT32(11)
#define KVM_FEATURE_PV_SCHED_YIELD BIT32(13)
#define KVM_FEATURE_CLOCKSOURCE_STABLE BIT32(24)
#define X86_PV_FEATURES                                                                                                \
    (KVM_FEATURE_CLOCKSOURCE | KVM_FEATURE_NOP_IO_DELAY | KVM_FEATURE_CLOCKSOURCE2 | KVM_FEATURE_STEAL_TIME | \
     KVM_FEATURE_PV_TLB_FLUSH | KVM_FEATURE_CLOCKSOURCE_STABLE)
/* Those that a VM with an interrupt chip of its own adds. */
#define X86_PV_CHIP_FEATURES                                                                                           \
    (KVM_FEATURE_PV_EOI | KVM_FEATURE_PV_UNHALT | KVM_FEATURE_PV_SEND_IPI | KVM_FEATURE_PV_SCHED_YIELD)

#define PV_CLOCK_TSC_STABLE 1U
#define PV_CLOCK_GUEST_STOPPED 2U /* the VM was paused; the guest clears it */

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

/* struct kvm_steal_time. */
#define PV_PREEMPTED 1U       /* in preempted: it is not running */
#define PV_PREEMPTED_FLUSH 2U /* a sibling's wish: flush its translations before it runs again */
struct pv_steal_record {
    u64 steal_ns; /* runnable, but without a CPU */
    u32 version;  /* odd while steal_ns is being written */
    u32 flags;
    u8 preempted;
    u8 pad[47];
};
_Static_assert(sizeof(struct pv_steal_record) == 64 && offsetof(struct pv_steal_record, preempted) == 16, "kvm_steal_time");

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
/* The same for the steal-time record (64-byte aligned) and the end-of-interrupt word. */
MUST_CHECK int x86_pv_read_steal(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_pv_write_steal(struct vcpu *v, u32 msr, u64 value);
MUST_CHECK int x86_pv_read_eoi(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_pv_write_eoi(struct vcpu *v, u32 msr, u64 value);
