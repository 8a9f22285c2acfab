#include "vcpu/x86_64/emulate_alu.h"
#include "kernel/x86_64/regs.h"

#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

u64 x86_size_mask(u8 size)
{
    return size >= 8 ? ~0ULL : BIT(8 * size) - 1;
}

u64 x86_sign_extend(u64 value, u8 size)
{
    u64 sign = BIT(8 * size - 1);

    value &= x86_size_mask(size);
    return (value ^ sign) - sign;
}

static bool msb(u64 value, u8 size)
{
    return (value >> (8 * size - 1) & 1) != 0;
}

static void set_flag(u64 *flags, u64 flag, bool on)
{
    *flags = on ? *flags | flag : *flags & ~flag;
}

/* SF, ZF, PF by the result. */
static void flags_result(u64 *flags, u8 size, u64 result)
{
    set_flag(flags, RFLAGS_SF, msb(result, size));
    set_flag(flags, RFLAGS_ZF, (result & x86_size_mask(size)) == 0);
    set_flag(flags, RFLAGS_PF, __builtin_parityll(result & x86_size_mask(1)) == 0);
}

static u64 add(u8 size, u64 a, u64 b, bool carry, u64 *flags)
{
    u64 mask = x86_size_mask(size);
    u64 result = (a + b + carry) & mask;

    flags_result(flags, size, result);
    set_flag(flags, RFLAGS_CF, result < a || (carry && result == a));
    set_flag(flags, RFLAGS_AF, ((a ^ b ^ result) & RFLAGS_AF) != 0);
    set_flag(flags, RFLAGS_OF, msb(~(a ^ b) & (a ^ result), size));
    return result;
}

static u64 sub(u8 size, u64 a, u64 b, bool borrow, u64 *flags)
{
    u64 result = (a - b - borrow) & x86_size_mask(size);

    flags_result(flags, size, result);
    set_flag(flags, RFLAGS_CF, a < b || (borrow && a == b));
    set_flag(flags, RFLAGS_AF, ((a ^ b ^ result) & RFLAGS_AF) != 0);
    set_flag(flags, RFLAGS_OF, msb((a ^ b) & (a ^ result), size));
    return result;
}

static u64 logic(u8 size, u64 result, u64 *flags)
{
    *flags &= ~STATUS_FLAGS;
    flags_result(flags, size, result);
    return result;
}

u64 x86_alu(enum x86_alu op, u8 size, u64 dst, u64 src, u64 *flags)
{
    bool carry = (*flags & RFLAGS_CF) != 0;

    dst &= x86_size_mask(size);
    src &= x86_size_mask(size);
    switch (op) {
    case X86_ADD:
        return add(size, dst, src, false, flags);
    case X86_OR:
        return logic(size, dst | src, flags);
    case X86_ADC:
        return add(size, dst, src, carry, flags);
    case X86_SBB:
        return sub(size, dst, src, carry, flags);
    case X86_AND:
        return logic(size, dst & src, flags);
    case X86_SUB:
        return sub(size, dst, src, false, flags);
    case X86_XOR:
        return logic(size, dst ^ src, flags);
    case X86_CMP:
    default:
        (void)sub(size, dst, src, false, flags);
        return dst;
    }
}

u64 x86_incdec(bool dec, u8 size, u64 dst, u64 *flags)
{
    u64 carry = *flags & RFLAGS_CF;

    dst &= x86_size_mask(size);
    u64 result = dec ? sub(size, dst, 1, false, flags) : add(size, dst, 1, false, flags);
    *flags = (*flags & ~RFLAGS_CF) | carry;
    return result;
}

u64 x86_neg(u8 size, u64 dst, u64 *flags)
{
    return sub(size, 0, dst & x86_size_mask(size), false, flags);
}

/* Rotate by one; CF as the instruction leaves it. */
static u64 rotate_once(enum x86_shift op, u8 size, u64 value, u64 *flags)
{
    bool left = op == X86_ROL || op == X86_RCL;
    bool out = left ? msb(value, size) : (value & 1) != 0;
    bool in = op == X86_ROL || op == X86_ROR ? out : (*flags & RFLAGS_CF) != 0;

    set_flag(flags, RFLAGS_CF, out);
    value = left ? value << 1 | in : value >> 1 | (u64)in << (8 * size - 1);
    return value & x86_size_mask(size);
}

