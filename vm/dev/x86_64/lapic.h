/* One local APIC (SDM Vol. 3 chapter 11 "Advanced Programmable Interrupt Controller (APIC)"), in xAPIC and x2APIC mode. It
 * knows its CPU only by index; messages to other CPUs go through struct apic_bus. Its own CPU reads and writes registers
 * and acknowledges; any CPU may post a vector: the request register is atomic, everything else is the owner's. */
#pragma once
#include "kernel/timer.h"
#include "kernel/lib/types.h"

#define LAPIC_CPUS_MAX 32U
#define LAPIC_BASE_DEFAULT 0xFEE00000ULL
#define LAPIC_MMIO_SIZE 4096U
#define LAPIC_X2APIC_MSR_FIRST 0x800U
#define LAPIC_X2APIC_MSR_COUNT 0x100U

/* Delivery modes as encoded in the ICR, the LVTs and the IOAPIC's entries (SDM figure 11-12). */
enum apic_mode { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_RESERVED, APIC_NMI, APIC_INIT, APIC_STARTUP, APIC_EXTINT };

/* An interrupt message on its way to one or many local APICs. */
struct apic_message {
    u8 vector;
    enum apic_mode mode;
    bool logical; /* destination is logical */
    bool level;   /* trigger mode */
    bool assert_; /* level of an INIT message */
    u32 destination; /* 8 bits from xAPIC and IOAPIC (FFh: everybody), 32 from x2APIC */
};

struct lapic;

/* The wires between the APICs of one VM and the CPUs behind them. */
struct apic_bus {
    struct lapic *lapic[LAPIC_CPUS_MAX];
    u32 count;
    u32 lowest_next; /* where the search for the lowest-priority CPU starts; atomic */
    void *ctx;
    void (*event)(void *ctx, u32 cpu); /* an interrupt may be deliverable on cpu now: look and kick */
    void (*nmi)(void *ctx, u32 cpu);
    void (*init)(void *ctx, u32 cpu);
    void (*startup)(void *ctx, u32 cpu, u8 vector);
    void (*eoi)(void *ctx, u8 vector); /* end of a level-triggered interrupt, for the IOAPIC */
};

struct lapic {
    struct apic_bus *bus;
    u32 index; /* of its CPU, and its APIC id */
    u64 base;  /* IA32_APIC_BASE as the guest sees it */
    u32 irr[8]; /* atomic: anybody posts */
    u32 isr[8];
    u32 tmr[8]; /* atomic */
    u32 tpr, ldr, dfr, svr, esr, esr_pending; /* esr_pending: atomic */
    u64 icr;
    u32 lvt[6]; /* timer, thermal, performance, LINT0, LINT1, error */
    u32 timer_initial, timer_divide;
    u64 timer_start_ns;
    u64 deadline_ticks; /* guest TSC */
    struct timer timer;
    u64 tsc_offset; /* guest TSC = host counter + this */
    bool extint; /* the PIC's INTR wire, for LINT0 in ExtINT mode (virtual wire) */
};

/* The state after power-up; index 0 is the boot processor. */
void lapic_init(struct lapic *lapic, struct apic_bus *bus, u32 index);
/* The state after an INIT message: as reset, but the id and IA32_APIC_BASE stay. Owner CPU. */
void lapic_reset(struct lapic *lapic);
/* No timer interrupt comes after this. Task context. */
void lapic_stop(struct lapic *lapic);

/* Registers. Owner CPU. mmio: offset in the page, any size and alignment (only aligned dwords are defined; the rest reads as
 * zero and is ignored). msr: 0, or -E_GUEST (#GP: reserved, read-only, not in x2APIC mode, reserved bits). base: IA32_APIC_BASE. */
void lapic_mmio(struct lapic *lapic, u32 offset, u8 size, bool write, u64 *value);
MUST_CHECK int lapic_msr(struct lapic *lapic, u32 msr, bool write, u64 *value);
MUST_CHECK int lapic_write_base(struct lapic *lapic, u64 value);
/* IA32_TSC_DEADLINE, in ticks of the guest's TSC; 0 disarms; ignored unless the timer is in deadline mode. */
u64 lapic_read_deadline(const struct lapic *lapic);
void lapic_write_deadline(struct lapic *lapic, u64 ticks);
/* CR8 is the task-priority class. */
u64 lapic_read_cr8(const struct lapic *lapic);
void lapic_write_cr8(struct lapic *lapic, u64 value);
static inline bool lapic_mmio_enabled(const struct lapic *lapic)
{
    return (lapic->base >> 10 & 3) == 2; /* EN without EXTD */
}

/* Is an interrupt deliverable: IRR above the processor priority? Any CPU; a hint. */
bool lapic_pending(const struct lapic *lapic);
/* Take the highest deliverable interrupt into service. false when there is none. Owner CPU. */
bool lapic_acknowledge(struct lapic *lapic, u8 *vector);
/* Does LINT0 let the PIC's interrupts through to this CPU (ExtINT, unmasked; or the APIC is disabled)? */
bool lapic_accepts_extint(const struct lapic *lapic);

/* Deliver a message to whom it names. sender may be NULL. Any CPU. Returns how many APICs accepted it. */
u32 apic_bus_send(struct apic_bus *bus, const struct apic_message *message, const struct lapic *sender);
