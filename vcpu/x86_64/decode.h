/* The instruction decoder: bytes and code size in, lengths and operands out. Pure: no guest, no state. Knows the lengths
 * of all integer, system, x87, MMX, SSE and VEX-coded instructions; operands are complete for those without VEX.
 * Intel SDM Vol. 2, chapter 2 "Instruction format" and appendix A "Opcode map". */
#pragma once
#include "kernel/lib/types.h"

#define X86_INSN_MAX 15
#define X86_NO_REG 0xFF /* no base, no index, no segment override */

enum x86_map { X86_MAP_ONE, X86_MAP_0F, X86_MAP_0F38, X86_MAP_0F3A };

/* Prefix bytes and escape bytes by name. */
enum x86_byte {
    X86_PFX_ES = 0x26, X86_PFX_CS = 0x2E, X86_PFX_SS = 0x36, X86_PFX_DS = 0x3E, X86_PFX_FS = 0x64, X86_PFX_GS = 0x65,
    X86_PFX_OPSIZE = 0x66, X86_PFX_ADDRSIZE = 0x67, X86_PFX_LOCK = 0xF0, X86_PFX_REPNE = 0xF2, X86_PFX_REP = 0xF3,
    X86_ESC_0F = 0x0F, X86_ESC_38 = 0x38, X86_ESC_3A = 0x3A, X86_ESC_VEX3 = 0xC4, X86_ESC_VEX2 = 0xC5,
    X86_REX = 0x40, X86_REX_LAST = 0x4F,
};
#define X86_REX_W BIT32(3)
#define X86_REX_R BIT32(2)
#define X86_REX_X BIT32(1)
#define X86_REX_B BIT32(0)

struct x86_insn {
    u8 length;      /* of the whole instruction, 1..15 */
    u8 code_bits;   /* 16, 32 or 64: the code segment's size */
    u8 map, opcode; /* enum x86_map; last opcode byte */
    u8 opsize;      /* 2, 4, 8: of operands that are not bytes */
    u8 addrsize;    /* 2, 4, 8 */
    u8 rex;         /* the REX prefix, 0 = none */
    u8 rep;         /* X86_PFX_REP, X86_PFX_REPNE or 0 */
    bool lock, opsize_prefix;
    bool vex;       /* VEX-coded: only the length is to be trusted */
    bool has_modrm;
    bool mem;       /* ModRM names memory: base, index, scale, disp, seg describe it */
    u8 mod, reg, rm; /* reg and rm widened by REX */
    u8 seg;          /* X86_ES.. of the memory operand: the override, or DS, or SS when the base is a stack register */
    bool seg_override;
    bool rip_relative;
    u8 base, index, scale; /* registers or X86_NO_REG; scale 1, 2, 4, 8 */
    u64 disp;        /* sign-extended; for A0-A3 the address itself */
    u64 imm;         /* sign-extended */
    u8 imm_size;     /* bytes of imm in the code, 0 = none */
    u16 imm2;        /* selector of a far pointer, level of ENTER */
};

/* Decode the instruction at bytes[0], of which len bytes can be read, in code of 16, 32 or 64 bits. Never reads past len
 * or 15 bytes. 0; -E_TRUNC: more bytes are needed; -E_RANGE: longer than 15 bytes (#GP); -E_INVAL: no such instruction
 * (#UD). Any context. */
MUST_CHECK int x86_decode(const u8 *bytes, size_t len, u8 code_bits, struct x86_insn *out);
