/* The SVM vCPU: its VMCB, constant controls, binding to a CPU; and the backend's table. */
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/x86_64/insn.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/heap.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/svm/internal.h"

#define PAUSE_FILTER_COUNT 3000U /* PAUSEs close to each other before one exits: a lock held by somebody not running */
#define PAUSE_FILTER_THRESHOLD 128U /* cycles that part one spin loop from the next */

/* CR0 as a whole: the selective intercept saves only lazy FPU switching an exit, and QEMU's does not see bits 63:32.
 * CR3 is the guest's own with nested paging. */
#define INTERCEPT_CR                                                                                                  \
    (VMCB_INTERCEPT_READ(8) | VMCB_INTERCEPT_WRITE(0) | VMCB_INTERCEPT_WRITE(4) | VMCB_INTERCEPT_WRITE(8))

#define ALL_DEBUG_REGISTERS (~0U) /* reads, and writes in the upper half */
#define WRITES_BUT_DR6                                                                                                     \
    (VMCB_INTERCEPT_WRITE(0) | VMCB_INTERCEPT_WRITE(1) | VMCB_INTERCEPT_WRITE(2) | VMCB_INTERCEPT_WRITE(3) |                \
     VMCB_INTERCEPT_WRITE(5) | VMCB_INTERCEPT_WRITE(7)) /* DR5 can be DR7 */

/* #DB and #AC: a guest can make their delivery raise them again for ever, without an exit. #MC is the host's. */
#define EXCEPTIONS (BIT32(VECTOR_DB) | BIT32(VECTOR_AC) | BIT32(VECTOR_MC))

#define MISC1                                                                                                         \
    (VMCB_INTERCEPT_INTR | VMCB_INTERCEPT_NMI | VMCB_INTERCEPT_INIT | VMCB_INTERCEPT_RDPMC | VMCB_INTERCEPT_CPUID |   \
     VMCB_INTERCEPT_INVD | VMCB_INTERCEPT_HLT | VMCB_INTERCEPT_INVLPGA | VMCB_INTERCEPT_IOIO | VMCB_INTERCEPT_MSR |   \
     VMCB_INTERCEPT_TASK_SWITCH | VMCB_INTERCEPT_SHUTDOWN)
#define MISC2                                                                                                         \
    (VMCB_INTERCEPT_VMRUN | VMCB_INTERCEPT_VMMCALL | VMCB_INTERCEPT_VMLOAD | VMCB_INTERCEPT_VMSAVE |                  \
     VMCB_INTERCEPT_STGI | VMCB_INTERCEPT_CLGI | VMCB_INTERCEPT_SKINIT | VMCB_INTERCEPT_WBINVD |                      \
     VMCB_INTERCEPT_MONITOR | VMCB_INTERCEPT_MWAIT | VMCB_INTERCEPT_MWAIT_ARMED | VMCB_INTERCEPT_XSETBV |             \
     VMCB_INTERCEPT_RDPRU)

/* Without the filter every PAUSE would exit: better to let the guest spin. */
static void init_pause_filter(struct vmcb_control *control)
{
    if (!svm_has(SVM_FEATURE_PAUSE_FILTER)) {
        return;
    }
    control->intercept_misc1 |= VMCB_INTERCEPT_PAUSE;
    control->pause_filter_count = PAUSE_FILTER_COUNT;
    control->pause_filter_threshold = svm_has(SVM_FEATURE_PAUSE_THRESHOLD) ? PAUSE_FILTER_THRESHOLD : 0;
}

/* INT3 is #BP to a CPU, and a software interrupt to QEMU. svm_lend_debug_registers() says why the guest does not
 * write DR0 to DR3 and DR7 itself. */
static void set_debug_intercepts(const struct vcpu *v, struct vmcb_control *control)
{
    bool attached = v->arch.debug.attached;

    control->intercept_exceptions = EXCEPTIONS | (attached ? BIT32(VECTOR_BP) : 0);
    control->intercept_misc1 = (control->intercept_misc1 & ~VMCB_INTERCEPT_SWINT) | (attached ? VMCB_INTERCEPT_SWINT : 0);
    control->intercept_dr = v->arch.debug.owns ? ALL_DEBUG_REGISTERS : WRITES_BUT_DR6;
}

static void init_controls(const struct vcpu *v, struct vmcb_control *control)
{
    control->intercept_cr = INTERCEPT_CR;
    control->intercept_misc1 = MISC1;
    set_debug_intercepts(v, control);
    control->intercept_misc2 = MISC2;
    control->iopm_base_pa = svm_iopm().v;
    control->msrpm_base_pa = svm_msrpm().v;
    control->tsc_offset = v->arch.tsc_offset;
    control->int_ctl = VMCB_INT_V_INTR_MASKING | VMCB_INT_V_IGN_TPR | VMCB_INT_V_INTR_PRIO_MASK;
    control->np_enable = VMCB_NP_ENABLE;
    control->n_cr3 = v->config.stage2->root.v;
    if (!svm_features.tr_busy) { /* QEMU's LTR takes a null selector, and QEMU ends at an interrupt in ring 3 then */
        control->intercept_misc1 |= VMCB_INTERCEPT_TR_WRITE;
    }
    init_pause_filter(control);
}

