/* Hardware task switch in software: SDM Vol. 3 8.3 "Task Switching", 8.4 "Task Linking"; AMD APM Vol. 2 12.3. Up to the
 * commit every fault belongs to the old task, which is unchanged; after it, to the new one. */
#include "vcpu/x86_64/task.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate_alu.h"

#define ERROR_EXTERNAL 1U

#define FLAGS_DEFINED                                                                                                  \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_OF |         \
     RFLAGS_IOPL_MASK | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)
/* Local breakpoint enables end with the task: SDM 18.2.4. */
#define DR7_LOCAL (BIT(0) | BIT(2) | BIT(4) | BIT(6) | DR7_LE)

static bool nests(const struct task_switch *t)
{
    return t->source == TASK_CALL || t->source == TASK_GATE;
}

/* Was the switch caused by an instruction, behind which the old task goes on? A length that the hardware gives says so,
 * whatever the event that it reports beside it: Bochs reports an old one for INT n. */
static bool by_instruction(const struct task_switch *t, const struct x86_exit *xe)
{
    if (t->source != TASK_GATE || !t->a->reinject || xe->insn_len != 0) {
        return true;
    }
    u8 type = t->a->interrupted_type;
    return type == VCPU_EVENT_SOFT_IRQ || type == VCPU_EVENT_SOFT_EXCEPTION || type == VCPU_EVENT_PRIV_SOFT_EXCEPTION;
}

/* The new TSS's descriptor. IRET goes back to a busy task, all others to an available one. */
static int check_descriptor(struct task_switch *t)
{
    bool iret = t->source == TASK_IRET;
    u8 vector = iret ? VECTOR_TS : VECTOR_GP;

    if ((t->selector & SELECTOR_TI) != 0 || (t->selector & SELECTOR_INDEX) == 0) {
        return task_fault(t, vector, t->selector);
    }
    int rc = task_descriptor(t, t->selector, vector, &t->descriptor, &t->descriptor_at);
    if (rc != 0) {
        return rc;
    }
    t->tss = task_segment(t->selector, t->descriptor);
    u32 available = t->tss.attr & (SEG_S | (u32)SEG_TYPE) & ~TSS_BUSY;
    bool busy = (t->tss.attr & TSS_BUSY) != 0;
    if ((available != TSS_TYPE_16 && available != TSS_TYPE_32) || busy != iret) {
        return task_fault(t, vector, t->selector);
    }
    if ((t->tss.attr & SEG_P) == 0) {
        return task_fault(t, VECTOR_NP, t->selector);
    }
    t->wide = available == TSS_TYPE_32;
    return t->tss.limit < task_tss_limit(t->wide) ? task_fault(t, VECTOR_TS, t->selector) : 0;
}

/* Set or clear the busy flag of the TSS descriptor at va. */
static int set_busy(struct vcpu *v, u64 va, bool busy)
{
    u8 byte;
    int rc = task_read(v, va + DESC_TYPE_BYTE, &byte, sizeof(byte));

    if (rc != 0) {
        return rc;
    }
    byte = (u8)(busy ? byte | TSS_BUSY : byte & ~TSS_BUSY);
    return task_write(v, va + DESC_TYPE_BYTE, &byte, sizeof(byte));
}

/* All pages that the switch writes before the commit are there. */
static int probe_writes(const struct task_switch *t)
{
    const struct x86_seg *old = &t->a->seg[X86_TR];
    u64 old_descriptor = t->a->gdtr.base + (old->selector & SELECTOR_INDEX);
    int rc = task_probe(t->v, old->base, task_tss_limit((old->attr & TSS_TYPE_32) == TSS_TYPE_32) + 1, X86_ACCESS_WRITE);

    if (rc == 0) {
        rc = task_probe(t->v, old_descriptor + DESC_TYPE_BYTE, 1, X86_ACCESS_WRITE);
    }
    if (rc == 0) {
        rc = task_probe(t->v, t->descriptor_at + DESC_TYPE_BYTE, 1, X86_ACCESS_WRITE);
    }
    if (rc == 0 && nests(t)) {
        rc = task_probe(t->v, t->tss.base, sizeof(u16), X86_ACCESS_WRITE);
    }
    return rc;
}

static int save_old(const struct task_switch *t, u8 insn_len)
{
    const struct vcpu_arch *a = t->a;
    struct task_state old = {.eip = (u32)a->rip + insn_len, .eflags = (u32)a->rflags};

    if (t->source == TASK_IRET) {
        old.eflags &= ~(u32)RFLAGS_NT;
    }
    for (u32 i = 0; i < TASK_GPRS; i++) {
        old.gpr[i] = (u32)a->gpr[i];
    }
    for (u32 i = 0; i < TASK_SEGS; i++) {
        old.selector[i] = a->seg[i].selector;
    }
    return task_state_write(t->v, &a->seg[X86_TR], &old);
}

