/* Hardware's help for the local APIC: V_TPR, by which the guest's CR8 needs no exit (APM Vol. 2 15.21.2 "Virtualizing the
 * TPR"). A write is intercepted only while a request waits, for a lower priority or for a window. */
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/assist.h"
#include "vcpu/x86_64/svm/internal.h"

static u32 features(void)
{
    return X86_ASSIST_CR8;
}

/* QEMU 7.2 ends itself at a write of CR8 while V_IRQ is set, too. */
void svm_cr8_settle(struct svm_vcpu *svm)
{
    struct vmcb_control *control = &svm->vmcb->control;
    u32 others = control->intercept_cr & ~(VMCB_INTERCEPT_READ(8) | VMCB_INTERCEPT_WRITE(8));
    bool exits = svm->cr8_waits || (control->int_ctl & VMCB_INT_V_IRQ) != 0;
    u32 wanted = others | (exits ? VMCB_INTERCEPT_WRITE(8) : 0);

    if (control->intercept_cr != wanted) {
        control->intercept_cr = wanted;
        svm_touch(svm, VMCB_CLEAN_I);
    }
}

static u8 get_priority(const struct vcpu *v)
{
    return (u8)FIELD_GET(VMCB_INT_V_TPR_MASK, svm_of(v)->vmcb->control.int_ctl);
}

static void set_priority(struct vcpu *v, u8 priority_class)
{
    struct svm_vcpu *svm = svm_of(v);
    struct vmcb_control *control = &svm->vmcb->control;

    if (get_priority(v) != priority_class) {
        control->int_ctl = (control->int_ctl & ~VMCB_INT_V_TPR_MASK) | FIELD_PREP(VMCB_INT_V_TPR_MASK, priority_class);
        svm_touch(svm, VMCB_CLEAN_TPR);
    }
}

static void set_threshold(struct vcpu *v, u8 priority_class)
{
    struct svm_vcpu *svm = svm_of(v);

    svm->cr8_waits = priority_class != 0;
    svm_cr8_settle(svm);
}

const struct vcpu_assist svm_assist = {
    .features = features,
    .get_priority = get_priority,
    .set_priority = set_priority,
    .set_threshold = set_threshold,
};
