/* Events into the guest: EVENTINJ, the interrupt window, NMI blocking. APM Vol. 2 15.20 "Event Injection", 15.21
 * "Interrupt and Local APIC Support", 15.7.2 "Intercepts During IDT Interrupt Delivery". */
#include "kernel/time.h"
#include "kernel/timer.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/svm/internal.h"

static const u8 inject_type[] = {
    [VCPU_EVENT_IRQ] = VMCB_EVENT_TYPE_INTR,
    [VCPU_EVENT_NMI] = VMCB_EVENT_TYPE_NMI,
    [VCPU_EVENT_EXCEPTION] = VMCB_EVENT_TYPE_EXCEPTION,
    [VCPU_EVENT_SOFT_IRQ] = VMCB_EVENT_TYPE_SOFT_INTR,
    [VCPU_EVENT_SOFT_EXCEPTION] = VMCB_EVENT_TYPE_EXCEPTION,
    [VCPU_EVENT_PRIV_SOFT_EXCEPTION] = VMCB_EVENT_TYPE_EXCEPTION,
};

/* No flag of the VMCB blocks NMIs: from an injected one until its handler's IRET, v->arch.blocking does. */
static void nmi_begins(struct vcpu *v)
{
    struct svm_vcpu *svm = svm_of(v);

    v->arch.blocking |= X86_BLOCK_NMI;
    svm->vmcb->control.intercept_misc1 |= VMCB_INTERCEPT_IRET;
    svm_touch(svm, VMCB_CLEAN_I);
}

void svm_event_inject(struct vcpu *v, const struct vcpu_event *event)
{
    struct vmcb_control *control = &svm_of(v)->vmcb->control;
    u64 inject = VMCB_EVENT_V | FIELD_PREP(VMCB_EVENT_VECTOR_MASK, event->vector) |
                 FIELD_PREP(VMCB_EVENT_TYPE_MASK, inject_type[event->type]);

    if (event->has_error) {
        inject |= VMCB_EVENT_EV | FIELD_PREP(VMCB_EVENT_ERRORCODE_MASK, event->error);
    }
    control->eventinj = inject;
    if (event->type == VCPU_EVENT_NMI) {
        nmi_begins(v);
    } else if (event->insn_len != 0) {
        v->arch.rip += event->insn_len; /* a soft event returns behind its instruction; with NRIPS by the other field */
        control->nrip = v->arch.rip;
    }
}

/* The interrupt window is a virtual interrupt that nothing but IF and the shadow hold back, and whose VINTR intercept
 * comes before its delivery; no virtual interrupt is ever delivered. */
void svm_event_window(struct vcpu *v, u32 windows)
{
    struct svm_vcpu *svm = svm_of(v);
    struct vmcb_control *control = &svm->vmcb->control;

    if ((windows & VCPU_WINDOW_IRQ) != 0) {
        control->int_ctl |= VMCB_INT_V_IRQ;
        control->intercept_misc1 |= VMCB_INTERCEPT_VINTR;
    } else {
        control->int_ctl &= ~VMCB_INT_V_IRQ;
        control->intercept_misc1 &= ~VMCB_INTERCEPT_VINTR;
        timer_recover(time_now_ns()); /* QEMU may have lost an interrupt of the host's while V_IRQ was set */
    }
    svm->windows = windows;
    v->arch.windows = windows;
    svm_touch(svm, VMCB_CLEAN_I | VMCB_CLEAN_TPR);
    if (svm_cr8_is_free(svm)) {
        svm_cr8_settle(svm);
    }
}

/* QEMU gives an interrupt's vector the type of an exception; no exception has such a vector. */
static unsigned true_type(u64 info)
{
    unsigned type = (unsigned)FIELD_GET(VMCB_EVENT_TYPE_MASK, info);
    bool external = FIELD_GET(VMCB_EVENT_VECTOR_MASK, info) >= VECTOR_EXTERNAL_FIRST;

    return type == VMCB_EVENT_TYPE_EXCEPTION && external ? VMCB_EVENT_TYPE_INTR : type;
}

