/* What every round trip does, inline: group X86_G_CORE, of which only what changed is written, and the exit reason. */
#pragma once
#include "vcpu/x86_64/vmx/internal.h"

static inline void vmx_core_flush(struct vcpu *v, struct vmx_vcpu *hw)
{
    struct vcpu_arch *arch = &v->arch;

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

static inline void vmx_core_fetch(struct vcpu *v, struct vmx_vcpu *hw)
{
    struct vcpu_arch *arch = &v->arch;

    arch->rip = vmcs_read(VMCS_GUEST_RIP);
    arch->rflags = hw->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
    arch->gpr[X86_RSP] = hw->rsp = vmcs_read(VMCS_GUEST_RSP);
    arch->blocking = hw->blocking = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
}

static inline void vmx_exit_decode(struct vcpu *v, struct vmx_vcpu *hw, u32 reason)
{
    struct x86_exit *xe = &hw->exit;
    u64 basic = FIELD_GET(EXIT_REASON_BASIC_MASK, reason);

    xe->hw_reason = reason;
    xe->qual = 0;
    xe->detail = 0;
    if (basic < VMX_REASONS && vmx_reasons[basic].facts == VMX_REASON_PLAIN) {
        xe->code = (enum x86_exit_code)vmx_reasons[basic].code;
        xe->insn_len = (u8)vmcs_read(VMCS_EXIT_INSN_LENGTH);
    } else {
        vmx_exit_details(v, basic);
    }
}
