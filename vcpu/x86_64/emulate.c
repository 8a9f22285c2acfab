/* One instruction in software: fetch, decode, open operands (all faults happen here), execute, store, advance. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate_short.h"

enum { MOVBE_LOAD = 0xF0, MOVBE_STORE = 0xF1, OP_MOVSXD = 0x63, OP_MOVNTI = 0xC3, OP_GROUP15 = 0xAE };

static bool is_known(const struct emu_op *op)
{
    return op->run != NULL || op->group != NULL;
}

/* Prefixes that make another instruction of the same opcode. */
static bool prefix_means_other(const struct x86_insn *in)
{
    bool any = in->rep != 0 || in->opsize_prefix;

    if (in->map == X86_MAP_0F38) {
        return in->rep != 0; /* CRC32 */
    }
    if (in->map == X86_MAP_0F) {
        return (in->opcode == OP_MOVNTI && any) || (in->opcode == OP_GROUP15 && in->rep != 0);
    }
    return in->opcode == OP_MOVSXD && in->code_bits != 64; /* ARPL */
}

static const struct emu_op *find(const struct x86_insn *in)
{
    const struct emu_op *op = NULL;

    if (in->vex || prefix_means_other(in)) {
        return NULL;
    }
    if (in->map == X86_MAP_ONE) {
        op = &emu_one[in->opcode];
    } else if (in->map == X86_MAP_0F) {
        op = &emu_0f[in->opcode];
    } else if (in->map == X86_MAP_0F38 && (in->opcode == MOVBE_LOAD || in->opcode == MOVBE_STORE)) {
        op = &emu_movbe[in->opcode - MOVBE_LOAD];
    }
    if (op == NULL || !is_known(op)) {
        return NULL;
    }
    if (op->group != NULL) {
        op = &op->group[in->reg & 7];
    }
    return op->run != NULL ? op : NULL;
}

static int open_operands(struct x86_emu *e)
{
    const struct emu_op *op = e->op;

    e->dst.size = op->size != 0 ? op->size : e->in.opsize;
    e->src.size = op->src_size != 0 ? op->src_size : e->dst.size;
    int rc = emu_operand_open(e, &e->dst, op->dst, (op->flags & EMU_WR) != 0 ? X86_ACCESS_WRITE : 0);
    return rc != 0 ? rc : emu_operand_open(e, &e->src, op->src, 0);
}

static int run_with_operands(struct x86_emu *e)
{
    int rc = open_operands(e);

    if (rc != 0) {
        return rc;
    }
    emu_operand_load(e, &e->src);
    if ((e->op->flags & EMU_RD) != 0) {
        emu_operand_load(e, &e->dst);
    }
    rc = e->op->run(e);
    if (rc == 0 && (e->op->flags & EMU_WR) != 0) {
        emu_operand_store(e, &e->dst);
    }
    return rc;
}

static int execute(struct x86_emu *e)
{
    bool self = (e->op->flags & EMU_SELF) != 0;

    if (e->in.lock && !((e->op->flags & EMU_LOCK) != 0 && e->in.mem)) {
        return emu_ud(e);
    }
    if ((e->op->flags & EMU_MEM) != 0 && !e->in.mem) {
        return emu_ud(e);
    }
    int rc = self ? e->op->run(e) : run_with_operands(e);
    if (rc == 0) {
        e->a->rflags = e->flags;
    }
    x86_regs_changed(e->v, X86_G_CORE);
    if (rc == 0 && !e->stay) {
        x86_advance(e->v, e->in.length);
    }
    return rc;
}

/* The bytes at the PC could not be fetched or make no instruction. */
static int fetch_failed(struct x86_emu *e, size_t have, int error)
{
    bool flat = e->in.code_bits == 64;
    u64 at = (flat ? 0 : e->a->seg[X86_CS].base) + e->a->rip + have;
    u32 access = X86_ACCESS_FETCH | (e->a->cpl == 3 ? X86_ACCESS_USER : 0);
    struct x86_walk_result walked;

    if (error == -E_RANGE) {
        return emu_gp(e);
    }
    if (error == -E_INVAL) {
        return emu_ud(e);
    }
    if (x86_walk(e->v, GVA(at), access, true, &walked) == 0) {
        return -E_NOSYS; /* code in device memory */
    }
    x86_raise_pf(e->v, GVA(at), walked.fault_error);
    return -E_GUEST;
}

static int emulate_one(struct x86_emu *e)
{
    u8 bytes[X86_INSN_MAX];
    u64 rip = e->a->rip;
    size_t have = x86_fetch_insn(e->v, bytes);
    u8 code_bits = x86_code_bits(e->v);
    int rc = x86_decode(bytes, have, code_bits, &e->in);

    if (rc != 0) {
        e->in.code_bits = code_bits;
        return fetch_failed(e, have, rc);
    }
    e->op = find(&e->in);
    if (e->op == NULL) {
        return -E_NOSYS;
    }
    rc = execute(e);
    if (rc == 0) {
        x86_moves_learn(e, rip, bytes);
    }
    return rc;
}

/* Was the access that failed part of an event's delivery, not of the instruction at the PC? An interrupt may also be kept
 * from earlier, but then only because the guest cannot take it yet. */
static bool delivers_event(const struct vcpu_arch *a)
{
    bool open = (a->rflags & RFLAGS_IF) != 0 && (a->blocking & (X86_BLOCK_STI | X86_BLOCK_MOVSS)) == 0;

    return a->reinject && (a->interrupted_type != VCPU_EVENT_IRQ || open);
}

int vcpu_emulate_access(struct vcpu *v, const struct vcpu_exit *exit)
{
    bool memory = (exit->npf.flags & NPF_PRESENT) != 0;

    if (!memory && x86_moves_execute(v, exit->npf.gpa, (exit->npf.flags & NPF_WRITE) != 0)) {
        return 0;
    }
    return vcpu_emulate(v);
}

int vcpu_emulate(struct vcpu *v)
{
    struct x86_emu e = {.v = v, .a = x86_regs(v, X86_G_CORE | X86_G_SEG | X86_G_CR)};

    if (delivers_event(e.a)) {
        return -E_NOSYS;
    }
    e.flags = e.a->rflags;
    int rc = emulate_one(&e);
    return rc == -E_GUEST ? 0 : rc;
}
