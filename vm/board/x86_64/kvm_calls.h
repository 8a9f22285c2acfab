/* KVM's hypercalls that have to do with other CPUs (Linux's Documentation/virt/kvm/x86/hypercalls.rst). */
#pragma once
#include "vm/board/x86_64/irqchip.h"

/* Serve one: the result goes into *exit. false: no such call. Owner CPU. */
bool kvm_call(struct pc_irqchip *chip, struct vcpu *v, struct vcpu_exit *exit);
