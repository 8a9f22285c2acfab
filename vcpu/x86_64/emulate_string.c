/* String instructions: SDM Vol. 1 7.3.9, Vol. 2 "REP/REPE/REPNE". Memory is translated once for the elements that follow each
 * other in a page. Registers move when those are done, before anything can fault again, so a fault or the end of this call's
 * share leaves a state from which the instruction goes on. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/emulate_alu.h"
#include "vcpu/x86_64/task.h"

/* An element from device to device, or one for the console, costs up to 800 instructions, so a call up to some 50,000. Meanwhile
 * the guest takes no interrupt and its CPU runs no other task. */
#define ELEMENTS_PER_CALL 64U

struct string {
    u8 size;
    struct emu_stream si, di;
};

static u64 index_read(const struct x86_emu *e, u8 reg)
{
    return e->a->gpr[reg] & x86_size_mask(e->in.addrsize);
}

/* 16-bit registers keep their upper part, 32-bit ones lose it. */
static void index_write(struct x86_emu *e, u8 reg, u64 value)
{
    u64 keep = e->in.addrsize == 2 ? ~x86_size_mask(2) : 0;

    e->a->gpr[reg] = (e->a->gpr[reg] & keep) | (value & x86_size_mask(e->in.addrsize));
}

static int open_both(struct x86_emu *e, struct string *s, u64 *count)
{
    int rc = s->si.used ? emu_open_stream(e, &s->si, s->size, count) : 0;

    return rc == 0 && s->di.used ? emu_open_stream(e, &s->di, s->size, count) : rc;
}

static void port_in(struct x86_emu *e, struct string *s)
{
    u32 value = ~0U;
    u16 port = (u16)e->a->gpr[X86_RDX];

    e->v->config.mem->pio(e->v->config.ctx, port, s->size, false, &value);
    emu_span_write(e, &s->di.span, &value);
}

static void port_out(struct x86_emu *e, struct string *s)
{
    u32 value = 0;
    u16 port = (u16)e->a->gpr[X86_RDX];

    emu_span_read(e, &s->si.span, &value);
    e->v->config.mem->pio(e->v->config.ctx, port, s->size, true, &value);
}

static void compare(struct x86_emu *e, u64 a, const struct string *s)
{
    u64 b = 0;

    emu_span_read(e, &s->di.span, &b);
    (void)x86_alu(X86_CMP, s->size, a, b, &e->flags);
}

/* The body of one element, after nothing can fault any more. */
static void element(struct x86_emu *e, struct string *s)
{
    u64 value = e->a->gpr[X86_RAX];

    switch ((enum emu_string_kind)e->op->arg) {
    case EMU_MOVS:
        emu_span_read(e, &s->si.span, &value);
        emu_span_write(e, &s->di.span, &value);
        break;
    case EMU_CMPS:
        value = 0;
        emu_span_read(e, &s->si.span, &value);
        compare(e, value, s);
        break;
    case EMU_SCAS:
        compare(e, value, s);
        break;
    case EMU_STOS:
        emu_span_write(e, &s->di.span, &value);
        break;
    case EMU_LODS:
        value = 0;
        emu_span_read(e, &s->si.span, &value);
        emu_reg_write(e, X86_RAX, s->size, value);
        break;
    case EMU_INS:
        port_in(e, s);
        break;
    case EMU_OUTS:
        port_out(e, s);
        break;
    }
}

/* REPE and REPNE also end by ZF. */
static bool ended_by_compare(const struct x86_emu *e)
{
    bool compares = e->op->arg == EMU_CMPS || e->op->arg == EMU_SCAS;
    bool equal = (e->flags & RFLAGS_ZF) != 0;

    return compares && equal != (e->in.rep == X86_PFX_REP);
}

/* Of *count elements those that one translation serves; *count becomes how many were executed. */
static int some_elements(struct x86_emu *e, struct string *s, u64 *count)
{
    u64 step = (e->flags & RFLAGS_DF) != 0 ? 0 - (u64)s->size : s->size;
    u64 done = 0;
    int rc = open_both(e, s, count);

    if (rc != 0) {
        return rc;
    }
    do {
        element(e, s);
        s->si.span.piece[0].gpa.v += step;
        s->di.span.piece[0].gpa.v += step;
        done++;
    } while (done < *count && !ended_by_compare(e));
    if (s->si.used) {
        index_write(e, X86_RSI, index_read(e, X86_RSI) + done * step);
    }
    if (s->di.used) {
        index_write(e, X86_RDI, index_read(e, X86_RDI) + done * step);
    }
    e->a->rflags = e->flags; /* of the elements done, should the next one fault */
    *count = done;
    return 0;
}

static int repeat(struct x86_emu *e, struct string *s)
{
    u64 count;

    for (u64 left = ELEMENTS_PER_CALL; left > 0 && index_read(e, X86_RCX) != 0; left -= count) {
        count = MIN(left, index_read(e, X86_RCX));
        int rc = some_elements(e, s, &count);
        if (rc != 0) {
            return rc;
        }
        index_write(e, X86_RCX, index_read(e, X86_RCX) - count);
        if (ended_by_compare(e)) {
            return 0;
        }
    }
    e->stay = index_read(e, X86_RCX) != 0;
    return 0;
}

/* A word of TR's segment; false beyond its limit, or where it cannot be read. */
static bool read_tss(struct x86_emu *e, u32 at, u16 *word)
{
    const struct x86_seg *tr = &e->a->seg[X86_TR];

    return at + sizeof(*word) - 1 <= tr->limit && x86_read_linear(e->v, GVA(tr->base + at), word, sizeof(*word), 0) == 0;
}

/* SDM Vol. 1 19.5 "I/O Protection". The CPU has looked before it exited, but at the instruction that was there then. */
static bool port_allowed(struct x86_emu *e, u8 size)
{
    const struct vcpu_arch *a = e->a;
    u16 port = (u16)a->gpr[X86_RDX], map, bits;
    bool v86 = (a->rflags & RFLAGS_VM) != 0;

    if ((a->cr0 & CR0_PE) == 0 || (!v86 && a->cpl <= FIELD_GET(RFLAGS_IOPL_MASK, a->rflags))) {
        return true;
    }
    return (a->seg[X86_TR].attr & SEG_TYPE & ~TSS_BUSY) == TSS_TYPE_32 && read_tss(e, TSS_IO_MAP, &map) &&
           read_tss(e, (u32)map + port / 8, &bits) && (bits & (BIT32(size) - 1) << port % 8) == 0;
}

int emu_string(struct x86_emu *e)
{
    enum emu_string_kind kind = e->op->arg;
    bool port = kind == EMU_INS || kind == EMU_OUTS;
    bool reads_si = kind == EMU_MOVS || kind == EMU_CMPS || kind == EMU_LODS || kind == EMU_OUTS;
    bool uses_di = kind != EMU_LODS && kind != EMU_OUTS;
    bool writes_di = kind == EMU_MOVS || kind == EMU_STOS || kind == EMU_INS;
    struct string s = {
        .size = e->op->size != 0 ? e->op->size : e->in.opsize,
        .si = {.used = reads_si, .seg = e->in.seg, .reg = X86_RSI},
        .di = {.used = uses_di, .seg = X86_ES, .reg = X86_RDI, .access = writes_di ? X86_ACCESS_WRITE : 0},
    };

    if (port && s.size > 4) {
        s.size = 4;
    }
    if (port && !port_allowed(e, s.size)) {
        return emu_gp(e);
    }
    return e->in.rep != 0 ? repeat(e, &s) : some_elements(e, &s, &(u64){1});
}
