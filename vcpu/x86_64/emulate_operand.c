/* Operands: registers, memory, constants. */
#include "kernel/lib/errno.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/emulate_alu.h"

static bool is_high_byte(const struct x86_emu *e, u8 reg, u8 size)
{
    return size == 1 && e->in.rex == 0 && reg >= X86_RSP && reg <= X86_RDI;
}

u64 emu_reg_read(const struct x86_emu *e, u8 reg, u8 size)
{
    if (is_high_byte(e, reg, size)) {
        return e->a->gpr[reg - X86_RSP] >> 8 & x86_size_mask(1);
    }
    return e->a->gpr[reg] & x86_size_mask(size);
}

void emu_reg_write(struct x86_emu *e, u8 reg, u8 size, u64 value)
{
    u64 mask = x86_size_mask(size);

    if (is_high_byte(e, reg, size)) {
        u64 *low = &e->a->gpr[reg - X86_RSP];
        *low = (*low & ~(mask << 8)) | (value & mask) << 8;
        return;
    }
    u64 keep = size >= 4 ? 0 : e->a->gpr[reg] & ~mask;
    e->a->gpr[reg] = keep | (value & mask);
}

static int open_memory(struct x86_emu *e, struct emu_operand *o, u32 access, u64 moved)
{
    u64 address = (emu_address(e) + moved) & x86_size_mask(e->in.addrsize);

    o->mem = true;
    return emu_open(e, e->in.seg, address, o->size, access, &o->span);
}

/* BT and friends with a register: the bit number, signed, reaches beyond the operand (SDM Vol. 2 "BT"). */
static u64 bit_displacement(const struct x86_emu *e, u8 size)
{
    s64 bit = (s64)x86_sign_extend(emu_reg_read(e, e->in.reg, size), size);
    s64 width = 8 * size;

    return (u64)((bit & ~(width - 1)) / 8);
}

static int constant(struct emu_operand *o, u64 value)
{
    o->reg = X86_NO_REG;
    o->value = value & x86_size_mask(o->size);
    return 0;
}

int emu_operand_open(struct x86_emu *e, struct emu_operand *o, u8 where, u32 access)
{
    o->mem = false;
    switch (where) {
    case EMU_E:
    case EMU_EBIT:
        o->reg = e->in.rm;
        if (!e->in.mem) {
            return 0;
        }
        return open_memory(e, o, access, where == EMU_EBIT ? bit_displacement(e, o->size) : 0);
    case EMU_MOFFS:
        return open_memory(e, o, access, 0);
    case EMU_G:
        o->reg = e->in.reg;
        return 0;
    case EMU_Z:
        o->reg = (u8)((e->in.opcode & 7) | ((e->in.rex & X86_REX_B) != 0 ? 8 : 0));
        return 0;
    case EMU_A:
        o->reg = X86_RAX;
        return 0;
    case EMU_C:
        o->reg = X86_RCX;
        return 0;
    case EMU_IMM:
        return constant(o, e->in.imm);
    default:
        return constant(o, where == EMU_ONE ? 1 : 0);
    }
}

void emu_operand_load(struct x86_emu *e, struct emu_operand *o)
{
    if (o->mem) {
        o->value = 0;
        emu_span_read(e, &o->span, &o->value);
    } else if (o->reg != X86_NO_REG) {
        o->value = emu_reg_read(e, o->reg, o->size);
    }
}

void emu_operand_store(struct x86_emu *e, struct emu_operand *o)
{
    if (o->mem) {
        emu_span_write(e, &o->span, &o->value);
    } else if (o->reg != X86_NO_REG) {
        emu_reg_write(e, o->reg, o->size, o->value);
    }
}

int x86_emu_read_rm16(struct vcpu *v, const struct x86_insn *in, u64 *value)
{
    struct x86_emu e = {.v = v, .a = x86_regs(v, X86_G_CORE | X86_G_SEG | X86_G_CR), .in = *in};

    e.src.size = sizeof(u16);
    int rc = emu_operand_open(&e, &e.src, EMU_E, 0);
    if (rc != 0) {
        return rc;
    }
    emu_operand_load(&e, &e.src);
    *value = e.src.value;
    return 0;
}
