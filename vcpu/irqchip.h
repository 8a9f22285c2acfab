/* A VM's interrupt chip as its vCPUs see it. Implemented by vm/dev; every op may run on any CPU. */
#pragma once
#include "kernel/lib/types.h"

struct vcpu;

struct irqchip_ops {
    /* Is an interrupt waiting for this vCPU, masked by nothing but the CPU's own interrupt flag? Cheap, lock-free
     * hint. */
    bool (*pending)(void *chip, const struct vcpu *v);
    /* Acknowledge: take the highest waiting interrupt's vector. Returns false when there is none after all. */
    bool (*acknowledge)(void *chip, struct vcpu *v, u8 *vector);
};