static u64 rotate(enum x86_shift op, u8 size, u64 value, u8 count, u64 *flags)
{
    bool left = op == X86_ROL || op == X86_RCL;
    u8 width = (u8)(8 * size + (op == X86_RCL || op == X86_RCR ? 1 : 0));
    u8 steps = count % width;

    for (u8 i = 0; i < steps; i++) {
        value = rotate_once(op, size, value, flags);
    }
    if (steps == 0 && (op == X86_ROL || op == X86_ROR)) { /* full turns still copy the bit that went round last */
        set_flag(flags, RFLAGS_CF, left ? (value & 1) != 0 : msb(value, size));
    }
    bool carry = (*flags & RFLAGS_CF) != 0;
    bool next = (value >> (8 * size - 2) & 1) != 0;
    set_flag(flags, RFLAGS_OF, msb(value, size) != (left ? carry : next));
    return value;
}

static u64 shift_left(u8 size, u64 value, u8 count, u64 *flags)
{
    u8 width = (u8)(8 * size);
    u64 result = (value << count) & x86_size_mask(size);

    flags_result(flags, size, result);
    set_flag(flags, RFLAGS_CF, count <= width && (value >> (width - count) & 1) != 0);
    set_flag(flags, RFLAGS_OF, msb(result, size) != ((*flags & RFLAGS_CF) != 0));
    return result;
}

static u64 shift_right(bool arithmetic, u8 size, u64 value, u8 count, u64 *flags)
{
    u64 wide = arithmetic ? x86_sign_extend(value, size) : value;
    u64 last = arithmetic ? (u64)((s64)wide >> (count - 1)) : wide >> (count - 1);
    u64 result = (arithmetic ? (u64)((s64)last >> 1) : last >> 1) & x86_size_mask(size);

    flags_result(flags, size, result);
    set_flag(flags, RFLAGS_CF, (last & 1) != 0);
    set_flag(flags, RFLAGS_OF, !arithmetic && msb(value, size));
    return result;
}

u64 x86_shift(enum x86_shift op, u8 size, u64 dst, u64 count, u64 *flags)
{
    const u8 mask5 = 31, mask6 = 63;
    u8 n = (u8)(count & (size == 8 ? mask6 : mask5));

    dst &= x86_size_mask(size);
    if (n == 0) {
        return dst;
    }
    switch (op) {
    case X86_SHL:
    case X86_SAL:
        return shift_left(size, dst, n, flags);
    case X86_SHR:
    case X86_SAR:
        return shift_right(op == X86_SAR, size, dst, n, flags);
    case X86_ROL:
    case X86_ROR:
    case X86_RCL:
    case X86_RCR:
    default:
        return rotate(op, size, dst, n, flags);
    }
}

u64 x86_bit(enum x86_bit op, u8 size, u64 dst, u64 bit, u64 *flags)
{
    u64 mask = BIT(bit & (8U * size - 1));

    set_flag(flags, RFLAGS_CF, (dst & mask) != 0);
    switch (op) {
    case X86_BTS:
        return dst | mask;
    case X86_BTR:
        return dst & ~mask;
    case X86_BTC:
        return dst ^ mask;
    case X86_BT:
    default:
        return dst;
    }
}

bool x86_condition(u8 condition, u64 flags)
{
    bool sf = (flags & RFLAGS_SF) != 0, of = (flags & RFLAGS_OF) != 0;
    const bool truth[8] = {
        of,
        (flags & RFLAGS_CF) != 0,
        (flags & RFLAGS_ZF) != 0,
        (flags & (RFLAGS_CF | RFLAGS_ZF)) != 0,
        sf,
        (flags & RFLAGS_PF) != 0,
        sf != of,
        sf != of || (flags & RFLAGS_ZF) != 0,
    };

    return truth[condition >> 1 & 7] != ((condition & 1) != 0);
}