/* INTn, INT3, INTO: RIP still points at the instruction, which raises the event again when it is executed again. Only a
 * task switch, which never comes back to it, has to know. */
static bool is_soft(unsigned type, u8 vector)
{
    return type == VMCB_EVENT_TYPE_SOFT_INTR ||
           (type == VMCB_EVENT_TYPE_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF));
}

bool svm_event_interrupted(u64 exitintinfo, bool task, struct vcpu_event *event)
{
    unsigned type = true_type(exitintinfo);
    u8 vector = (u8)FIELD_GET(VMCB_EVENT_VECTOR_MASK, exitintinfo);

    if (is_soft(type, vector) && !task) {
        return false;
    }
    *event = (struct vcpu_event){.vector = vector};
    switch (type) {
    case VMCB_EVENT_TYPE_INTR: event->type = VCPU_EVENT_IRQ; break;
    case VMCB_EVENT_TYPE_NMI: event->type = VCPU_EVENT_NMI; break;
    case VMCB_EVENT_TYPE_SOFT_INTR: event->type = VCPU_EVENT_SOFT_IRQ; break;
    case VMCB_EVENT_TYPE_EXCEPTION:
        event->type = is_soft(type, vector) ? VCPU_EVENT_SOFT_EXCEPTION : VCPU_EVENT_EXCEPTION;
        event->has_error = (exitintinfo & VMCB_EVENT_EV) != 0;
        event->error = (u32)FIELD_GET(VMCB_EVENT_ERRORCODE_MASK, exitintinfo);
        break;
    default: return false;
    }
    return true;
}

/* An NMI that waits for the IRET in progress: step over it. */
void svm_nmi_before_entry(struct vcpu *v)
{
    struct svm_vcpu *svm = svm_of(v);

    if (svm->iret_running && (svm->windows & VCPU_WINDOW_NMI) != 0 && (v->arch.rflags & RFLAGS_TF) == 0) {
        v->arch.rflags |= RFLAGS_TF;
        svm->stepping = true;
    }
}

/* Undo the stepping: IRET loaded RFLAGS, or has not been executed; the trap's trace in DR6 goes. */
static bool step_ends(struct vcpu *v, const struct x86_exit *xe)
{
    struct vcpu_arch *arch = x86_regs(v, X86_G_DR);
    /* Bochs intercepts before it sets DR6: a #DB that nothing in DR6 explains is the step's, too. */
    bool explained = (arch->dr6 & (DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3 | DR6_BD | DR6_BT)) != 0;
    bool trap = xe->code == X86_EXIT_EXCEPTION && xe->exception.vector == VECTOR_DB &&
                ((arch->dr6 & DR6_BS) != 0 || !explained);

    svm_of(v)->stepping = false;
    if (arch->rip == svm_of(v)->iret_rip) {
        arch->rflags &= ~RFLAGS_TF;
    }
    if (trap) {
        arch->dr6 &= ~DR6_BS;
        x86_regs_changed(v, X86_G_DR);
    }
    return trap;
}

bool svm_nmi_after_exit(struct vcpu *v, const struct x86_exit *xe)
{
    struct svm_vcpu *svm = svm_of(v);
    bool ours = false;

    if (svm->stepping) {
        ours = step_ends(v, xe);
    }
    if (svm->iret_running && v->arch.rip != svm->iret_rip) {
        svm->iret_running = false;
        v->arch.blocking &= ~X86_BLOCK_NMI;
    }
    if (xe->code == X86_EXIT_IRET) {
        svm->iret_running = true;
        svm->iret_rip = v->arch.rip;
        svm->vmcb->control.intercept_misc1 &= ~VMCB_INTERCEPT_IRET;
        svm_touch(svm, VMCB_CLEAN_I);
        ours = true;
    }
    return ours;
}