static int svm_vcpu_reset(struct vcpu *v)
{
    struct svm_vcpu *svm = svm_of(v);

    *svm = (struct svm_vcpu){
        .vmcb = svm->vmcb,
        .vmcb_pa = svm->vmcb_pa,
        .cpu = CPU_MAX,
        .clean = svm_has(SVM_FEATURE_VMCB_CLEAN) ? VMCB_CLEAN_ALL : 0,
    };
    svm_insn_forget(svm);
    memset(svm->vmcb, 0, sizeof(*svm->vmcb));
    init_controls(v, &svm->vmcb->control);
    return 0;
}

static int svm_vcpu_init(struct vcpu *v)
{
    struct svm_vcpu *svm = heap_alloc(sizeof(*svm));
    hpa_t pa;

    if (svm == NULL) {
        return -E_NOMEM;
    }
    int error = frame_alloc(0, v->config.frame_owner, &pa);
    if (error != 0) {
        heap_free(svm);
        return error;
    }
    svm->vmcb = phys_ptr(pa);
    svm->vmcb_pa = pa.v;
    v->arch.hw = svm;
    return svm_vcpu_reset(v);
}

static void svm_vcpu_fini(struct vcpu *v)
{
    struct svm_vcpu *svm = svm_of(v);
    int error = frame_free(HPA(svm->vmcb_pa), 0, v->config.frame_owner);

    ASSERT(error == 0);
    heap_free(svm);
    v->arch.hw = NULL;
}

/* On a CPU where it did not run last, neither the CPU's copy of the VMCB nor TLB entries of its old ASID are up to
 * date. */
static int svm_load(struct vcpu *v)
{
    struct svm_vcpu *svm = svm_of(v);
    const struct percpu *cpu = percpu();

    if (svm->cpu != cpu->id) {
        svm->cpu = cpu->id;
        svm->host_vmcb_pa = cpu->arch.host_state_pa.v;
        svm->asid_generation = 0;
        svm->vmcb->control.clean = 0;
    }
    x86_state_load(v);
    x86_regs_changed(v, X86_G_DR); /* the CPU's are another vCPU's */
    write_cr2(v->arch.cr2); /* VMRUN loads it, but not in Bochs 2.7, where it would be the last guest's */
    return 0;
}

static void svm_unload(struct vcpu *v)
{
    (void)x86_regs(v, X86_G_ALL);
    write_dr7(DR7_FIXED); /* whoever is next writes addresses first */
    x86_state_unload(v);
}

static void svm_set_debug(struct vcpu *v)
{
    set_debug_intercepts(v, &svm_of(v)->vmcb->control);
    svm_touch(svm_of(v), VMCB_CLEAN_I);
}

static void svm_set_time_offset(struct vcpu *v, u64 offset_ticks)
{
    v->arch.tsc_offset = offset_ticks;
    svm_of(v)->vmcb->control.tsc_offset = offset_ticks;
    svm_touch(svm_of(v), VMCB_CLEAN_I);
}

static void svm_dump(struct vcpu *v)
{
    const struct vmcb_control *c = &svm_of(v)->vmcb->control;

    log_info("vmcb exit=%s exitcode=0x%lx exitinfo1=0x%lx exitinfo2=0x%lx exitintinfo=0x%lx",
             svm_exit_name(c->exitcode), c->exitcode, c->exitinfo1, c->exitinfo2, c->exitintinfo);
    log_info("vmcb eventinj=0x%lx int-ctl=0x%lx int-state=0x%lx nrip=0x%lx clean=0x%x", c->eventinj, c->int_ctl,
             c->int_state, c->nrip, c->clean);
    log_info("vmcb intercepts=0x%x,0x%x,0x%x,0x%x,0x%x asid=%u tlb=%u n-cr3=0x%lx", c->intercept_cr, c->intercept_dr,
             c->intercept_exceptions, c->intercept_misc1, c->intercept_misc2, c->guest_asid, c->tlb_control, c->n_cr3);
}

const struct vcpu_backend svm_backend = {
    .name = "svm",
    .assist = &svm_assist,
    .nested_format = &svm_nested_format,
    .probe = svm_backend_probe,
    .cpu_enable = svm_backend_enable,
    .cpu_disable = svm_backend_disable,
    .cpu_enabled = svm_backend_enabled,
    .vcpu_init = svm_vcpu_init,
    .vcpu_fini = svm_vcpu_fini,
    .vcpu_reset = svm_vcpu_reset,
    .load = svm_load,
    .unload = svm_unload,
    .run = svm_run,
    .run_traced = svm_run_traced,
    .regs_fetch = svm_regs_fetch,
    .event_inject = svm_event_inject,
    .event_window = svm_event_window,
    .tlb_flush = svm_tlb_flush,
    .set_debug = svm_set_debug,
    .set_time_offset = svm_set_time_offset,
    .dump = svm_dump,
};
