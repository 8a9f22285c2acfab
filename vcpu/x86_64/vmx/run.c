/* One entry, one exit. */
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/vmx/core.h"

static void entry_failed(struct vcpu *v, struct vcpu_exit *exit, u64 reason, u64 qual, u64 detail)
{
    struct x86_exit *xe = &vmx_of(v)->exit;

    vmcs_write(VMCS_ENTRY_INTERRUPTION_INFO, 0);
    xe->code = X86_EXIT_ENTRY_FAILED;
    xe->hw_reason = reason;
    xe->qual = qual;
    xe->detail = detail;
    xe->insn_len = 0;
    exit->reason = X86_EXIT_ENTRY_FAILED;
    x86_exit_handle(v, xe, exit);
}

/* The guest did not run: v->arch is what it was, so no group loses its validity. */
static void entry_refused(struct vcpu *v, struct vcpu_exit *exit, u32 reason)
{
    if (FIELD_GET(EXIT_REASON_BASIC_MASK, reason) == EXIT_REASON_ENTRY_MACHINE_CHECK) {
        __asm__ volatile("int %0" ::"i"(VECTOR_MC) : "memory");
    }
    entry_failed(v, exit, reason, vmcs_read(VMCS_EXIT_QUALIFICATION), 0);
}

static inline void before_entry(struct vcpu *v, struct vmx_vcpu *hw)
{
    if (v->arch.dirty == X86_G_CORE) { /* all that most exits leave */
        v->arch.dirty = 0;
        vmx_core_flush(v, hw);
    } else if (v->arch.dirty != 0) {
        vmx_regs_flush(v);
    }
    hw->entry_blocking = v->arch.blocking;
}

static inline __attribute__((always_inline)) void run(struct vcpu *v, struct vcpu_exit *exit, bool traced)
{
    struct vmx_vcpu *hw = vmx_of(v);
    bool goes_on;

    hw->nmi_injected = false;
    if (!x86_before_entry(v, exit)) {
        return;
    }
    do {
        before_entry(v, hw);
        if (traced) {
            vcpu_trace_enters(v);
        }
        if (vmx_enter(v->arch.gpr, &hw->frame)) {
            entry_failed(v, exit, 0, 0, vmcs_read(VMCS_INSN_ERROR));
            return;
        }
        u32 reason = vmcs_read32(VMCS_EXIT_REASON);
        if ((reason & EXIT_REASON_ENTRY_FAILURE) != 0) {
            entry_refused(v, exit, reason);
            return;
        }
        hw->frame.launched = 1;
        v->arch.valid = X86_G_CORE;
        vmx_core_fetch(v, hw);
        vmx_exit_decode(v, hw, reason);
        hw->nmi_injected = false;
        if (traced) {
            x86_trace_left(v, hw->exit.code);
        }
        x86_exit_handle(v, &hw->exit, exit);
        goes_on = x86_goes_on(v, hw->exit.code, exit);
        if (traced) {
            vcpu_trace_done(v, exit);
        }
    } while (goes_on);
}

void vmx_run(struct vcpu *v, struct vcpu_exit *exit)
{
    run(v, exit, false);
}

void vmx_run_traced(struct vcpu *v, struct vcpu_exit *exit)
{
    run(v, exit, true);
}
