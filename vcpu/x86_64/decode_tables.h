/* What follows an opcode byte, per opcode: the data behind decode.c. Not for others. */
#pragma once
#include "kernel/lib/types.h"

/* Kind of immediate: the low nibble of an entry. */
enum x86_imm {
    X86_IMM_NONE,
    X86_IMM_8,
    X86_IMM_Z,      /* 2 bytes with 16-bit operands, else 4 */
    X86_IMM_16,
    X86_IMM_V,      /* 2, 4 or 8 bytes: the operand size */
    X86_IMM_FAR,    /* offset of Z's size, then a selector */
    X86_IMM_MOFFS,  /* an address of the address size */
    X86_IMM_ENTER,  /* 16 bits, then 8 */
    X86_IMM_JZ,     /* as Z, but 4 bytes in 64-bit code whatever the prefixes say */
    X86_IMM_TEST_8, /* group 3: 8 bits when ModRM.reg is 0 or 1 (TEST), else none */
    X86_IMM_TEST_Z,
};
#define X86_OP_IMM 0x0FU
#define X86_OP_MODRM BIT32(4)
#define X86_OP_D64 BIT32(5)  /* operands are 64-bit by default in 64-bit code */
#define X86_OP_NO64 BIT32(6) /* undefined in 64-bit code */
#define X86_OP_BAD BIT32(7)  /* undefined, or a prefix or escape that is consumed earlier */

extern const u8 x86_ops_one[256];
extern const u8 x86_ops_0f[256];
/* Attributes of a VEX-coded opcode of the given enum x86_map. */
u8 x86_ops_vex(u8 map, u8 opcode);
