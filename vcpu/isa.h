/* What the ISA's part of vcpu/ supplies to the neutral core (vcpu.c). */
#pragma once
#include "vcpu/vcpu.h"

/* Allocate what the shared ISA code keeps per vCPU (the FPU area). Any CPU: 0 or -E_NOMEM, nothing kept on failure. */
MUST_CHECK int isa_vcpu_init(struct vcpu *v);
void isa_vcpu_fini(struct vcpu *v);
/* Registers and pending events at the architectural reset. Not loaded anywhere; any CPU. */
void isa_vcpu_reset(struct vcpu *v);
/* Would a halted vCPU go on: an interrupt that its flag lets in, or an NMI? The interrupt chip is asked. Owner, or
 * unbound. */
bool isa_vcpu_event_waits(struct vcpu *v);
