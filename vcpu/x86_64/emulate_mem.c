/* Guest memory as an instruction sees it: segmentation, paging, then RAM or a device. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/emulate_alu.h"
#include "vcpu/x86_64/segment.h"

static int seg_fault(struct x86_emu *e, u8 seg)
{
    x86_raise(e->v, seg == X86_SS ? VECTOR_SS : VECTOR_GP, (e->a->cr0 & CR0_PE) != 0, 0);
    return -E_GUEST;
}

int emu_gp(struct x86_emu *e)
{
    return seg_fault(e, X86_DS);
}

int emu_ud(struct x86_emu *e)
{
    x86_raise_ud(e->v);
    return -E_GUEST;
}

bool emu_canonical(const struct x86_emu *e, u64 linear)
{
    unsigned unused = (e->a->cr4 & CR4_LA57) != 0 ? 7 : 16;

    return (u64)((s64)(linear << unused) >> unused) == linear;
}

/* Rights matter in protected mode only; real and virtual-8086 mode have none. */
static bool seg_rights_ok(const struct x86_emu *e, const struct x86_seg *s, u32 access)
{
    if ((e->a->cr0 & CR0_PE) == 0 || (e->a->rflags & RFLAGS_VM) != 0) {
        return true;
    }
    if ((s->attr & SEG_UNUSABLE) != 0) {
        return false;
    }
    bool code = (s->attr & SEG_CODE) != 0;
    bool rw = (s->attr & SEG_RW) != 0;
    return (access & X86_ACCESS_WRITE) != 0 ? !code && rw : !code || rw;
}

static bool seg_limit_ok(const struct x86_seg *s, u64 offset, u8 size)
{
    u64 last = offset + size - 1;

    if ((s->attr & (SEG_CODE | SEG_EXPAND_DOWN)) == SEG_EXPAND_DOWN) {
        return offset > s->limit && last <= ((s->attr & SEG_DB) != 0 ? GENMASK(31, 0) : GENMASK(15, 0));
    }
    return last <= s->limit;
}

/* SDM Vol. 3 5.3 "Limit checking", 5.5, and 3.3.7.1 "Canonical addressing". */
static bool segment(const struct x86_emu *e, u8 seg, u64 offset, u8 size, u32 access, u64 *linear)
{
    const struct x86_seg *s = &e->a->seg[seg];

    if (e->in.code_bits == 64) {
        *linear = offset + (seg >= X86_FS ? s->base : 0);
        return emu_canonical(e, *linear) && emu_canonical(e, *linear + size - 1);
    }
    *linear = (s->base + offset) & GENMASK(31, 0);
    return seg_rights_ok(e, s, access) && seg_limit_ok(s, offset, size);
}

/* Paging for size bytes, which may wrap around the top of the space that mask spans. */
static int open_pages(struct x86_emu *e, u64 linear, u64 mask, u8 size, u32 access, struct emu_span *span)
{
    struct emu_span s = {0};

    for (u8 done = 0; done < size; s.pieces++) {
        u64 at = (linear + done) & mask;
        u64 room = PAGE_BYTES - (at & (PAGE_BYTES - 1));
        u8 left = (u8)(size - done);
        u8 n = left < room ? left : (u8)room;
        struct x86_walk_result walked;

        if (x86_walk(e->v, GVA(at), access, true, &walked) != 0) {
            x86_raise_pf(e->v, GVA(at), walked.fault_error);
            return -E_GUEST;
        }
        s.piece[s.pieces].gpa = walked.gpa;
        s.piece[s.pieces].len = n;
        done = (u8)(done + n);
    }
    *span = s;
    return 0;
}

int emu_open(struct x86_emu *e, u8 seg, u64 offset, u8 size, u32 access, struct emu_span *span)
{
    u64 linear;

    if (!segment(e, seg, offset, size, access, &linear)) {
        return seg_fault(e, seg);
    }
    access |= e->a->cpl == 3 ? X86_ACCESS_USER : 0;
    return open_pages(e, linear, e->in.code_bits == 64 ? ~0ULL : GENMASK(31, 0), size, access, span);
}

int emu_open_table(struct x86_emu *e, u64 linear, u8 size, u32 access, struct emu_span *span)
{
    u64 mask = (e->a->efer & EFER_LMA) != 0 ? ~0ULL : GENMASK(31, 0);

    return open_pages(e, linear, mask, size, access, span);
}

/* May a stream go on from the element at offset to the last one, without a wrap of the index or a fault of the segment? */
static bool reaches(const struct x86_emu *e, const struct emu_stream *s, u64 offset, u64 last, u8 size)
{
    u64 linear;
    bool wraps = (e->flags & RFLAGS_DF) != 0 ? last > offset : last < offset;

    return !wraps && segment(e, s->seg, last, size, s->access, &linear);
}

