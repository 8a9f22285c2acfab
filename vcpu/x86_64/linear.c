/* Guest-linear memory: reads, writes and instruction fetch through the guest's page tables. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/decode.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/x86.h"

/* Bytes from va to the end of its 4 KiB page, at most len. */
static size_t in_page(u64 va, size_t len)
{
    u64 room = PAGE_BYTES - (va & (PAGE_BYTES - 1));

    return len < room ? len : (size_t)room;
}

int x86_read_linear(struct vcpu *v, gva_t va, void *buf, size_t len, u32 access)
{
    u8 *to = buf;

    while (len > 0) {
        struct x86_walk_result at;
        size_t n = in_page(va.v, len);

        if (x86_walk(v, va, access, true, &at) != 0 || v->config.mem->ram_read(v->config.ctx, at.gpa, to, n) != 0) {
            return -E_FAULT;
        }
        to += n;
        va.v += n;
        len -= n;
    }
    return 0;
}

int x86_write_linear(struct vcpu *v, gva_t va, const void *buf, size_t len, u32 access)
{
    const u8 *from = buf;

    while (len > 0) {
        struct x86_walk_result at;
        size_t n = in_page(va.v, len);

        if (x86_walk(v, va, access | X86_ACCESS_WRITE, true, &at) != 0 ||
            v->config.mem->ram_write(v->config.ctx, at.gpa, from, n) != 0) {
            return -E_FAULT;
        }
        from += n;
        va.v += n;
        len -= n;
    }
    return 0;
}

u8 x86_code_bits(struct vcpu *v)
{
    if ((v->arch.valid & X86_G_SEG) == 0 && (v->arch.dirty & X86_G_CR) == 0) {
        return x86_regs(v, X86_G_MODE)->code_bits;
    }
    const struct vcpu_arch *a = x86_regs(v, X86_G_CR | X86_G_SEG);
    u32 attr = a->seg[X86_CS].attr;

    if ((a->efer & EFER_LMA) != 0 && (attr & SEG_L) != 0) {
        return 64;
    }
    return (attr & SEG_DB) != 0 ? 32 : 16;
}

size_t x86_fetch_insn(struct vcpu *v, u8 buf[15])
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_CORE | X86_G_CR | X86_G_SEG);
    u32 access = X86_ACCESS_FETCH | (a->cpl == 3 ? X86_ACCESS_USER : 0);
    bool flat = x86_code_bits(v) == 64;
    u64 va = flat ? a->rip : (a->seg[X86_CS].base + a->rip) & GENMASK(31, 0);
    size_t have = 0;

    while (have < X86_INSN_MAX) {
        struct x86_walk_result at;
        size_t n = in_page(va + have, X86_INSN_MAX - have);

        if (x86_walk(v, GVA(va + have), access, false, &at) != 0 ||
            v->config.mem->ram_read(v->config.ctx, at.gpa, buf + have, n) != 0) {
            break;
        }
        have += n;
    }
    return have;
}

u8 x86_insn_len(struct vcpu *v)
{
    u8 bytes[X86_INSN_MAX];
    struct x86_insn in;
    size_t have = x86_fetch_insn(v, bytes);

    return x86_decode(bytes, have, x86_code_bits(v), &in) == 0 ? in.length : 0;
}

int vcpu_translate(struct vcpu *v, gva_t va, gpa_t *out)
{
    struct x86_walk_result at;

    if (va.v > LOW_HALF && (x86_regs(v, X86_G_CR)->efer & EFER_LMA) == 0) {
        return -E_RANGE;
    }
    /* A user page is to be found too when SMAP keeps the kernel off it. */
    if (x86_walk(v, va, 0, false, &at) != 0 && x86_walk(v, va, X86_ACCESS_USER, false, &at) != 0) {
        return -E_FAULT;
    }
    *out = at.gpa;
    return 0;
}
