/* Integer arithmetic with exact flags. Pure. Operands are size (1, 2, 4, 8) bytes wide, higher bits are ignored and zero
 * in results. *flags is RFLAGS: read for carry in, its status flags are set as SDM Vol. 2 says for each instruction;
 * flags that the manual leaves undefined get some fixed value. */
#pragma once
#include "kernel/lib/types.h"

/* In the order of the opcode map. */
enum x86_alu { X86_ADD, X86_OR, X86_ADC, X86_SBB, X86_AND, X86_SUB, X86_XOR, X86_CMP };
enum x86_shift { X86_ROL, X86_ROR, X86_RCL, X86_RCR, X86_SHL, X86_SHR, X86_SAL, X86_SAR };
enum x86_bit { X86_BT, X86_BTS, X86_BTR, X86_BTC };

u64 x86_size_mask(u8 size);
u64 x86_sign_extend(u64 value, u8 size);
/* CMP returns dst. */
u64 x86_alu(enum x86_alu op, u8 size, u64 dst, u64 src, u64 *flags);
u64 x86_incdec(bool dec, u8 size, u64 dst, u64 *flags);
u64 x86_neg(u8 size, u64 dst, u64 *flags);
/* count is masked to 5 bits, to 6 with 8-byte operands; a count of 0 changes no flag. */
u64 x86_shift(enum x86_shift op, u8 size, u64 dst, u64 count, u64 *flags);
/* bit is taken modulo the operand's width. */
u64 x86_bit(enum x86_bit op, u8 size, u64 dst, u64 bit, u64 *flags);
/* Condition 0..15 of Jcc, SETcc, CMOVcc. */
bool x86_condition(u8 condition, u64 flags);
