/* Events: which exception, NMI or interrupt the next entry delivers, and what happens when an exit cut a delivery
 * short.
 * SDM 6.9 "Priority", 6.15 "Double Fault Exception", 26.3 and 27.6 (event injection), 28.2.4 (IDT-vectoring);
 * APM 8.2.9, 15.20. Everything is delivered by injection; windows only make the CPU come back in time. */
#include "kernel/x86_64/regs.h"
#include "vcpu/isa.h"
#include "vcpu/x86_64/decode.h"
#include "vcpu/x86_64/x86.h"

#define OPCODE_HLT 0xF4U
#define BLOCKS_IRQ (X86_BLOCK_STI | X86_BLOCK_MOVSS)
#define BLOCKS_NMI (X86_BLOCK_STI | X86_BLOCK_MOVSS | X86_BLOCK_NMI)

enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

/* SDM table 6-4 "Interrupt and Exception Classes". */
static enum exception_class class_of(u8 vector)
{
    const u32 contributory = BIT32(VECTOR_DE) | BIT32(VECTOR_TS) | BIT32(VECTOR_NP) | BIT32(VECTOR_SS) |
                             BIT32(VECTOR_GP) | BIT32(VECTOR_CP);

    if (vector == VECTOR_DF) {
        return DOUBLE_FAULT;
    }
    if (vector == VECTOR_PF || vector == VECTOR_VE) {
        return PAGE_FAULT;
    }
    return vector < VECTOR_EXTERNAL_FIRST && (contributory & BIT32(vector)) != 0 ? CONTRIBUTORY : BENIGN;
}

enum merge { SECOND_ALONE, BECOMES_DF, BECOMES_TRIPLE };

/* SDM table 6-5 "Conditions for Generating a Double Fault": row = first, column = second. */
static const u8 merge_table[4][4] = {
    [BENIGN] = {SECOND_ALONE, SECOND_ALONE, SECOND_ALONE, SECOND_ALONE},
    [CONTRIBUTORY] = {SECOND_ALONE, BECOMES_DF, SECOND_ALONE, SECOND_ALONE},
    [PAGE_FAULT] = {SECOND_ALONE, BECOMES_DF, BECOMES_DF, SECOND_ALONE},
    [DOUBLE_FAULT] = {SECOND_ALONE, BECOMES_TRIPLE, BECOMES_TRIPLE, BECOMES_TRIPLE},
};

static bool is_exception(u8 type)
{
    return type == VCPU_EVENT_EXCEPTION || type == VCPU_EVENT_SOFT_EXCEPTION || type == VCPU_EVENT_PRIV_SOFT_EXCEPTION;
}

/* The exception whose delivery the new one meets; it is used up. Returns its class, BENIGN when there is none. */
static enum exception_class take_first(struct vcpu_arch *a)
{
    enum exception_class first = BENIGN;

    if (a->exception.valid) {
        first = class_of(a->exception.vector);
        a->exception.valid = false;
    } else if (a->reinject && a->interrupted_type != VCPU_EVENT_IRQ) {
        /* Software events and faults come again when their instruction does; an NMI does not. An interrupt has been
         * acknowledged already, so it stays and follows when the guest can take it. */
        first = is_exception(a->interrupted_type) ? class_of(a->interrupted_vector) : BENIGN;
        a->nmi_pending = a->nmi_pending || a->interrupted_type == VCPU_EVENT_NMI;
        a->reinject = false;
    }
    return first;
}

static void queue_exception(struct vcpu *v, u8 vector, bool has_error, u32 error, u64 cr2)
{
    struct vcpu_arch *a = &v->arch;
    enum merge merge = merge_table[take_first(a)][class_of(vector)];

    if (merge == BECOMES_TRIPLE) {
        a->special |= X86_SPECIAL_TRIPLE_FAULT;
        a->event_work = true;
        return;
    }
    if (merge == BECOMES_DF) {
        vector = VECTOR_DF;
        has_error = true;
        error = 0;
    }
    if (vector == VECTOR_PF) {
        x86_regs(v, X86_G_CR)->cr2 = cr2;
        x86_regs_changed(v, X86_G_CR);
    }
    a->exception = (struct x86_pending_exception){true, vector, has_error, error, cr2};
    a->event_work = true;
}

void x86_raise(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
    queue_exception(v, vector, has_error, error, vector == VECTOR_PF ? x86_regs(v, X86_G_CR)->cr2 : 0);
}

void x86_raise_gp(struct vcpu *v)
{
    x86_raise(v, VECTOR_GP, true, 0);
}

void x86_raise_ud(struct vcpu *v)
{
    x86_raise(v, VECTOR_UD, false, 0);
}

void x86_raise_pf(struct vcpu *v, gva_t va, u32 error)
{
    queue_exception(v, VECTOR_PF, true, error, va.v);
}

