/* Far returns, far jumps and loads of data segments within one privilege level, for descriptors in a firmware's ROM: the accessed
 * bit's write ends in an exit there, and on a PC is lost. Call gates, tasks and other levels are not the emulator's. SDM Vol. 2
 * "RET", "JMP" and "MOV", Vol. 3 5.6 and 5.8.1. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/emulate_alu.h"
#include "vcpu/x86_64/task.h"

#define FAR_BYTES_MAX 16U
#define OP_RET_FAR_IMM 0xCA

/* The descriptor of selector, which is not null, as a segment; at: where it is. */
static int read_descriptor(struct x86_emu *e, u16 selector, struct x86_seg *seg, u64 *at)
{
    const struct x86_dtr *gdtr = &x86_regs(e->v, X86_G_DT)->gdtr;
    const struct x86_seg *ldt = &e->a->seg[X86_LDTR];
    bool local = (selector & SELECTOR_TI) != 0;
    u32 limit = local ? ldt->limit : gdtr->limit;
    struct emu_span span;
    u64 raw = 0;

    if ((local && (ldt->attr & SEG_UNUSABLE) != 0) || (selector & SELECTOR_INDEX) + DESC_BYTES - 1 > limit) {
        return emu_selector_fault(e, VECTOR_GP, selector);
    }
    *at = (local ? ldt->base : gdtr->base) + (selector & SELECTOR_INDEX);
    int rc = emu_open_table(e, *at, DESC_BYTES, 0, &span);
    if (rc != 0) {
        return rc;
    }
    emu_span_read(e, &span, &raw);
    *seg = task_segment(selector, raw);
    return 0;
}

/* The last step: what may fault is behind it, but for the page of the accessed bit. */
static int load(struct x86_emu *e, u8 index, struct x86_seg *seg, u64 at)
{
    if ((seg->attr & SEG_ACCESSED) == 0) {
        struct emu_span span;
        int rc = emu_open_table(e, at + DESC_TYPE_BYTE, 1, X86_ACCESS_WRITE, &span);
        if (rc != 0) {
            return rc;
        }
        seg->attr |= SEG_ACCESSED;
        u8 type = (u8)seg->attr;
        emu_span_write(e, &span, &type);
    }
    e->a->seg[index] = *seg;
    x86_regs_changed(e->v, X86_G_SEG);
    return 0;
}

/* A code segment of this privilege level. rpl: what the selector asked for. */
static int check_code(struct x86_emu *e, const struct x86_seg *cs, u8 rpl)
{
    bool conforming = (cs->attr & SEG_CONFORMING) != 0;
    u8 dpl = (u8)FIELD_GET(SEG_DPL, cs->attr);
    bool both_sizes = (e->a->efer & EFER_LMA) != 0 && (cs->attr & SEG_L) != 0 && (cs->attr & SEG_DB) != 0;

    if ((cs->attr & SEG_CODE) == 0 || both_sizes || (conforming ? dpl > e->a->cpl : dpl != e->a->cpl || rpl > e->a->cpl)) {
        return emu_selector_fault(e, VECTOR_GP, cs->selector);
    }
    return (cs->attr & SEG_P) == 0 ? emu_selector_fault(e, VECTOR_NP, cs->selector) : 0;
}

static bool target_ok(const struct x86_emu *e, const struct x86_seg *cs, u64 target)
{
    bool wide = (e->a->efer & EFER_LMA) != 0 && (cs->attr & SEG_L) != 0;

    return wide ? emu_canonical(e, target) : target <= cs->limit;
}

/* The interrupt shadow and RF end here, not behind the instruction. */
static void advance(struct x86_emu *e)
{
    x86_advance(e->v, e->in.length);
    e->flags = e->a->rflags;
    e->stay = true;
}

/* Go on at selector:target. returns: by a RET, which never means a gate. */
static int go_far(struct x86_emu *e, u16 selector, u64 target, bool returns)
{
    struct x86_seg cs = {0};
    u64 at = 0;

    if (task_selector_is_null(selector)) {
        return emu_gp(e);
    }
    int rc = read_descriptor(e, selector, &cs, &at);
    if (rc != 0) {
        return rc;
    }
    if ((cs.attr & SEG_S) == 0) {
        return returns ? emu_selector_fault(e, VECTOR_GP, selector) : -E_NOSYS;
    }
    rc = check_code(e, &cs, selector & SELECTOR_RPL);
    if (rc != 0) {
        return rc;
    }
    if (!target_ok(e, &cs, target)) {
        return emu_gp(e);
    }
    cs.selector = (u16)((selector & ~SELECTOR_RPL) | e->a->cpl);
    rc = load(e, X86_CS, &cs, at);
    if (rc == 0) {
        advance(e);
        e->a->rip = target;
    }
    return rc;
}

