/* One entry into the guest and one exit: APM Vol. 2 15.5 "VMRUN Instruction", 15.6 "#VMEXIT". */
#include "kernel/base/percpu.h"
#include "vcpu/x86_64/svm/core.h"

/* entry.asm: guest registers from gpr[], VMRUN, guest registers into gpr[] (RAX and RSP are the VMCB's). */
void svm_enter(u64 *gpr, u64 vmcb_pa, u64 host_vmcb_pa);

/* A shadow is rare, and the field keeps its zero. */
static __attribute__((noinline)) void enter_shadowed(struct vmcb *vmcb)
{
    vmcb->control.int_state = VMCB_INT_STATE_SHADOW;
}

static inline void before_entry(struct vcpu *v, struct svm_vcpu *svm, struct vmcb *vmcb)
{
    struct vcpu_arch *arch = &v->arch;
    struct vmcb_save *save = &vmcb->save;

    if (svm->asid_generation == 0) {
        svm_asid_assign(svm);
    }
    if (svm->iret_running) {
        svm_nmi_before_entry(v);
    }
    if ((arch->dirty & ~X86_G_CORE) != 0) {
        svm_regs_flush(v, arch->dirty);
    }
    arch->dirty = 0;
    save->rip = arch->rip;
    save->rflags = arch->rflags;
    save->rsp = arch->gpr[X86_RSP];
    save->rax = arch->gpr[X86_RAX];
    if ((arch->blocking & (X86_BLOCK_STI | X86_BLOCK_MOVSS)) != 0) {
        enter_shadowed(vmcb);
    }
}

static __attribute__((noinline)) void left_shadowed(struct vcpu *v, struct vmcb *vmcb)
{
    vmcb->control.int_state = 0;
    v->arch.blocking |= X86_BLOCK_STI;
    v->arch.shadow_rip = v->arch.rip;
}

static inline void after_exit(struct vcpu *v, const struct svm_vcpu *svm, struct vmcb *vmcb)
{
    struct vcpu_arch *arch = &v->arch;
    const struct vmcb_save *save = &vmcb->save;

    arch->valid = X86_G_CORE;
    arch->rip = save->rip;
    arch->rflags = save->rflags;
    arch->gpr[X86_RSP] = save->rsp;
    arch->gpr[X86_RAX] = save->rax;
    arch->blocking &= X86_BLOCK_NMI;
    if ((vmcb->control.int_state & VMCB_INT_STATE_SHADOW) != 0) {
        left_shadowed(v, vmcb);
    }
    vmcb->control.tlb_control = VMCB_TLB_NOTHING;
    vmcb->control.clean = svm->clean;
}

/* The save area is garbage after a refused entry, so v->arch stays as it was put in; what was not in it is lost with
 * the vCPU, which is Invalid now. A flush may or may not have been done. */
static __attribute__((noinline)) void after_refusal(struct vcpu *v, struct svm_vcpu *svm)
{
    v->arch.valid = X86_G_ALL;
    svm->vmcb->control.clean = 0;
    svm->vmcb->control.int_state = 0;
    svm->asid_generation = 0;
    svm_asid_exhaust(&percpu()->arch);
}

/* Out of line: rare, and its frame would be svm_run()'s. */
static __attribute__((noinline)) void note_interrupted(struct vcpu *v, u64 exitintinfo, bool task)
{
    struct vcpu_event event;

    if (svm_event_interrupted(exitintinfo, task, &event)) {
        x86_event_interrupted(v, &event);
    }
}

static inline void note_events(struct vcpu *v, const struct vmcb *vmcb, struct x86_exit *xe)
{
    u64 info = vmcb->control.exitintinfo;

    if ((info & VMCB_EVENT_V) != 0) {
        note_interrupted(v, info, xe->code == X86_EXIT_TASK_SWITCH);
    }
    if ((v->arch.blocking & X86_BLOCK_NMI) != 0 && svm_nmi_after_exit(v, xe)) {
        xe->code = X86_EXIT_NOTHING;
    }
}

static inline __attribute__((always_inline)) void run(struct vcpu *v, struct vcpu_exit *exit, bool traced)
{
    struct svm_vcpu *svm = svm_of(v);
    struct vmcb *vmcb = svm->vmcb;
    bool goes_on;

    if (!x86_before_entry(v, exit)) {
        return;
    }
    if (svm->asid_generation != percpu()->arch.asid_generation) {
        svm->asid_generation = 0;
    }
    do {
        before_entry(v, svm, vmcb);
        if (traced) {
            vcpu_trace_enters(v);
        }
        svm_enter(v->arch.gpr, svm->vmcb_pa, svm->host_vmcb_pa);
        const struct svm_exit_row *row = svm_exit_row(vmcb->control.exitcode);
        if (row->code == X86_EXIT_ENTRY_FAILED) {
            after_refusal(v, svm);
        } else {
            after_exit(v, svm, vmcb);
        }
        svm_exit_decode(v, row, vmcb, &svm->exit);
        note_events(v, vmcb, &svm->exit);
        if (traced) {
            x86_trace_left(v, svm->exit.code);
        }
        x86_exit_handle(v, &svm->exit, exit);
        goes_on = x86_goes_on(v, svm->exit.code, exit);
        if (traced) {
            vcpu_trace_done(v, exit);
        }
    } while (goes_on);
}

void svm_run(struct vcpu *v, struct vcpu_exit *exit)
{
    run(v, exit, false);
}

void svm_run_traced(struct vcpu *v, struct vcpu_exit *exit)
{
    run(v, exit, true);
}
