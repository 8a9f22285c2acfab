/* Stack and near branches through a register or memory operand. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/emulate_alu.h"
#include "vcpu/x86_64/segment.h"

/* Width of the stack pointer: SDM Vol. 1 6.2.3. */
static u8 stack_width(const struct x86_emu *e)
{
    if (e->in.code_bits == 64) {
        return 8;
    }
    return (e->a->seg[X86_SS].attr & SEG_DB) != 0 ? 4 : 2;
}

u64 emu_stack_pointer(const struct x86_emu *e)
{
    return e->a->gpr[X86_RSP] & x86_size_mask(stack_width(e));
}

void emu_set_stack_pointer(struct x86_emu *e, u64 value)
{
    u64 mask = x86_size_mask(stack_width(e));

    e->a->gpr[X86_RSP] = (e->a->gpr[X86_RSP] & ~mask) | (value & mask);
}

static int push(struct x86_emu *e, u64 value, u8 size)
{
    struct emu_span span;
    u64 top = (e->a->gpr[X86_RSP] - size) & x86_size_mask(stack_width(e));
    int rc = emu_open(e, X86_SS, top, size, X86_ACCESS_WRITE, &span);

    if (rc != 0) {
        return rc;
    }
    emu_span_write(e, &span, &value);
    emu_set_stack_pointer(e, top);
    return 0;
}

int emu_push(struct x86_emu *e)
{
    return push(e, e->dst.value, e->dst.size);
}

/* POP into a register: the new stack pointer first, so that POP RSP keeps what was popped. */
int emu_pop(struct x86_emu *e)
{
    struct emu_span span;
    u64 top = emu_stack_pointer(e);
    int rc = emu_open(e, X86_SS, top, e->dst.size, 0, &span);

    if (rc != 0) {
        return rc;
    }
    e->dst.value = 0;
    emu_span_read(e, &span, &e->dst.value);
    emu_set_stack_pointer(e, top + e->dst.size);
    return 0;
}

/* POP r/m: an address by RSP is computed after the increment (SDM Vol. 2 "POP"). */
int emu_pop_rm(struct x86_emu *e)
{
    u64 old = e->a->gpr[X86_RSP];
    int rc;

    e->dst.size = e->in.opsize;
    rc = emu_pop(e);
    if (rc != 0) {
        return rc;
    }
    rc = emu_operand_open(e, &e->dst, EMU_E, X86_ACCESS_WRITE);
    if (rc != 0) {
        e->a->gpr[X86_RSP] = old;
        return rc;
    }
    emu_operand_store(e, &e->dst);
    return 0;
}

static bool target_ok(const struct x86_emu *e, u64 target)
{
    return e->in.code_bits == 64 ? emu_canonical(e, target) : target <= e->a->seg[X86_CS].limit;
}

static void branch(struct x86_emu *e, u64 target)
{
    x86_advance(e->v, e->in.length); /* ends the interrupt shadow and RF */
    e->flags = e->a->rflags;
    e->a->rip = target;
    e->stay = true;
}

int emu_jmp(struct x86_emu *e)
{
    if (!target_ok(e, e->dst.value)) {
        return emu_gp(e);
    }
    branch(e, e->dst.value);
    return 0;
}

int emu_call(struct x86_emu *e)
{
    u64 target = e->dst.value;
    u64 from = (e->a->rip + e->in.length) & x86_size_mask(e->dst.size);

    if (!target_ok(e, target)) {
        return emu_gp(e);
    }
    int rc = push(e, from, e->dst.size);
    if (rc != 0) {
        return rc;
    }
    branch(e, target);
    return 0;
}