void x86_event_interrupted(struct vcpu *v, const struct vcpu_event *event)
{
    struct vcpu_arch *a = &v->arch;

    a->reinject = true;
    a->event_work = true;
    a->interrupted_type = (u8)event->type;
    a->interrupted_vector = event->vector;
    a->interrupted_len = event->insn_len;
    a->interrupted_has_error = event->has_error;
    a->interrupted_error = event->error;
    if (event->type == VCPU_EVENT_NMI) { /* it did not arrive, so it blocks nothing yet */
        a->blocking &= ~X86_BLOCK_NMI;
        a->dirty |= X86_G_CORE;
    } else if (event->type == VCPU_EVENT_EXCEPTION && event->vector >= VECTOR_EXTERNAL_FIRST) {
        a->interrupted_type = VCPU_EVENT_IRQ; /* some CPUs report an interrupt so; nobody accepts it back */
    }
}

static bool irq_open(const struct vcpu_arch *a)
{
    return (a->rflags & RFLAGS_IF) != 0 && (a->blocking & BLOCKS_IRQ) == 0;
}

static void inject_exception(struct vcpu *v)
{
    struct vcpu_arch *a = x86_regs(v, X86_G_CR);
    const struct vcpu_event event = {.type = VCPU_EVENT_EXCEPTION, .vector = a->exception.vector,
                                     /* none in real mode */
                                     .has_error = a->exception.has_error && (a->cr0 & CR0_PE) != 0,
                                     .error = a->exception.error};

    if (class_of(event.vector) != DOUBLE_FAULT && event.vector != VECTOR_DB) {
        a->rflags |= RFLAGS_RF; /* in the pushed image of a fault: SDM 18.3.1.1 */
        a->dirty |= X86_G_CORE;
    }
    a->exception.valid = false;
    v->backend->event_inject(v, &event);
}

static void inject_interrupted(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;
    const struct vcpu_event event = {.type = (enum vcpu_event_type)a->interrupted_type, .vector = a->interrupted_vector,
                                     .has_error = a->interrupted_has_error, .error = a->interrupted_error,
                                     .insn_len = a->interrupted_len};

    a->reinject = false;
    v->backend->event_inject(v, &event);
}

static bool inject_nmi(struct vcpu *v)
{
    const struct vcpu_event event = {.type = VCPU_EVENT_NMI, .vector = VECTOR_NMI};

    if ((v->arch.blocking & BLOCKS_NMI) != 0) {
        return false;
    }
    v->arch.nmi_pending = false;
    v->backend->event_inject(v, &event);
    return true;
}

static bool chip_pending(const struct vcpu *v)
{
    return v->config.chip_ops != NULL && v->config.chip_ops->pending(v->config.chip, v);
}

static void inject_irq(struct vcpu *v)
{
    struct vcpu_event event = {.type = VCPU_EVENT_IRQ};

    if (v->config.chip_ops->acknowledge(v->config.chip, v, &event.vector)) {
        v->backend->event_inject(v, &event);
    }
}

/* The one event of this entry that has no window: exceptions come first, then what was interrupted. */
static inline __attribute__((always_inline)) bool inject_first(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;

    if (a->exception.valid) {
        inject_exception(v);
        return true;
    }
    if (a->reinject && (a->interrupted_type != VCPU_EVENT_IRQ || irq_open(a))) {
        inject_interrupted(v);
        return true;
    }
    return false;
}

/* An interrupt that waits for the HLT in the shadow of an STI ends the halt as it begins: the HLT is done with, and its exit is
 * saved. QEMU's VMRUN forgets the shadow, so there the interrupt would come before the HLT, and the guest sleep for good. */
static __attribute__((noinline)) void pass_shadowed_halt(struct vcpu *v)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_SEG | X86_G_DR);
    u8 code[X86_INSN_MAX];

    if ((a->rflags & (RFLAGS_IF | RFLAGS_TF)) == RFLAGS_IF && a->cpl == 0 && (a->dr7 & DR7_ENABLED) == 0 &&
        x86_fetch_insn(v, code) != 0 && code[0] == OPCODE_HLT) {
        x86_advance(v, 1);
    }
}

/* Deliver by priority; returns the windows that what remains is waiting for. */
static u32 deliver(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;
    bool injected = inject_first(v);
    u32 windows = a->reinject ? VCPU_WINDOW_IRQ : 0;

    if (a->nmi_pending) {
        injected = injected || inject_nmi(v);
        windows |= a->nmi_pending ? VCPU_WINDOW_NMI : 0;
    }
    if (!a->reinject && chip_pending(v)) {
        if (!injected && a->rip == a->shadow_rip) {
            pass_shadowed_halt(v);
        }
        if (injected || !irq_open(a)) {
            windows |= VCPU_WINDOW_IRQ;
        } else {
            inject_irq(v);
            windows |= (READ_ONCE(v->requests) & VCPU_REQ_EVENT) != 0 ? VCPU_WINDOW_IRQ : 0; /* the chip has more */
        }
    }
    return windows;
}

