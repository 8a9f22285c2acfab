/* A VM's interrupt chip as its vCPUs see it. Implemented by vm/dev; every op may run on any CPU. */
#pragma once
#include "kernel/lib/types.h"

struct vcpu;

#define IRQCHIP_PRIORITY (~0U) /* pseudo register number: the CPU's own priority register */

struct irqchip_access {
    gpa_t gpa;
    u8 size; /* 1, 2, 4, 8 */
    bool write;
    u64 value;
};

/* What the hardware did on the chip's behalf, of which the chip has to know. */
enum irqchip_notice {
    IRQCHIP_ENDED,   /* the interrupt of this vector */
    IRQCHIP_WRITTEN, /* the register at this offset holds what the guest wrote */
};

struct irqchip_ops {
    /* Is an interrupt waiting for this vCPU, masked by nothing but the CPU's own interrupt flag? Cheap, lock-free
     * hint. */
    bool (*pending)(void *chip, const struct vcpu *v);
    /* A system register of the chip's (on x86: the APIC's MSRs, IA32_APIC_BASE, IA32_TSC_DEADLINE, and CR8 as
     * IRQCHIP_PRIORITY). 0; -E_GUEST: the guest gets #GP; -E_NOENT: not the chip's. Owner CPU, IRQs off; NULL: none. */
    int (*sysreg)(void *chip, struct vcpu *v, u32 reg, bool write, u64 *value);

    /* A data access to the chip's own page of this vCPU. false: not the chip's. Owner CPU; NULL: none. */
    bool (*mmio)(void *chip, struct vcpu *v, struct irqchip_access *access);

    /* Acknowledge: take the highest waiting interrupt's vector. Returns false when there is none after all. */
    bool (*acknowledge)(void *chip, struct vcpu *v, u8 *vector);

    /* Where the hardware helps (struct vcpu_backend.assist), else NULL. Owner CPU, IRQs off.
     * sync: what goes in with the next entry is decided; tell the hardware what else there is. acknowledge() leaves to it what
     * it delivers. Returns whether something must not go in before what was acknowledged did: it wants a window. hold: the
     * hardware must deliver nothing until the next call. */
    bool (*sync)(void *chip, struct vcpu *v, bool hold);
    void (*notice)(void *chip, struct vcpu *v, enum irqchip_notice what, u32 value);
};
