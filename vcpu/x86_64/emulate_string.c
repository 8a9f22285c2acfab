/* String instructions: SDM Vol. 1 7.3.9, Vol. 2 "REP/REPE/REPNE". Registers move with every element, so a fault or the end
 * of this call's share leaves a state from which the instruction goes on. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/emulate_alu.h"
#include "vcpu/x86_64/task.h"

#define ELEMENTS_PER_CALL 1024U

struct string {
    u8 size;
    bool reads_si, uses_di, writes_di;
    struct emu_span si, di;
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

static void step(struct x86_emu *e, u8 reg, u8 size)
{
    u64 at = index_read(e, reg);

    index_write(e, reg, (e->flags & RFLAGS_DF) != 0 ? at - size : at + size);
}

static int open_both(struct x86_emu *e, struct string *s)
{
    int rc = 0;

    if (s->reads_si) {
        rc = emu_open(e, e->in.seg, index_read(e, X86_RSI), s->size, 0, &s->si);
    }
    if (rc == 0 && s->uses_di) {
        rc = emu_open(e, X86_ES, index_read(e, X86_RDI), s->size, s->writes_di ? X86_ACCESS_WRITE : 0, &s->di);
    }
    return rc;
}

static void port_in(struct x86_emu *e, struct string *s)
{
    u32 value = ~0U;
    u16 port = (u16)e->a->gpr[X86_RDX];

    e->v->config.mem->pio(e->v->config.ctx, port, s->size, false, &value);
    emu_span_write(e, &s->di, &value);
}

static void port_out(struct x86_emu *e, struct string *s)
{
    u32 value = 0;
    u16 port = (u16)e->a->gpr[X86_RDX];

    emu_span_read(e, &s->si, &value);
    e->v->config.mem->pio(e->v->config.ctx, port, s->size, true, &value);
}

static void compare(struct x86_emu *e, u64 a, const struct string *s)
{
    u64 b = 0;

    emu_span_read(e, &s->di, &b);
    (void)x86_alu(X86_CMP, s->size, a, b, &e->flags);
}

/* The body of one element, after nothing can fault any more. */
static void element(struct x86_emu *e, struct string *s)
{
    u64 value = e->a->gpr[X86_RAX];

    switch ((enum emu_string_kind)e->op->arg) {
    case EMU_MOVS:
        emu_span_read(e, &s->si, &value);
        emu_span_write(e, &s->di, &value);
        break;
    case EMU_CMPS:
        value = 0;
        emu_span_read(e, &s->si, &value);
        compare(e, value, s);
        break;
    case EMU_SCAS:
        compare(e, value, s);
        break;
    case EMU_STOS:
        emu_span_write(e, &s->di, &value);
        break;
    case EMU_LODS:
        value = 0;
        emu_span_read(e, &s->si, &value);
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

static int one_element(struct x86_emu *e, struct string *s)
{
    int rc = open_both(e, s);

    if (rc != 0) {
        return rc;
    }
    element(e, s);
    if (s->reads_si) {
        step(e, X86_RSI, s->size);
    }
    if (s->uses_di) {
        step(e, X86_RDI, s->size);
    }
    e->a->rflags = e->flags; /* of the elements done, should the next one fault */
    return 0;
}

/* REPE and REPNE also end by ZF. */
static bool ended_by_compare(const struct x86_emu *e)
{
    bool compares = e->op->arg == EMU_CMPS || e->op->arg == EMU_SCAS;
    bool equal = (e->flags & RFLAGS_ZF) != 0;

    return compares && equal != (e->in.rep == X86_PFX_REP);
}

static int repeat(struct x86_emu *e, struct string *s)
{
    for (unsigned i = 0; i < ELEMENTS_PER_CALL && index_read(e, X86_RCX) != 0; i++) {
        int rc = one_element(e, s);
        if (rc != 0) {
            return rc;
        }
        index_write(e, X86_RCX, index_read(e, X86_RCX) - 1);
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
    struct string s = {
        .size = e->op->size != 0 ? e->op->size : e->in.opsize,
        .reads_si = kind == EMU_MOVS || kind == EMU_CMPS || kind == EMU_LODS || kind == EMU_OUTS,
        .uses_di = kind != EMU_LODS && kind != EMU_OUTS,
        .writes_di = kind == EMU_MOVS || kind == EMU_STOS || kind == EMU_INS,
    };

    if (port && s.size > 4) {
        s.size = 4;
    }
    if (port && !port_allowed(e, s.size)) {
        return emu_gp(e);
    }
    return e->in.rep != 0 ? repeat(e, &s) : one_element(e, &s);
}