/* Busy flags and the back link. */
static int relink(struct task_switch *t)
{
    u16 old = t->a->seg[X86_TR].selector;
    int rc = 0;

    if (!nests(t)) {
        rc = set_busy(t->v, t->a->gdtr.base + (old & SELECTOR_INDEX), false);
    } else {
        rc = task_write(t->v, t->tss.base, &old, sizeof(old));
    }
    return rc == 0 ? set_busy(t->v, t->descriptor_at, true) : rc;
}

/* The event that led through the gate has arrived; an NMI blocks others until IRET. */
static void consume_event(struct task_switch *t)
{
    struct vcpu_arch *a = t->a;

    a->blocking &= ~(X86_BLOCK_STI | X86_BLOCK_MOVSS);
    if (t->source == TASK_IRET) {
        a->blocking &= ~X86_BLOCK_NMI;
    }
    if (t->source == TASK_GATE && a->reinject) {
        a->blocking |= t->external != 0 && a->interrupted_type == VCPU_EVENT_NMI ? X86_BLOCK_NMI : 0;
        a->reinject = false;
    }
}

static void load_registers(struct task_switch *t)
{
    struct vcpu_arch *a = t->a;

    for (u32 i = 0; i < TASK_GPRS; i++) {
        a->gpr[i] = t->task.gpr[i];
    }
    if (nests(t)) {
        t->task.eflags |= (u32)RFLAGS_NT;
    }
    a->rip = t->task.eip;
    a->rflags = (t->task.eflags & FLAGS_DEFINED) | RFLAGS_FIXED;
    a->cr0 |= CR0_TS;
    *x86_guest_dr(a, 7) &= ~DR7_LOCAL;
    a->seg[X86_TR] = t->tss;
    a->seg[X86_TR].attr |= TSS_BUSY;
    for (u32 i = 0; i < TASK_SEGS; i++) { /* hidden parts follow in task_load_segments() */
        a->seg[i].selector = t->task.selector[i];
    }
    x86_regs_changed(t->v, X86_G_CORE | X86_G_CR | X86_G_DR | X86_G_SEG);
}

/* From here on the new task runs. */
static int commit(struct task_switch *t)
{
    consume_event(t);
    load_registers(t);
    if (t->wide && (t->a->cr0 & CR0_PG) != 0 && x86_cr3_write(t->v, t->task.cr3) != 0) {
        return task_fault(t, VECTOR_TS, t->selector);
    }
    return task_load_segments(t);
}

/* The error code of the exception that led here goes onto the new task's stack. */
static int push_error(struct task_switch *t, u32 error)
{
    struct vcpu_arch *a = t->a;
    const struct x86_seg *ss = &a->seg[X86_SS];
    u8 size = t->wide ? 4 : 2;
    u64 mask = x86_size_mask((ss->attr & SEG_DB) != 0 ? 4 : 2);
    u64 top = (a->gpr[X86_RSP] - size) & mask;
    bool expand_down = (ss->attr & SEG_CONFORMING) != 0; /* the same bit in a data segment */

    if (expand_down ? top <= ss->limit : top + size - 1 > ss->limit) {
        return task_fault(t, VECTOR_SS, 0);
    }
    u64 va = (ss->base + top) & GENMASK(31, 0);
    int rc = task_probe(t->v, va, size, X86_ACCESS_WRITE | (a->cpl == 3 ? X86_ACCESS_USER : 0));
    if (rc == 0) {
        rc = task_write(t->v, va, &error, size);
    }
    if (rc == 0) {
        a->gpr[X86_RSP] = (a->gpr[X86_RSP] & ~mask) | top;
    }
    return rc;
}

static void raise_debug_trap(struct task_switch *t)
{
    x86_dr6_add(t->v, DR6_BT);
    x86_raise(t->v, VECTOR_DB, false, 0);
}

static int switch_task(struct task_switch *t, const struct x86_exit *xe, u8 insn_len)
{
    int rc = check_descriptor(t);

    if (rc == 0) {
        rc = task_state_read(t, &t->task);
    }
    if (rc == 0) {
        rc = probe_writes(t);
    }
    if (rc == 0) {
        rc = save_old(t, insn_len);
    }
    if (rc == 0) {
        rc = relink(t);
    }
    if (rc == 0) {
        rc = commit(t);
    }
    if (rc == 0 && xe->task.has_error) {
        rc = push_error(t, xe->task.error);
    }
    if (rc == 0 && t->task.trap) {
        raise_debug_trap(t);
    }
    return rc;
}

int x86_task_switch(struct vcpu *v, const struct x86_exit *xe)
{
    struct vcpu_arch *a = x86_regs(v, X86_G_CORE | X86_G_CR | X86_G_SEG | X86_G_DT | X86_G_DR);
    struct task_switch t = {.v = v, .a = a, .source = xe->task.source, .selector = xe->task.selector};
    u8 insn_len = 0;

    if ((a->efer & EFER_LMA) != 0) { /* hardware raises #GP before it exits */
        return -E_NOSYS;
    }
    if (by_instruction(&t, xe)) {
        insn_len = xe->insn_len != 0 ? xe->insn_len : x86_insn_len(v);
    } else {
        t.external = ERROR_EXTERNAL;
    }
    int rc = switch_task(&t, xe, insn_len);
    return rc == -E_GUEST ? 0 : rc;
}
