/* What each instruction does with its operands. Before: dst (with EMU_RD) and src are loaded. After: dst is stored (with
 * EMU_WR) and flags become RFLAGS. None of these may fail after a side effect. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/emulate_alu.h"

int emu_alu(struct x86_emu *e)
{
    e->dst.value = x86_alu(e->op->arg, e->dst.size, e->dst.value, e->src.value, &e->flags);
    return 0;
}

int emu_mov(struct x86_emu *e)
{
    e->dst.value = e->src.value;
    return 0;
}

int emu_movsx(struct x86_emu *e)
{
    e->dst.value = x86_sign_extend(e->src.value, e->src.size);
    return 0;
}

int emu_movbe_run(struct x86_emu *e)
{
    e->dst.value = __builtin_bswap64(e->src.value) >> (64 - 8 * e->dst.size);
    return 0;
}

int emu_test(struct x86_emu *e)
{
    (void)x86_alu(X86_AND, e->dst.size, e->dst.value, e->src.value, &e->flags);
    return 0;
}

int emu_not(struct x86_emu *e)
{
    e->dst.value = ~e->dst.value;
    return 0;
}

int emu_neg(struct x86_emu *e)
{
    e->dst.value = x86_neg(e->dst.size, e->dst.value, &e->flags);
    return 0;
}

int emu_incdec(struct x86_emu *e)
{
    e->dst.value = x86_incdec(e->op->arg != 0, e->dst.size, e->dst.value, &e->flags);
    return 0;
}

int emu_shift(struct x86_emu *e)
{
    e->dst.value = x86_shift(e->op->arg, e->dst.size, e->dst.value, e->src.value, &e->flags);
    return 0;
}

int emu_bit(struct x86_emu *e)
{
    e->dst.value = x86_bit(e->op->arg, e->dst.size, e->dst.value, e->src.value, &e->flags);
    return 0;
}

int emu_xchg(struct x86_emu *e)
{
    u64 old = e->dst.value;

    e->dst.value = e->src.value;
    e->src.value = old;
    emu_operand_store(e, &e->src);
    return 0;
}

int emu_xadd(struct x86_emu *e)
{
    u64 sum = x86_alu(X86_ADD, e->dst.size, e->dst.value, e->src.value, &e->flags);

    e->src.value = e->dst.value;
    emu_operand_store(e, &e->src);
    e->dst.value = sum;
    return 0;
}

/* Memory is written in either case, with its old value when the comparison fails (SDM Vol. 2 "CMPXCHG"). */
int emu_cmpxchg(struct x86_emu *e)
{
    u64 accumulator = emu_reg_read(e, X86_RAX, e->dst.size);

    (void)x86_alu(X86_CMP, e->dst.size, accumulator, e->dst.value, &e->flags);
    if ((e->flags & RFLAGS_ZF) != 0) {
        e->dst.value = e->src.value;
    } else {
        emu_reg_write(e, X86_RAX, e->dst.size, e->dst.value);
    }
    return 0;
}

/* CMPXCHG8B and CMPXCHG16B: RDX:RAX against two words of memory. */
int emu_cmpxchg_pair(struct x86_emu *e)
{
    u8 half = (e->in.rex & X86_REX_W) != 0 ? 8 : 4;
    u8 size = (u8)(2 * half);
    u8 bytes[16] = {0};
    struct emu_operand low = {.size = half, .reg = X86_RAX}, high = {.size = half, .reg = X86_RDX};
    u64 address = emu_address(e);
    int rc = emu_open(e, e->in.seg, address, size, X86_ACCESS_WRITE, &e->dst.span);

    if (rc != 0) {
        return rc;
    }
    if (half == 8 && (address + (e->in.seg >= X86_FS ? e->a->seg[e->in.seg].base : 0)) % size != 0) {
        return emu_gp(e);
    }
    emu_span_read(e, &e->dst.span, bytes);
    for (u8 i = 0; i < half; i++) {
        low.value |= (u64)bytes[i] << (8 * i);
        high.value |= (u64)bytes[half + i] << (8 * i);
    }
    if (low.value == emu_reg_read(e, X86_RAX, half) && high.value == emu_reg_read(e, X86_RDX, half)) {
        u64 new_low = emu_reg_read(e, X86_RBX, half), new_high = emu_reg_read(e, X86_RCX, half);
        for (u8 i = 0; i < half; i++) {
            bytes[i] = (u8)(new_low >> (8 * i));
            bytes[half + i] = (u8)(new_high >> (8 * i));
        }
        e->flags |= RFLAGS_ZF;
    } else {
        emu_operand_store(e, &low);
        emu_operand_store(e, &high);
        e->flags &= ~RFLAGS_ZF;
    }
    emu_span_write(e, &e->dst.span, bytes);
    return 0;
}

int emu_setcc(struct x86_emu *e)
{
    e->dst.value = x86_condition(e->in.opcode, e->flags);
    return 0;
}

int emu_cmovcc(struct x86_emu *e)
{
    if (x86_condition(e->in.opcode, e->flags)) {
        e->dst.value = e->src.value;
    }
    return 0;
}

int emu_smsw(struct x86_emu *e)
{
    if (e->a->cpl != 0 && (e->a->cr4 & CR4_UMIP) != 0) {
        return emu_gp(e);
    }
    e->dst.value = e->a->cr0;
    return 0;
}

int emu_nothing(struct x86_emu *e)
{
    (void)e;
    return 0;
}
