/* Events into the guest (SDM Vol. 3 25.8.3, 27.6) and back when an exit interrupted their delivery (25.9.3, 28.2.4). */
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/vmx/internal.h"

static const u8 hardware_type[] = {
    [VCPU_EVENT_IRQ] = INTERRUPTION_EXTERNAL,
    [VCPU_EVENT_NMI] = INTERRUPTION_NMI,
    [VCPU_EVENT_EXCEPTION] = INTERRUPTION_EXCEPTION,
    [VCPU_EVENT_SOFT_IRQ] = INTERRUPTION_SOFT_IRQ,
    [VCPU_EVENT_SOFT_EXCEPTION] = INTERRUPTION_SOFT_EXCEPTION,
    [VCPU_EVENT_PRIV_SOFT_EXCEPTION] = INTERRUPTION_PRIV_SOFT,
};

static enum vcpu_event_type event_type(u32 info)
{
    u64 type = FIELD_GET(INTERRUPTION_TYPE_MASK, info);

    for (unsigned i = 0; i < ARRAY_SIZE(hardware_type); i++) {
        if (hardware_type[i] == type) {
            return (enum vcpu_event_type)i;
        }
    }
    return VCPU_EVENT_EXCEPTION;
}

static bool is_soft(enum vcpu_event_type type)
{
    return type >= VCPU_EVENT_SOFT_IRQ;
}

void vmx_event_inject(struct vcpu *v, const struct vcpu_event *event)
{
    struct vmx_vcpu *hw = vmx_of(v);
    u32 info = event->vector | (u32)FIELD_PREP(INTERRUPTION_TYPE_MASK, hardware_type[event->type]) | INTERRUPTION_VALID;

    /* Real mode pushes no error code, and the entry check insists on it: SDM 27.2.1.3. */
    if (event->has_error && (v->arch.cr0 & CR0_PE) != 0) {
        info |= INTERRUPTION_ERROR;
        vmcs_write(VMCS_ENTRY_EXCEPTION_ERROR, event->error);
    }
    if (is_soft(event->type)) {
        vmcs_write(VMCS_ENTRY_INSN_LENGTH, event->insn_len);
    }
    vmcs_write(VMCS_ENTRY_INTERRUPTION_INFO, info);
    hw->nmi_injected = event->type == VCPU_EVENT_NMI;
}

void vmx_event_window(struct vcpu *v, u32 windows)
{
    struct vmx_vcpu *hw = vmx_of(v);
    u32 proc = hw->proc & ~(VMX_CTL(PROC, INTERRUPT_WINDOW_EXITING) | VMX_CTL(PROC, NMI_WINDOW_EXITING));

    proc |= (windows & VCPU_WINDOW_IRQ) != 0 ? VMX_CTL(PROC, INTERRUPT_WINDOW_EXITING) : 0;
    proc |= (windows & VCPU_WINDOW_NMI) != 0 ? VMX_CTL(PROC, NMI_WINDOW_EXITING) : 0;
    if (proc != hw->proc) {
        hw->proc = proc;
        vmcs_write(VMCS_PROC_CONTROLS, proc);
    }
}

void vmx_event_vectoring(struct vcpu *v)
{
    u32 info = vmcs_read32(VMCS_IDT_VECTORING_INFO);

    if ((info & INTERRUPTION_VALID) == 0) {
        return;
    }
    struct vcpu_event event = {
        .type = event_type(info),
        .vector = (u8)FIELD_GET(INTERRUPTION_VECTOR_MASK, info),
        .has_error = (info & INTERRUPTION_ERROR) != 0,
    };
    if (event.has_error) {
        event.error = vmcs_read32(VMCS_IDT_VECTORING_ERROR);
    }
    if (is_soft(event.type)) {
        event.insn_len = (u8)vmcs_read(VMCS_EXIT_INSN_LENGTH);
    }
    x86_event_interrupted(v, &event);
}
