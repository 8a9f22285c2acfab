/* Hardware's help for the local APIC, which a backend may offer beside its table (struct vcpu_backend.assist): the CPU keeps
 * registers, ends interrupts and delivers them without an exit (SDM Vol. 3 chapter 30 "APIC Virtualization and Virtual
 * Interrupts"). The interrupt chip owns the state, a page of registers in the architecture's layout, and drives this table
 * from irqchip_ops.sync. */
#pragma once
#include "kernel/lib/types.h"

struct vcpu;

#define X86_APIC_PAGE_GPA 0xFEE00000ULL /* the only guest-physical address at which the registers are helped */

/* How the guest reaches the registers now. */
enum x86_help {
    X86_HELP_NONE, /* no chip has asked for help: the state after reset */
    X86_HELP_TRAP, /* every access exits, and the priority register does */
    X86_HELP_PAGE, /* through memory */
    X86_HELP_MSRS, /* through MSRs */
};

#define X86_ASSIST_PRIORITY BIT32(0) /* the task priority, as CR8 and as register: no exit but when it falls below a threshold */
#define X86_ASSIST_DELIVERY BIT32(1) /* all of it: reads and ends of interrupt do not exit, requests are delivered */
#define X86_ASSIST_CR8 BIT32(2) /* CR8 alone, kept beside the registers: nothing but what this says is there */

struct vcpu_assist {
    /* X86_ASSIST_*, of this CPU; 0: none. After probe(). */
    u32 (*features)(void);
    /* A frame of all ones, for all VMs: to be mapped at X86_APIC_PAGE_GPA, writable only while every CPU of the VM has TRAP or
     * PAGE. 0: nothing has to be mapped. */
    hpa_t (*access_page)(void);
    /* The rest: owner CPU, before an entry; nothing is written that stays the same. page: the registers' frame. */
    void (*configure)(struct vcpu *v, enum x86_help help, hpa_t page);
    /* With DELIVERY, PAGE or MSRS: the highest request and, times 256, the highest vector in service, 0 = none; whose ends
     * exit. */
    u32 (*get_status)(const struct vcpu *v);
    void (*set_status)(struct vcpu *v, u32 status);
    void (*set_eoi_exits)(struct vcpu *v, const u64 exits[4]);
    /* With CR8: its value, which is the class of the task priority. From the first set_threshold() after a reset on it is the
     * guest's. Owner CPU, loaded or not. */
    u8 (*get_priority)(const struct vcpu *v);
    void (*set_priority)(struct vcpu *v, u8 priority_class);
    /* With PRIORITY alone, or CR8: exit when the class of the task priority falls below, or as soon as it is written; 0 =
     * never. Not above the class it has. */
    void (*set_threshold)(struct vcpu *v, u8 priority_class);
};
