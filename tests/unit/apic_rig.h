/* A board of local APICs on one bus, whose wires write down what they carry, with a clock that tests turn. */
#pragma once
#include "vm/dev/x86_64/lapic_bits.h"

enum rig_wire { RIG_NMI, RIG_INIT, RIG_STARTUP, RIG_WIRES };

struct apic_rig {
    struct apic_bus bus;
    struct vlapic lapic[LAPIC_CPUS_MAX];
    u32 events[LAPIC_CPUS_MAX];
    u32 wires[RIG_WIRES][LAPIC_CPUS_MAX];
    u8 startup_vector;
    u32 eois;
    u8 eoi_vector;
    struct vioapic *ioapic; /* told of EOIs when not NULL */
};

extern struct apic_rig rig;
extern u64 rig_now_ns; /* the counter ticks at 1 GHz: one tick is one nanosecond */
extern u64 rig_programmed_ns;

/* count APICs, all enabled by software, in xAPIC mode, time at 1 s. */
void rig_start(u32 count);
/* All into x2APIC mode. */
void rig_x2apic(void);
/* Time goes on to `to`, timers firing on their way. */
void rig_run_until(u64 to_ns);
/* Registers of APIC `cpu`, by number (offset / 16): through the page in xAPIC mode. */
u32 rig_read(u32 cpu, u32 reg);
void rig_write(u32 cpu, u32 reg, u32 value);
/* The same through MSRs: 0 or -E_GUEST. */
int rig_rdmsr(u32 cpu, u32 reg, u64 *value);
int rig_wrmsr(u32 cpu, u32 reg, u64 value);
/* Is vector requested? One bit per APIC; the requests are taken away. */
u32 rig_take(u8 vector);
/* Which APICs a wire reached since the last look: one bit each. */
u32 rig_take_wire(enum rig_wire wire);

enum { R_ID = 0x02, R_VERSION = 0x03, R_TPR = 0x08, R_APR = 0x09, R_PPR = 0x0A, R_EOI = 0x0B, R_LDR = 0x0D, R_DFR = 0x0E,
       R_SVR = 0x0F, R_ISR = 0x10, R_TMR = 0x18, R_IRR = 0x20, R_ESR = 0x28, R_ICR = 0x30, R_ICR_HIGH = 0x31,
       R_LVT_TIMER = 0x32, R_LVT_LINT0 = 0x35, R_LVT_LINT1 = 0x36, R_LVT_ERROR = 0x37, R_INITIAL = 0x38, R_CURRENT = 0x39,
       R_DIVIDE = 0x3E, R_SELF_IPI = 0x3F };
