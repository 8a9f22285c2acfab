/* Address-space identifiers: APM Vol. 2 15.16 "TLB Control". Each CPU hands out its own, in generations. A generation
 * begins with a full flush, so an ASID is clean when it is handed out; a vCPU whose generation is not the CPU's,
 * or which ran elsewhere since, takes a new one before it enters. */
#include "kernel/base/percpu.h"
#include "vcpu/x86_64/svm/internal.h"

void svm_asid_assign(struct svm_vcpu *svm)
{
    struct arch_percpu *cpu = &percpu()->arch;
    struct vmcb_control *control = &svm->vmcb->control;

    if (cpu->asid_next == 0 || cpu->asid_next >= svm_features.asids) {
        cpu->asid_generation++;
        cpu->asid_next = 1; /* 0 is the host's */
        control->tlb_control = VMCB_TLB_FLUSH_ALL;
    }
    control->guest_asid = cpu->asid_next++;
    svm->asid_generation = cpu->asid_generation;
    svm_touch(svm, VMCB_CLEAN_ASID);
}

void svm_asid_exhaust(struct arch_percpu *cpu)
{
    cpu->asid_generation++; /* never the 0 of a vCPU without an ASID */
    cpu->asid_next = 0;
}

void svm_tlb_flush(struct vcpu *v)
{
    struct svm_vcpu *svm = svm_of(v);

    svm_insn_forget(svm);
    if (svm_has(SVM_FEATURE_FLUSH_BY_ASID)) {
        svm->vmcb->control.tlb_control = VMCB_TLB_FLUSH_GUEST;
    } else {
        svm->asid_generation = 0; /* a fresh ASID costs less than a flush of everybody's entries */
    }
}