static inline __attribute__((always_inline)) void take_requests(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;
    u64 generation = READ_ONCE(v->config.stage2->generation);
    u32 requests = READ_ONCE(v->requests) & X86_WORK_REQUESTS;

    if (requests != 0) {
        requests = __atomic_fetch_and(&v->requests, ~X86_WORK_REQUESTS, __ATOMIC_ACQ_REL);
    }
    a->nmi_pending = a->nmi_pending || (requests & VCPU_REQ_NMI) != 0;
    if ((requests & VCPU_REQ_FLUSH) != 0 || a->s2_generation != generation) {
        a->s2_generation = generation;
        v->backend->tlb_flush(v);
    }
}

/* Is there an exit in place of the entry? */
static bool exit_instead(struct vcpu *v, struct vcpu_exit *exit)
{
    struct vcpu_arch *a = &v->arch;
    bool stepped = (a->special & X86_SPECIAL_STEPPED) != 0;

    if (!stepped && (a->special & X86_SPECIAL_TRIPLE_FAULT) == 0) {
        return false;
    }
    exit->answered = false;
    exit->insn_len = 0;
    if (stepped) {
        x86_step_ends(v);
        exit->kind = VCPU_EXIT_DEBUG;
        exit->reason = X86_EXIT_EXCEPTION;
        exit->debug.breakpoint = false;
        exit->debug.point = 0;
    } else {
        a->special &= (u8)~X86_SPECIAL_TRIPLE_FAULT;
        exit->kind = VCPU_EXIT_SHUTDOWN;
        exit->reason = X86_EXIT_SHUTDOWN;
        exit->shutdown.reason = VCPU_SHUTDOWN_TRIPLE_FAULT;
    }
    return true;
}

/* Where hardware delivers, too. */
static inline __attribute__((always_inline)) bool sync_chip(struct vcpu *v, bool hold)
{
    const struct irqchip_ops *ops = v->config.chip_ops;

    return ops != NULL && ops->sync != NULL && ops->sync(v->config.chip, v, hold);
}

/* After delivery: what still waits, and for which windows. */
static inline __attribute__((always_inline)) void settle(struct vcpu *v, u32 windows)
{
    struct vcpu_arch *a = &v->arch;

    a->event_work = windows != 0 || a->reinject || a->exception.valid || a->nmi_pending;
    if (windows != a->windows) {
        a->windows = windows;
        v->backend->event_window(v, windows);
    }
}

enum special { SPECIAL_EXITS, SPECIAL_ENTERS, SPECIAL_NOTHING };

/* While the debugger's TF is set interrupts wait: their handler's first instruction is not the one to stop at. In a handler of the
 * instruction's own exception it is not set. */
static __attribute__((noinline)) enum special deliver_special(struct vcpu *v, struct vcpu_exit *exit)
{
    const struct vcpu_arch *a = &v->arch;

    if (exit_instead(v, exit)) {
        return SPECIAL_EXITS;
    }
    if ((a->special & X86_SPECIAL_STEP) == 0 || (a->rflags & RFLAGS_TF) == 0) {
        return SPECIAL_NOTHING;
    }
    take_requests(v);
    (void)inject_first(v);
    (void)sync_chip(v, true);
    settle(v, a->reinject ? VCPU_WINDOW_IRQ : 0);
    return SPECIAL_ENTERS;
}

bool x86_deliver_events(struct vcpu *v, struct vcpu_exit *exit)
{
    if (v->arch.special != 0) {
        enum special special = deliver_special(v, exit);
        if (special != SPECIAL_NOTHING) {
            return special == SPECIAL_ENTERS;
        }
    }
    take_requests(v);
    u32 windows = deliver(v);
    if (sync_chip(v, false)) {
        windows |= VCPU_WINDOW_IRQ;
    }
    settle(v, windows);
    return true;
}

bool x86_goes_on_after_work(struct vcpu *v, enum x86_exit_code code, struct vcpu_exit *exit)
{
    if (vcpu_must_leave(v)) {
        exit->reason = (u16)code;
        return false;
    }
    vcpu_count(v, code);
    return x86_deliver_events(v, exit);
}

bool isa_vcpu_event_waits(struct vcpu *v)
{
    const struct vcpu_arch *a = &v->arch;
    bool nmi = a->nmi_pending && (a->blocking & X86_BLOCK_NMI) == 0;

    return a->exception.valid || a->reinject || a->special != 0 || nmi || (irq_open(a) && chip_pending(v));
}