/* The operand in memory or on the stack: an offset of the operand size, then a selector. */
static u16 split(const struct x86_emu *e, const u8 *bytes, u64 *offset)
{
    u16 selector;

    *offset = 0;
    __builtin_memcpy(offset, bytes, e->in.opsize);
    __builtin_memcpy(&selector, bytes + e->in.opsize, sizeof(selector));
    return selector;
}

int emu_ret_far(struct x86_emu *e)
{
    u8 bytes[FAR_BYTES_MAX], size = (u8)(2 * e->in.opsize);
    u64 top = emu_stack_pointer(e), target;
    struct emu_span span;

    if (!task_has_descriptors(e->a)) {
        return -E_NOSYS;
    }
    int rc = emu_open(e, X86_SS, top, size, 0, &span);
    if (rc != 0) {
        return rc;
    }
    emu_span_read(e, &span, bytes);
    u16 selector = split(e, bytes, &target);
    u8 rpl = selector & SELECTOR_RPL;
    if (!task_selector_is_null(selector) && rpl != e->a->cpl) {
        return rpl > e->a->cpl ? -E_NOSYS : emu_selector_fault(e, VECTOR_GP, selector);
    }
    u64 extra = e->in.opcode == OP_RET_FAR_IMM ? e->in.imm & GENMASK(15, 0) : 0;
    rc = go_far(e, selector, target, true);
    if (rc == 0) {
        emu_set_stack_pointer(e, top + size + extra);
    }
    return rc;
}

int emu_jmp_far(struct x86_emu *e)
{
    u64 mask = x86_size_mask(e->in.opsize);

    return task_has_descriptors(e->a) ? go_far(e, e->in.imm2, e->in.imm & mask, false) : -E_NOSYS;
}

int emu_jmp_far_memory(struct x86_emu *e)
{
    u8 bytes[FAR_BYTES_MAX];
    struct emu_span span;
    u64 target;

    if (!task_has_descriptors(e->a)) {
        return -E_NOSYS;
    }
    int rc = emu_open(e, e->in.seg, emu_address(e), (u8)(e->in.opsize + sizeof(u16)), 0, &span);
    if (rc != 0) {
        return rc;
    }
    emu_span_read(e, &span, bytes);
    u16 selector = split(e, bytes, &target);
    return go_far(e, selector, target, false);
}

static int load_null(struct x86_emu *e, u8 index, u16 selector)
{
    if (index == X86_SS) {
        return e->in.code_bits == 64 ? -E_NOSYS : emu_gp(e);
    }
    e->a->seg[index] = (struct x86_seg){.selector = selector, .attr = SEG_UNUSABLE};
    x86_regs_changed(e->v, X86_G_SEG);
    return 0;
}

int emu_mov_sreg(struct x86_emu *e)
{
    u8 index = e->in.reg & 7;
    u16 selector = (u16)e->src.value;
    struct x86_seg seg = {0};
    u64 at = 0;

    if (index == X86_CS || index > X86_GS) {
        return emu_ud(e);
    }
    if (!task_has_descriptors(e->a)) {
        return -E_NOSYS;
    }
    if (task_selector_is_null(selector)) {
        return load_null(e, index, selector);
    }
    int rc = read_descriptor(e, selector, &seg, &at);
    if (rc != 0) {
        return rc;
    }
    if (!task_segment_ok(index, &seg, e->a->cpl)) {
        return emu_selector_fault(e, VECTOR_GP, selector);
    }
    if ((seg.attr & SEG_P) == 0) {
        return emu_selector_fault(e, index == X86_SS ? VECTOR_SS : VECTOR_NP, selector);
    }
    rc = load(e, index, &seg, at);
    if (rc == 0 && index == X86_SS) { /* nothing interrupts before the next instruction: SDM Vol. 3 6.8.3 */
        advance(e);
        e->a->blocking |= X86_BLOCK_MOVSS;
    }
    return rc;
}