/* How many of count elements, the first of which is at offset and opened, its translation serves: those in its page. Where the
 * stream ends before, a half, a quarter, ... of them: as many as surely are in front of that end. */
static u64 served(const struct x86_emu *e, const struct emu_stream *s, u64 offset, u8 size, u64 count)
{
    bool down = (e->flags & RFLAGS_DF) != 0;
    u64 at = s->span.piece[0].gpa.v % PAGE_BYTES;
    u64 more = s->span.pieces > 1 ? 0 : MIN((down ? at : PAGE_BYTES - size - at) / size, count - 1);

    for (; more > 0; more /= 2) {
        u64 last = (down ? offset - more * size : offset + more * size) & x86_size_mask(e->in.addrsize);
        if (reaches(e, s, offset, last, size)) {
            break;
        }
    }
    return more + 1;
}

int emu_open_stream(struct x86_emu *e, struct emu_stream *s, u8 size, u64 *count)
{
    const struct vcpu_config *config = &e->v->config;
    u64 offset = e->a->gpr[s->reg] & x86_size_mask(e->in.addrsize);
    int rc = emu_open(e, s->seg, offset, size, s->access, &s->span);

    if (rc != 0) {
        return rc;
    }
    *count = served(e, s, offset, size, *count);
    if (s->span.pieces == 1) {
        gpa_t page = GPA(ALIGN_DOWN(s->span.piece[0].gpa.v, PAGE_BYTES));
        s->span.page = config->mem->ram_lend(config->ctx, page, PAGE_BYTES, s->access != 0);
    }
    return 0;
}

/* Of 1, 2, 4 or 8 bytes, at once: another CPU may look on. */
static void copy(void *to, const void *from, u8 len)
{
    switch (len) {
    case 1: __builtin_memcpy(to, from, 1); break;
    case 2: __builtin_memcpy(to, from, 2); break;
    case 4: __builtin_memcpy(to, from, 4); break;
    default: __builtin_memcpy(to, from, 8); break;
    }
}

/* The widest access of 8, 4, 2, 1 bytes that fits into len. */
static u8 chunk(u8 len)
{
    return len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;
}

static void mmio_read(struct x86_emu *e, gpa_t gpa, u8 *buf, u8 len)
{
    while (len > 0) {
        u8 n = chunk(len);
        u64 value = ~0ULL;

        e->v->config.mem->mmio(e->v->config.ctx, gpa, n, false, &value);
        memcpy(buf, &value, n);
        gpa.v += n;
        buf += n;
        len = (u8)(len - n);
    }
}

static void mmio_write(struct x86_emu *e, gpa_t gpa, const u8 *buf, u8 len)
{
    while (len > 0) {
        u8 n = chunk(len);
        u64 value = 0;

        memcpy(&value, buf, n);
        e->v->config.mem->mmio(e->v->config.ctx, gpa, n, true, &value);
        gpa.v += n;
        buf += n;
        len = (u8)(len - n);
    }
}

static __attribute__((noinline)) void read_pieces(struct x86_emu *e, const struct emu_span *span, u8 *to)
{
    const struct vcpu_config *config = &e->v->config;

    for (u8 i = 0; i < span->pieces; i++) {
        u8 len = span->piece[i].len;
        if (config->mem->ram_read(config->ctx, span->piece[i].gpa, to, len) != 0) {
            mmio_read(e, span->piece[i].gpa, to, len);
        }
        to += len;
    }
}

static __attribute__((noinline)) void write_pieces(struct x86_emu *e, const struct emu_span *span, const u8 *from)
{
    const struct vcpu_config *config = &e->v->config;

    for (u8 i = 0; i < span->pieces; i++) {
        u8 len = span->piece[i].len;
        if (config->mem->ram_write(config->ctx, span->piece[i].gpa, from, len) != 0) {
            mmio_write(e, span->piece[i].gpa, from, len);
        }
        from += len;
    }
}

void emu_span_read(struct x86_emu *e, const struct emu_span *span, void *buf)
{
    if (span->page != NULL) {
        copy(buf, span->page + span->piece[0].gpa.v % PAGE_BYTES, span->piece[0].len);
    } else {
        read_pieces(e, span, buf);
    }
}

void emu_span_write(struct x86_emu *e, const struct emu_span *span, const void *buf)
{
    if (span->page != NULL) {
        copy(span->page + span->piece[0].gpa.v % PAGE_BYTES, buf, span->piece[0].len);
    } else {
        write_pieces(e, span, buf);
    }
}

u64 emu_address(const struct x86_emu *e)
{
    const struct x86_insn *in = &e->in;
    u64 address = in->disp;

    if (in->base != X86_NO_REG) {
        address += e->a->gpr[in->base];
    }
    if (in->index != X86_NO_REG) {
        address += e->a->gpr[in->index] * in->scale;
    }
    if (in->rip_relative) {
        address += e->a->rip + in->length;
    }
    return address & x86_size_mask(in->addrsize);
}
