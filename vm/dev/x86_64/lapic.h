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
    u32 *page; /* the registers, as its CPU may read them with hardware's help: lapic_bits.h. TMR is atomic */
    u32 irr[8] ALIGNED(8); /* requests, atomic: anybody posts. With help, those that the hardware does not have yet */
    u8 isr_top; /* the highest vector in service, 0 = none */
    u8 isr_count; /* vectors in service */
    bool assisted; /* the hardware delivers and ends interrupts: the request and service registers of the page are its */
    bool status_stale; /* software changed them since the hardware was told; the owner's */
    bool all_ends;     /* the host wants to see every end of interrupt; the owner's */
    bool levels_changed; /* some vector's trigger mode did; atomic */
    u32 esr_pending; /* atomic */
    struct spinlock lock; /* protects the timer's state, which its interrupt changes: the next six */
    u32 timer_lvt, timer_initial, timer_divide; /* what it goes by */
    u64 timer_start_ns;
    u64 deadline_ticks; /* guest TSC; 0 = disarmed */
    bool stopped;
    struct timer timer;
    u64 tsc_offset; /* guest TSC = host counter + this */
};

/* The state after power-up; index 0 is the boot processor. page: LAPIC_MMIO_SIZE bytes of its own. */
void vlapic_init(struct vlapic *lapic, struct apic_bus *bus, u32 index, u32 *page);
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

/* Is an interrupt deliverable: IRR above the processor priority? Any CPU; a hint. Not assisted. */
bool vlapic_pending(const struct vlapic *lapic);
/* Take the highest deliverable interrupt into service. false when there is none. Owner CPU, not assisted. */
bool vlapic_acknowledge(struct vlapic *lapic, u8 *vector);
/* Would an EOI now do nothing but end the interrupt in service: edge-triggered, and no other request waits? Owner CPU. */
bool vlapic_eoi_is_silent(const struct vlapic *lapic);
void vlapic_eoi(struct vlapic *lapic);
/* Does LINT0 let the PIC's interrupts through to this CPU (ExtINT, unmasked; or the APIC is disabled)? */
bool vlapic_accepts_extint(const struct vlapic *lapic);

/* --- hardware's help (lapic_assist.c) ----------------------------------------------------------------------------------- */

/* Is it on, by IA32_APIC_BASE and by software? Only such an APIC is helped. */
bool vlapic_enabled(const struct vlapic *lapic);
/* The highest request in the page and the highest vector in service; 0 = none. The hardware keeps both, too. */
struct vlapic_status {
    u8 requested, in_service;
};
struct vlapic_status vlapic_status(const struct vlapic *lapic);
/* As vlapic_pending(), of an assisted APIC with this status. */
bool vlapic_pending_beyond(const struct vlapic *lapic, struct vlapic_status status);
/* From now on the hardware delivers what stands in the page's request register, and ends it: requests move there. Or again:
 * hand over what came in meanwhile. *status: what it was, and becomes. Returns whether the ends of interrupt that the host
 * has to see may be others now. Owner CPU, before an entry. */
MUST_CHECK bool vlapic_hand_over(struct vlapic *lapic, struct vlapic_status *status);
/* No longer: requests come back. Owner CPU. */
void vlapic_take_back(struct vlapic *lapic);
/* The registers are about to be written by software: see what the hardware did to the page. Owner CPU. */
void vlapic_adopt(struct vlapic *lapic);
/* Which ends of interrupt the host has to see: of level-triggered ones, and all while more than one request waits, or one
 * that has to wait for the end of another. One bit per vector. */
void vlapic_eoi_exits(const struct vlapic *lapic, u64 exits[4]);
/* The task priority that a request waits for, as CR8: hardware that only keeps this register has to tell when it falls
 * below. 0 = none. */
u8 vlapic_threshold(const struct vlapic *lapic);
/* Does the task priority have more than a class? */
bool vlapic_has_subclass(const struct vlapic *lapic);
/* The guest has written the register at this offset of the page, with no other effect yet. Owner CPU. */
void vlapic_written(struct vlapic *lapic, u32 offset);
/* The hardware ended an interrupt of which the host has to know. Owner CPU. */
void vlapic_eoi_done(struct vlapic *lapic, u8 vector);

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
