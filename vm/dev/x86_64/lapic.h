/* One local APIC (SDM Vol. 3 chapter 11 "Advanced Programmable Interrupt Controller (APIC)"), in xAPIC and x2APIC mode. It
 * knows its CPU only by index; messages to other CPUs go through struct apic_bus. Its own CPU reads and writes registers
 * and acknowledges; any CPU may post a vector: the request register is atomic, everything else is the owner's. */
#pragma once
#include "kernel/base/lock.h"
#include "kernel/lib/types.h"
#include "kernel/timer.h"

#define LAPIC_CPUS_MAX 32U
#define LAPIC_BASE_DEFAULT 0xFEE00000ULL
#define LAPIC_MMIO_SIZE 4096U
#define LAPIC_X2APIC_MSR_FIRST 0x800U
#define LAPIC_X2APIC_MSR_COUNT 0x100U

/* Delivery modes as encoded in the ICR, the LVTs and the IOAPIC's entries (SDM figure 11-12). */
enum apic_mode { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_RESERVED, APIC_NMI, APIC_INIT, APIC_STARTUP, APIC_EXTINT };

#define APIC_EVERYBODY (~0U)
#define APIC_EVERYBODY_8BIT 0xFFU /* the same, from an xAPIC or an I/O APIC */

/* An interrupt message on its way to one or many local APICs. */
struct apic_message {
    u8 vector;
    enum apic_mode mode;
    bool logical; /* destination is logical */
    bool level;   /* trigger mode */
    u32 destination; /* an id or a logical address; APIC_EVERYBODY whatever the mode */
};

struct vlapic;

/* The wires between the APICs of one VM and the CPUs behind them. */
struct apic_bus {
    struct vlapic *lapic[LAPIC_CPUS_MAX];
    u32 count;
    u32 lowest_next; /* where the search for the lowest-priority CPU starts; atomic */
    void *ctx;
    void (*event)(void *ctx, u32 cpu); /* an interrupt may be deliverable on cpu now: look and kick */
    void (*nmi)(void *ctx, u32 cpu);
    void (*init)(void *ctx, u32 cpu);
    void (*startup)(void *ctx, u32 cpu, u8 vector);
    void (*eoi)(void *ctx, u8 vector); /* end of a level-triggered interrupt, for the IOAPIC */
};

enum { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LAPIC_LVTS };

struct vlapic {
    struct apic_bus *bus;
    u32 index; /* of its CPU, and its APIC id */
    u64 base;  /* IA32_APIC_BASE as the guest sees it */
    u32 irr[8] ALIGNED(8); /* atomic: anybody posts */
    u32 isr[8] ALIGNED(8);
    u32 tmr[8]; /* atomic */
    u8 isr_top; /* the highest vector in service, 0 = none */
    u8 isr_count; /* vectors in service */
    u32 tpr, ldr, dfr, svr, esr, esr_pending; /* esr_pending: atomic */
    u64 icr;
    u32 lvt[LAPIC_LVTS];
    struct spinlock lock; /* protects the timer's state, which its interrupt changes: the next five */
    u32 timer_initial, timer_divide;
    u64 timer_start_ns;
    u64 deadline_ticks; /* guest TSC; 0 = disarmed */
    bool stopped;
    struct timer timer;
    u64 tsc_offset; /* guest TSC = host counter + this */
};

/* The state after power-up; index 0 is the boot processor. */
void vlapic_init(struct vlapic *lapic, struct apic_bus *bus, u32 index);
/* The state after an INIT message: as reset, but the id and IA32_APIC_BASE stay. Owner CPU. */
void vlapic_reset(struct vlapic *lapic);
/* No timer interrupt comes after this. Task context. */
void vlapic_stop(struct vlapic *lapic);

/* Registers. Owner CPU. mmio: offset in the page, any size and alignment (only aligned dwords are defined; the rest reads as
 * zero and is ignored). msr: 0, or -E_GUEST (#GP: reserved, read-only, not in x2APIC mode, reserved bits). base: IA32_APIC_BASE. */
void vlapic_mmio(struct vlapic *lapic, u32 offset, u8 size, bool write, u64 *value);
MUST_CHECK int vlapic_msr(struct vlapic *lapic, u32 msr, bool write, u64 *value);
MUST_CHECK int vlapic_write_base(struct vlapic *lapic, u64 value);
/* IA32_TSC_DEADLINE, in ticks of the guest's TSC; 0 disarms; ignored unless the timer is in deadline mode. */
u64 vlapic_read_deadline(const struct vlapic *lapic);
void vlapic_write_deadline(struct vlapic *lapic, u64 ticks);
/* CR8 is the task-priority class. */
u64 vlapic_read_cr8(const struct vlapic *lapic);
void vlapic_write_cr8(struct vlapic *lapic, u64 value);
static inline bool vlapic_mmio_enabled(const struct vlapic *lapic)
{
    return (lapic->base >> 10 & 3) == 2; /* EN without EXTD */
}

/* Is an interrupt deliverable: IRR above the processor priority? Any CPU; a hint. */
bool vlapic_pending(const struct vlapic *lapic);
/* Take the highest deliverable interrupt into service. false when there is none. Owner CPU. */
bool vlapic_acknowledge(struct vlapic *lapic, u8 *vector);
/* Would an EOI now do nothing but end the interrupt in service: edge-triggered, and no other request waits? Owner CPU. */
bool vlapic_eoi_is_silent(const struct vlapic *lapic);
void vlapic_eoi(struct vlapic *lapic);
/* Does LINT0 let the PIC's interrupts through to this CPU (ExtINT, unmasked; or the APIC is disabled)? */
bool vlapic_accepts_extint(const struct vlapic *lapic);

/* --- inside the local APIC ------------------------------------------------------------------------------------------ */
bool vlapic_post(struct vlapic *lapic, u8 vector, bool level); /* any CPU; false: refused (disabled, bad vector) */
void vlapic_timer_init(struct vlapic *lapic);
void vlapic_timer_start(struct vlapic *lapic, u32 initial);
void vlapic_timer_set_divide(struct vlapic *lapic, u32 divide);
void vlapic_timer_set_lvt(struct vlapic *lapic, u32 value);
u32 vlapic_timer_current(struct vlapic *lapic);
void vlapic_send_icr(struct vlapic *lapic);
void vlapic_error(struct vlapic *lapic, u32 bits); /* any CPU */
u32 vlapic_ppr(const struct vlapic *lapic);
static inline bool vlapic_x2apic(const struct vlapic *lapic)
{
    return (lapic->base >> 10 & 3) == 3;
}

/* Deliver a message to whom it names. except: who is left out, or NULL. Any CPU. Returns how many APICs accepted it: one
 * that is disabled, or is sent a reserved vector, does not. */
u32 apic_bus_send(struct apic_bus *bus, const struct apic_message *message, const struct vlapic *except);
