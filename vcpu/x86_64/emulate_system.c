/* LTR, whose busy bit goes where no memory takes it: descriptor tables lie in a firmware's ROM, too. SDM Vol. 2 "LTR". */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/task.h"

#define DESC_BYTES_LONG 16U /* in IA-32e mode: figure 8-4 */
#define DESC_HIGH_TYPE GENMASK(44, 40) /* of the second half: must be zero */

int emu_selector_fault(struct x86_emu *e, u8 vector, u16 selector)
{
    x86_raise(e->v, vector, true, selector & ~SELECTOR_RPL);
    return -E_GUEST;
}

/* The descriptor of a TSS that is available, as TR. */
static int read_tss(struct x86_emu *e, u16 selector, u64 at, struct x86_seg *tss)
{
    bool wide = (e->a->efer & EFER_LMA) != 0;
    struct emu_span span;
    u64 raw[2] = {0};
    int rc = emu_open_table(e, at, wide ? DESC_BYTES_LONG : DESC_BYTES, 0, &span);

    if (rc != 0) {
        return rc;
    }
    emu_span_read(e, &span, raw);
    *tss = task_segment(selector, raw[0]);
    tss->base |= raw[1] << 32;
    u32 type = tss->attr & (SEG_S | (u32)SEG_TYPE);
    bool available = type == TSS_TYPE_32 || (type == TSS_TYPE_16 && !wide);
    if (!available || (raw[1] & DESC_HIGH_TYPE) != 0) {
        return emu_selector_fault(e, VECTOR_GP, selector);
    }
    if ((tss->attr & SEG_P) == 0) {
        return emu_selector_fault(e, VECTOR_NP, selector);
    }
    return wide && !emu_canonical(e, tss->base) ? emu_selector_fault(e, VECTOR_GP, selector) : 0;
}

int emu_ltr(struct x86_emu *e)
{
    u16 selector = (u16)e->dst.value;
    u8 size = (e->a->efer & EFER_LMA) != 0 ? DESC_BYTES_LONG : DESC_BYTES;
    const struct x86_dtr *gdtr = &x86_regs(e->v, X86_G_DT)->gdtr;
    u64 at = gdtr->base + (selector & SELECTOR_INDEX);
    struct emu_span span;
    struct x86_seg tss;

    if (!task_has_descriptors(e->a)) {
        return emu_ud(e);
    }
    if (e->a->cpl != 0 || task_selector_is_null(selector)) {
        return emu_gp(e);
    }
    if ((selector & SELECTOR_TI) != 0 || (selector & SELECTOR_INDEX) + size - 1 > gdtr->limit) {
        return emu_selector_fault(e, VECTOR_GP, selector);
    }
    int rc = read_tss(e, selector, at, &tss);
    if (rc == 0) {
        rc = emu_open_table(e, at + DESC_TYPE_BYTE, 1, X86_ACCESS_WRITE, &span);
    }
    if (rc != 0) {
        return rc;
    }
    tss.attr |= TSS_BUSY;
    u8 type = (u8)tss.attr; /* a descriptor's byte 5 */
    emu_span_write(e, &span, &type);
    e->a->seg[X86_TR] = tss;
    x86_regs_changed(e->v, X86_G_SEG);
    return 0;
}
