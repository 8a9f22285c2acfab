/* The short way for the instructions with which drivers reach devices: MOV and MOVZX between a register or a constant and
 * memory, in 64-bit code. Fetching, decoding and walking cost most of an emulation, and the instructions are always the
 * same few; so what they were found to be is remembered. It holds as long as the code is the same, for which two things are
 * read again: the page-table entries that lead to it, and its bytes. The hardware has done all checks of the access before
 * it said which guest-physical address is meant. */
#include "vcpu/x86_64/emulate_short.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/heap.h"

#define MOVES 8U /* remembered, by RIP */
#define BYTES_MAX 8U
#define LEVELS 4U

struct move {
    u64 rip, cr3;
    u64 bytes, mask; /* the instruction's, and which of the word are */
    const u8 *code;
    const u64 *at[LEVELS]; /* the entries that lead to it; those that a large page leaves over repeat the last */
    u64 entry[LEVELS];
    u64 disp; /* with what RIP-relative addressing adds */
    s32 imm;  /* sign-extended, as all constants are that can be stored */
    u8 length;       /* 0: nothing is remembered here */
    u8 base, index;  /* or X86_NO_REG */
    u8 scale;
    u8 reg;          /* or X86_NO_REG: imm is stored */
    u8 size, width;  /* bytes in memory; in the register */
    bool write;
    bool high_byte;  /* AH..BH */
};

_Static_assert((sizeof(struct move) & (sizeof(struct move) - 1)) == 0, "found by a shift");

struct x86_moves {
    struct move move[MOVES];
};

static struct move *move_at(const struct vcpu *v, u64 rip)
{
    return &v->arch.moves->move[rip % MOVES];
}

int x86_moves_init(struct vcpu *v)
{
    v->arch.moves = heap_alloc(sizeof(*v->arch.moves));
    return v->arch.moves != NULL ? 0 : -E_NOMEM;
}

void x86_moves_fini(struct vcpu *v)
{
    heap_free(v->arch.moves);
    v->arch.moves = NULL;
}

void x86_moves_forget(struct vcpu *v)
{
    memset(v->arch.moves, 0, sizeof(*v->arch.moves));
}

/* --- learn -------------------------------------------------------------------------------------------------------------- */

/* One of ours? Then what it does. */
static bool describe(const struct x86_emu *e, struct move *m)
{
    const struct x86_insn *in = &e->in;
    u8 reg = m->write ? e->src.reg : e->dst.reg;

    m->length = in->length;
    m->base = in->base;
    m->index = in->index;
    m->scale = in->scale;
    m->disp = in->disp + (in->rip_relative ? m->rip + in->length : 0);
    m->size = m->write ? e->dst.size : e->src.size;
    m->width = m->write ? m->size : e->dst.size;
    m->imm = (s32)in->imm;
    m->high_byte = m->width == 1 && in->rex == 0 && reg >= X86_RSP && reg <= X86_RDI;
    m->reg = m->high_byte ? (u8)(reg - X86_RSP) : reg;
    return e->op->run == emu_mov && in->code_bits == 64 && in->addrsize == 8 && in->seg < X86_FS &&
           in->length <= BYTES_MAX && e->dst.mem != e->src.mem && (m->write || e->op->dst == EMU_G);
}

/* Where the code is, and through which entries. */
static bool locate(struct vcpu *v, struct move *m)
{
    const struct vcpu_config *config = &v->config;
    struct x86_walk_report walk;

    x86_walk_explain(v, GVA(m->rip), X86_ACCESS_FETCH | (v->arch.cpl == 3 ? X86_ACCESS_USER : 0), &walk);
    if (walk.failed || walk.levels != LEVELS || walk.gpa.v % PAGE_BYTES > PAGE_BYTES - BYTES_MAX) {
        return false;
    }
    for (u32 i = 0; i < LEVELS; i++) {
        u32 from = MIN(i, walk.met - 1U);
        m->entry[i] = walk.entry[from];
        m->at[i] = config->mem->ram_window(config->ctx, GPA(walk.at[from]), sizeof(u64));
        if (m->at[i] == NULL) {
            return false;
        }
    }
    m->code = config->mem->ram_window(config->ctx, walk.gpa, BYTES_MAX);
    return m->code != NULL;
}

void x86_moves_learn(const struct x86_emu *e, u64 rip, const u8 *bytes)
{
    struct move m = {.rip = rip, .cr3 = e->a->cr3, .write = e->dst.mem};

    if (describe(e, &m) && locate(e->v, &m)) {
        m.mask = ~0ULL >> (64 - 8U * m.length);
        memcpy(&m.bytes, bytes, m.length);
        *move_at(e->v, rip) = m;
    }
}

/* --- execute -------------------------------------------------------------------------------------------------------------- */

static const u64 size_masks[] = {[1] = GENMASK(7, 0), [2] = GENMASK(15, 0), [4] = GENMASK(31, 0), [8] = ~0ULL};

static u64 read_word(const u8 *at)
{
    u64 word;

    __builtin_memcpy(&word, at, sizeof(word));
    return word;
}

/* Is the instruction at the PC still what m says? */
static inline bool holds(const struct vcpu_arch *a, const struct move *m)
{
    if (m->rip != a->rip || m->cr3 != a->cr3 || m->length == 0) {
        return false;
    }
    u64 differ = (read_word(m->code) ^ m->bytes) & m->mask;
#pragma GCC unroll 4
    for (u32 i = 0; i < LEVELS; i++) {
        differ |= READ_ONCE(*m->at[i]) ^ m->entry[i];
    }
    return differ == 0;
}

/* Does the access begin at gpa and stay in its page? One that came from the page before ends here, too. */
static inline bool begins_at(const struct vcpu_arch *a, const struct move *m, gpa_t gpa)
{
    u64 address = m->disp;

    address += m->base != X86_NO_REG ? a->gpr[m->base] : 0;
    address += m->index != X86_NO_REG ? a->gpr[m->index] * m->scale : 0;
    return (address ^ gpa.v) % PAGE_BYTES == 0 && gpa.v % PAGE_BYTES <= PAGE_BYTES - m->size;
}

static inline void load(struct vcpu_arch *a, const struct move *m, u64 value)
{
    u64 *reg = &a->gpr[m->reg];
    unsigned shift = m->high_byte ? 8 : 0;

    if (m->width >= sizeof(u32)) {
        *reg = value;
    } else {
        *reg = (*reg & ~(size_masks[m->width] << shift)) | value << shift;
    }
}

NO_STACK_GUARD bool x86_moves_execute(struct vcpu *v, gpa_t gpa, bool write)
{
    const struct vcpu_config *config = &v->config;
    const struct move *m = move_at(v, v->arch.rip);
    struct vcpu_arch *a = x86_regs(v, X86_G_CR | X86_G_MODE);

    if (a->reinject || (a->dirty & (X86_G_CR | X86_G_SEG)) != 0 || a->code_bits != 64) {
        return false;
    }
    if (!holds(a, m) || m->write != write || !begins_at(a, m, gpa)) {
        return false;
    }
    u64 value = ~0ULL;
    if (write) {
        value = m->reg == X86_NO_REG ? (u64)(s64)m->imm : a->gpr[m->reg] >> (m->high_byte ? 8 : 0);
        value &= size_masks[m->size];
    }
    config->mem->mmio(config->ctx, gpa, m->size, write, &value);
    if (!write) {
        load(a, m, value & size_masks[m->size]);
    }
    x86_advance(v, m->length);
    return true;
}
