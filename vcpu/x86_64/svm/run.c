/* One entry into the guest and one exit: APM Vol. 2 15.5 "VMRUN Instruction", 15.6 "#VMEXIT". */
#include "kernel/base/percpu.h"
#include "kernel/x86_64/insn.h"
#include "vcpu/x86_64/svm/internal.h"

/* entry.asm: guest registers from gpr[], VMRUN, guest registers into gpr[] (RAX and RSP are the VMCB's). */
void svm_enter(u64 *gpr, u64 vmcb_pa, u64 host_vmcb_pa);

/* Exits that are frequent and whose instruction is over once they are handled. The rest is decoded anyway, or rare. */
#define WANT_LENGTH                                                                                                   \
    (BIT(X86_EXIT_CPUID) | BIT(X86_EXIT_HLT) | BIT(X86_EXIT_MSR_READ) | BIT(X86_EXIT_MSR_WRITE) |                     \
     BIT(X86_EXIT_HYPERCALL))
_Static_assert(X86_EXIT_CODES <= 64, "a mask of exit codes");

static void before_entry(struct vcpu *v, struct svm_vcpu *svm)
{
    struct vcpu_arch *arch = &v->arch;
    struct vmcb_save *save = &svm->vmcb->save;

    if (svm->asid_generation != percpu()->arch.asid_generation) {
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
    if (save->cr2 != arch->cr2) {
        save->cr2 = arch->cr2;
        write_cr2(arch->cr2);
    }
    svm->vmcb->control.int_state =
        (arch->blocking & (X86_BLOCK_STI | X86_BLOCK_MOVSS)) != 0 ? VMCB_INT_STATE_SHADOW : 0;
}

static void after_exit(struct vcpu *v, struct svm_vcpu *svm)
{
    struct vcpu_arch *arch = &v->arch;
    const struct vmcb_save *save = &svm->vmcb->save;
    struct vmcb_control *control = &svm->vmcb->control;

    arch->valid = X86_G_CORE;
    arch->rip = save->rip;
    arch->rflags = save->rflags;
    arch->gpr[X86_RSP] = save->rsp;
    arch->gpr[X86_RAX] = save->rax;
    arch->cr2 = save->cr2;
    arch->blocking =
        (arch->blocking & X86_BLOCK_NMI) | ((control->int_state & VMCB_INT_STATE_SHADOW) != 0 ? X86_BLOCK_STI : 0);
    control->tlb_control = VMCB_TLB_NOTHING;
    control->clean = svm->clean;
}

/* The save area is garbage after a refused entry, so v->arch stays as it was put in; what was not in it is lost with
 * the vCPU, which is Invalid now. A flush may or may not have been done. */
static void after_refusal(struct vcpu *v, struct svm_vcpu *svm)
{
    v->arch.valid = X86_G_ALL;
    svm->vmcb->control.clean = 0;
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

static void note_events(struct vcpu *v, const struct svm_vcpu *svm, struct x86_exit *xe)
{
    u64 info = svm->vmcb->control.exitintinfo;

    if ((info & VMCB_EVENT_V) != 0) {
        note_interrupted(v, info, xe->code == X86_EXIT_TASK_SWITCH);
    }
    if ((v->arch.blocking & X86_BLOCK_NMI) != 0 && svm_nmi_after_exit(v, xe)) {
        xe->code = X86_EXIT_NOTHING;
    }
}

void svm_run(struct vcpu *v, struct vcpu_exit *exit)
{
    struct svm_vcpu *svm = svm_of(v);
    struct x86_exit *xe = &svm->exit;

    if (!x86_before_entry(v, exit)) {
        return;
    }
    before_entry(v, svm);
    svm_enter(v->arch.gpr, svm->vmcb_pa, svm->host_vmcb_pa);
    svm_exit_decode(svm->vmcb, xe);
    if (xe->code == X86_EXIT_ENTRY_FAILED) {
        after_refusal(v, svm);
    } else {
        after_exit(v, svm);
        note_events(v, svm, xe);
        if (xe->insn_len == 0 && (BIT(xe->code) & WANT_LENGTH) != 0) {
            xe->insn_len = svm_insn_len(v);
        }
    }
    x86_exit_handle(v, xe, exit);
}
