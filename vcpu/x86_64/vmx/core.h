/* Group X86_G_CORE, which every round trip moves: inline, and what did not change is not written. */
#pragma once
#include "vcpu/x86_64/vmx/internal.h"

static inline void vmx_core_flush(struct vcpu *v)
{
    struct vcpu_arch *arch = &v->arch;
    struct vmx_vcpu *hw = vmx_of(v);

    vmcs_write(VMCS_GUEST_RIP, arch->rip);
    if (arch->rflags != hw->rflags) {
        hw->rflags = arch->rflags;
        vmcs_write(VMCS_GUEST_RFLAGS, arch->rflags);
    }
    if (arch->gpr[X86_RSP] != hw->rsp) {
        hw->rsp = arch->gpr[X86_RSP];
        vmcs_write(VMCS_GUEST_RSP, hw->rsp);
    }
    if (arch->blocking != hw->blocking) {
        hw->blocking = arch->blocking;
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, arch->blocking);
    }
}

static inline void vmx_core_fetch(struct vcpu *v)
{
    struct vcpu_arch *arch = &v->arch;
    struct vmx_vcpu *hw = vmx_of(v);

    arch->rip = vmcs_read(VMCS_GUEST_RIP);
    arch->rflags = hw->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
    arch->gpr[X86_RSP] = hw->rsp = vmcs_read(VMCS_GUEST_RSP);
    arch->blocking = hw->blocking = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
}
