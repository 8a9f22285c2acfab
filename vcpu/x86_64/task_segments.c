/* Segment registers of a new task: SDM Vol. 3 8.3 "Task Switching", table 8-1. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/task.h"

#define ATTR_V86 (SEG_ACCESSED | SEG_RW | SEG_S | SEG_DPL | SEG_P) /* SDM 25.4.1 of a virtual-8086 segment */
#define V86_LIMIT 0xFFFFU

static u8 dpl_of(const struct x86_seg *s)
{
    return (u8)FIELD_GET(SEG_DPL, s->attr);
}

static void load_null(struct x86_seg *s, u16 selector)
{
    *s = (struct x86_seg){.selector = selector, .attr = SEG_UNUSABLE};
}

static int load_ldt(struct task_switch *t)
{
    u16 selector = t->task.ldt;
    u64 raw, at;

    load_null(&t->a->seg[X86_LDTR], selector);
    if (task_selector_is_null(selector)) {
        return 0;
    }
    if ((selector & SELECTOR_TI) != 0) {
        return task_fault(t, VECTOR_TS, selector);
    }
    int rc = task_descriptor(t, selector, VECTOR_TS, &raw, &at);
    if (rc != 0) {
        return rc;
    }
    struct x86_seg s = task_segment(selector, raw);
    if ((s.attr & (SEG_TYPE | SEG_S)) != SEG_TYPE_LDT || (s.attr & SEG_P) == 0) {
        return task_fault(t, VECTOR_TS, selector);
    }
    t->a->seg[X86_LDTR] = s;
    return 0;
}

/* Non-conforming code must have the task's privilege, conforming code at most that. */
static bool code_ok(const struct x86_seg *s, u8 cpl)
{
    bool conforming = (s->attr & SEG_CONFORMING) != 0;

    return (s->attr & SEG_CODE) != 0 && (conforming ? dpl_of(s) <= cpl : dpl_of(s) == cpl);
}

static bool stack_ok(const struct x86_seg *s, u8 cpl)
{
    bool writable_data = (s->attr & (SEG_CODE | SEG_RW)) == SEG_RW;

    return writable_data && (s->selector & SELECTOR_RPL) == cpl && dpl_of(s) == cpl;
}

static bool data_ok(const struct x86_seg *s, u8 cpl)
{
    bool code = (s->attr & SEG_CODE) != 0;
    u8 rpl = s->selector & SELECTOR_RPL;

    if (code && (s->attr & SEG_RW) == 0) {
        return false;
    }
    return (code && (s->attr & SEG_CONFORMING) != 0) || dpl_of(s) >= MAX(rpl, cpl);
}

bool task_segment_ok(u32 index, const struct x86_seg *s, u8 cpl)
{
    if ((s->attr & SEG_S) == 0) {
        return false;
    }
    return index == X86_CS ? code_ok(s, cpl) : index == X86_SS ? stack_ok(s, cpl) : data_ok(s, cpl);
}

static int mark_accessed(const struct task_switch *t, struct x86_seg *s, u64 raw, u64 at)
{
    u8 byte = (u8)(raw >> (8 * DESC_TYPE_BYTE) | SEG_ACCESSED);

    if ((s->attr & SEG_ACCESSED) != 0) {
        return 0;
    }
    s->attr |= SEG_ACCESSED;
    return task_write(t->v, at + DESC_TYPE_BYTE, &byte, sizeof(byte));
}

static int load_segment(struct task_switch *t, u32 index, u8 cpl)
{
    u16 selector = t->task.selector[index];
    bool must = index == X86_CS || index == X86_SS;
    u64 raw, at;

    if (task_selector_is_null(selector) && !must) {
        load_null(&t->a->seg[index], selector);
        return 0;
    }
    if (task_selector_is_null(selector)) {
        return task_fault(t, VECTOR_TS, selector);
    }
    int rc = task_descriptor(t, selector, VECTOR_TS, &raw, &at);
    if (rc != 0) {
        return rc;
    }
    struct x86_seg s = task_segment(selector, raw);
    if (!task_segment_ok(index, &s, cpl)) {
        return task_fault(t, VECTOR_TS, selector);
    }
    if ((s.attr & SEG_P) == 0) {
        return task_fault(t, index == X86_SS ? VECTOR_SS : VECTOR_NP, selector);
    }
    rc = mark_accessed(t, &s, raw, at);
    if (rc == 0) {
        t->a->seg[index] = s;
    }
    return rc;
}

static void load_v86(struct task_switch *t)
{
    for (u32 i = 0; i < TASK_SEGS; i++) {
        u16 selector = t->task.selector[i];
        t->a->seg[i] = (struct x86_seg){selector, (u32)ATTR_V86, V86_LIMIT, (u64)selector << 4};
    }
    t->a->cpl = 3;
}

/* The privilege level is the new CS selector's from here on. The stack segment carries it for the hardware, also while
 * the stack's own load may still fault. */
static void set_cpl(struct task_switch *t, u8 cpl)
{
    struct x86_seg *ss = &t->a->seg[X86_SS];

    t->a->cpl = cpl;
    ss->attr = (ss->attr & ~(u32)SEG_DPL) | (u32)FIELD_PREP(SEG_DPL, cpl);
}

int task_load_segments(struct task_switch *t)
{
    static const u8 order[] = {X86_SS, X86_DS, X86_ES, X86_FS, X86_GS};
    u8 cpl = t->task.selector[X86_CS] & SELECTOR_RPL;
    int rc = load_ldt(t);

    if (rc == 0 && (t->task.eflags & RFLAGS_VM) != 0) {
        load_v86(t);
        return 0;
    }
    if (rc == 0) {
        rc = load_segment(t, X86_CS, cpl);
    }
    if (rc != 0) {
        return rc;
    }
    set_cpl(t, cpl);
    for (size_t i = 0; i < ARRAY_SIZE(order) && rc == 0; i++) {
        rc = load_segment(t, order[i], cpl);
    }
    return rc;
}
