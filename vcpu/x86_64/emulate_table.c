/* Which opcode does what: SDM Vol. 2 appendix A. */
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/emulate_alu.h"

#define OP(fn, d, s, sz, a, fl) {.run = fn, .dst = d, .src = s, .size = sz, .arg = a, .flags = fl}
#define GROUP(table) {.group = table}
/* The byte form at code, the operand-size form behind it. */
#define PAIR(code, fn, d, s, a, fl) [code] = OP(fn, d, s, 1, a, fl), [(code) + 1] = OP(fn, d, s, 0, a, fl)
#define SAME16(first, ...) [first ... (first) + 15] = __VA_ARGS__
#define SAME8(first, ...) [first ... (first) + 7] = __VA_ARGS__

#define ALU_ROW(code, a, fl, lock)                                                                                     \
    PAIR(code, emu_alu, EMU_E, EMU_G, a, (fl) | (lock)), PAIR((code) + 2, emu_alu, EMU_G, EMU_E, a, fl),                \
        PAIR((code) + 4, emu_alu, EMU_A, EMU_IMM, a, fl)

#define ALU_GROUP(sz)                                                                                                  \
    {                                                                                                                  \
        OP(emu_alu, EMU_E, EMU_IMM, sz, X86_ADD, EMU_RW | EMU_LOCK), OP(emu_alu, EMU_E, EMU_IMM, sz, X86_OR, EMU_RW | EMU_LOCK), \
            OP(emu_alu, EMU_E, EMU_IMM, sz, X86_ADC, EMU_RW | EMU_LOCK),                                               \
            OP(emu_alu, EMU_E, EMU_IMM, sz, X86_SBB, EMU_RW | EMU_LOCK),                                               \
            OP(emu_alu, EMU_E, EMU_IMM, sz, X86_AND, EMU_RW | EMU_LOCK),                                               \
            OP(emu_alu, EMU_E, EMU_IMM, sz, X86_SUB, EMU_RW | EMU_LOCK),                                               \
            OP(emu_alu, EMU_E, EMU_IMM, sz, X86_XOR, EMU_RW | EMU_LOCK), OP(emu_alu, EMU_E, EMU_IMM, sz, X86_CMP, EMU_RD) \
    }
static const struct emu_op group1_8[8] = ALU_GROUP(1);
static const struct emu_op group1[8] = ALU_GROUP(0);

#define SHIFT_OP(s, sz, a) {.run = emu_shift, .dst = EMU_E, .src = s, .size = sz, .src_size = 1, .arg = a, .flags = EMU_RW}
#define SHIFT_GROUP(s, sz)                                                                                             \
    {                                                                                                                  \
        SHIFT_OP(s, sz, X86_ROL), SHIFT_OP(s, sz, X86_ROR), SHIFT_OP(s, sz, X86_RCL), SHIFT_OP(s, sz, X86_RCR),        \
            SHIFT_OP(s, sz, X86_SHL), SHIFT_OP(s, sz, X86_SHR), SHIFT_OP(s, sz, X86_SAL), SHIFT_OP(s, sz, X86_SAR)     \
    }
static const struct emu_op shift_imm_8[8] = SHIFT_GROUP(EMU_IMM, 1);
static const struct emu_op shift_imm[8] = SHIFT_GROUP(EMU_IMM, 0);
static const struct emu_op shift_one_8[8] = SHIFT_GROUP(EMU_ONE, 1);
static const struct emu_op shift_one[8] = SHIFT_GROUP(EMU_ONE, 0);
static const struct emu_op shift_cl_8[8] = SHIFT_GROUP(EMU_C, 1);
static const struct emu_op shift_cl[8] = SHIFT_GROUP(EMU_C, 0);

#define GROUP3(sz)                                                                                                     \
    {                                                                                                                  \
        OP(emu_test, EMU_E, EMU_IMM, sz, 0, EMU_RD), OP(emu_test, EMU_E, EMU_IMM, sz, 0, EMU_RD),                      \
            OP(emu_not, EMU_E, EMU_NONE, sz, 0, EMU_RW | EMU_LOCK), OP(emu_neg, EMU_E, EMU_NONE, sz, 0, EMU_RW | EMU_LOCK) \
    }
static const struct emu_op group3_8[8] = GROUP3(1);
static const struct emu_op group3[8] = GROUP3(0);
static const struct emu_op group4[8] = {
    OP(emu_incdec, EMU_E, EMU_NONE, 1, 0, EMU_RW | EMU_LOCK),
    OP(emu_incdec, EMU_E, EMU_NONE, 1, 1, EMU_RW | EMU_LOCK),
};
static const struct emu_op group5[8] = {
    [0] = OP(emu_incdec, EMU_E, EMU_NONE, 0, 0, EMU_RW | EMU_LOCK),
    [1] = OP(emu_incdec, EMU_E, EMU_NONE, 0, 1, EMU_RW | EMU_LOCK),
    [2] = OP(emu_call, EMU_E, EMU_NONE, 0, 0, EMU_RD),
    [4] = OP(emu_jmp, EMU_E, EMU_NONE, 0, 0, EMU_RD),
    [5] = OP(emu_jmp_far_memory, EMU_NONE, EMU_NONE, 0, 0, EMU_SELF | EMU_MEM),
    [6] = OP(emu_push, EMU_E, EMU_NONE, 0, 0, EMU_RD),
};
static const struct emu_op group1a[8] = {[0] = OP(emu_pop_rm, EMU_E, EMU_NONE, 0, 0, EMU_SELF)};
static const struct emu_op group11_8[8] = {[0] = OP(emu_mov, EMU_E, EMU_IMM, 1, 0, EMU_WR)};
static const struct emu_op group11[8] = {[0] = OP(emu_mov, EMU_E, EMU_IMM, 0, 0, EMU_WR)};

static const struct emu_op group6[8] = {[3] = OP(emu_ltr, EMU_E, EMU_NONE, 2, 0, EMU_RD)};
static const struct emu_op group7[8] = {[4] = OP(emu_smsw, EMU_E, EMU_NONE, 2, 0, EMU_WR)};
static const struct emu_op group8[8] = {
    [4] = OP(emu_bit, EMU_E, EMU_IMM, 0, X86_BT, EMU_RD),
    [5] = OP(emu_bit, EMU_E, EMU_IMM, 0, X86_BTS, EMU_RW | EMU_LOCK),
    [6] = OP(emu_bit, EMU_E, EMU_IMM, 0, X86_BTR, EMU_RW | EMU_LOCK),
    [7] = OP(emu_bit, EMU_E, EMU_IMM, 0, X86_BTC, EMU_RW | EMU_LOCK),
};
/* CLFLUSH and CLFLUSHOPT: a read's checks, nothing to flush in a device */
static const struct emu_op group15[8] = {[7] = OP(emu_nothing, EMU_E, EMU_NONE, 1, 0, 0)};
static const struct emu_op group9[8] = {
    [1] = OP(emu_cmpxchg_pair, EMU_NONE, EMU_NONE, 0, 0, EMU_SELF | EMU_MEM | EMU_LOCK),
};

const struct emu_op emu_one[256] = {
    ALU_ROW(0x00, X86_ADD, EMU_RW, EMU_LOCK),
    ALU_ROW(0x08, X86_OR, EMU_RW, EMU_LOCK),
    ALU_ROW(0x10, X86_ADC, EMU_RW, EMU_LOCK),
    ALU_ROW(0x18, X86_SBB, EMU_RW, EMU_LOCK),
    ALU_ROW(0x20, X86_AND, EMU_RW, EMU_LOCK),
    ALU_ROW(0x28, X86_SUB, EMU_RW, EMU_LOCK),
    ALU_ROW(0x30, X86_XOR, EMU_RW, EMU_LOCK),
    ALU_ROW(0x38, X86_CMP, EMU_RD, 0),
    SAME8(0x40, OP(emu_incdec, EMU_Z, EMU_NONE, 0, 0, EMU_RW)),
    SAME8(0x48, OP(emu_incdec, EMU_Z, EMU_NONE, 0, 1, EMU_RW)),
    SAME8(0x50, OP(emu_push, EMU_Z, EMU_NONE, 0, 0, EMU_RD)),
    SAME8(0x58, OP(emu_pop, EMU_Z, EMU_NONE, 0, 0, EMU_WR)),
    [0x63] = {.run = emu_movsx, .dst = EMU_G, .src = EMU_E, .src_size = 4, .flags = EMU_WR},
    [0x68] = OP(emu_push, EMU_IMM, EMU_NONE, 0, 0, EMU_RD),
    [0x6A] = OP(emu_push, EMU_IMM, EMU_NONE, 0, 0, EMU_RD),
    PAIR(0x6C, emu_string, EMU_NONE, EMU_NONE, EMU_INS, EMU_SELF),
    PAIR(0x6E, emu_string, EMU_NONE, EMU_NONE, EMU_OUTS, EMU_SELF),
    [0x80] = GROUP(group1_8),
    [0x81] = GROUP(group1),
    [0x82] = GROUP(group1_8),
    [0x83] = GROUP(group1),
    PAIR(0x84, emu_test, EMU_E, EMU_G, 0, EMU_RD),
    PAIR(0x86, emu_xchg, EMU_E, EMU_G, 0, EMU_RW | EMU_LOCK),
    PAIR(0x88, emu_mov, EMU_E, EMU_G, 0, EMU_WR),
    PAIR(0x8A, emu_mov, EMU_G, EMU_E, 0, EMU_WR),
    [0x8E] = {.run = emu_mov_sreg, .dst = EMU_NONE, .src = EMU_E, .src_size = 2},
    [0x8F] = GROUP(group1a),
    PAIR(0xA0, emu_mov, EMU_A, EMU_MOFFS, 0, EMU_WR),
    PAIR(0xA2, emu_mov, EMU_MOFFS, EMU_A, 0, EMU_WR),
    PAIR(0xA4, emu_string, EMU_NONE, EMU_NONE, EMU_MOVS, EMU_SELF),
    PAIR(0xA6, emu_string, EMU_NONE, EMU_NONE, EMU_CMPS, EMU_SELF),
    PAIR(0xA8, emu_test, EMU_A, EMU_IMM, 0, EMU_RD),
    PAIR(0xAA, emu_string, EMU_NONE, EMU_NONE, EMU_STOS, EMU_SELF),
    PAIR(0xAC, emu_string, EMU_NONE, EMU_NONE, EMU_LODS, EMU_SELF),
    PAIR(0xAE, emu_string, EMU_NONE, EMU_NONE, EMU_SCAS, EMU_SELF),
    SAME8(0xB0, OP(emu_mov, EMU_Z, EMU_IMM, 1, 0, EMU_WR)),
    SAME8(0xB8, OP(emu_mov, EMU_Z, EMU_IMM, 0, 0, EMU_WR)),
    [0xC0] = GROUP(shift_imm_8),
    [0xC1] = GROUP(shift_imm),
    [0xC6] = GROUP(group11_8),
    [0xC7] = GROUP(group11),
    [0xCA] = OP(emu_ret_far, EMU_NONE, EMU_NONE, 0, 0, EMU_SELF),
    [0xCB] = OP(emu_ret_far, EMU_NONE, EMU_NONE, 0, 0, EMU_SELF),
    [0xD0] = GROUP(shift_one_8),
    [0xD1] = GROUP(shift_one),
    [0xD2] = GROUP(shift_cl_8),
    [0xD3] = GROUP(shift_cl),
    [0xEA] = OP(emu_jmp_far, EMU_NONE, EMU_NONE, 0, 0, EMU_SELF),
    [0xF6] = GROUP(group3_8),
    [0xF7] = GROUP(group3),
    [0xFE] = GROUP(group4),
    [0xFF] = GROUP(group5),
};

#define EXTEND(code, fn, from) [code] = {.run = fn, .dst = EMU_G, .src = EMU_E, .src_size = from, .flags = EMU_WR}
#define BIT_OP(code, a, fl) [code] = {.run = emu_bit, .dst = EMU_EBIT, .src = EMU_G, .arg = a, .flags = fl}

const struct emu_op emu_0f[256] = {
    [0x00] = GROUP(group6),
    [0x01] = GROUP(group7),
    SAME16(0x40, OP(emu_cmovcc, EMU_G, EMU_E, 0, 0, EMU_RW)),
    SAME16(0x90, OP(emu_setcc, EMU_E, EMU_NONE, 1, 0, EMU_WR)),
    BIT_OP(0xA3, X86_BT, EMU_RD),
    BIT_OP(0xAB, X86_BTS, EMU_RW | EMU_LOCK),
    [0xAE] = GROUP(group15),
    PAIR(0xB0, emu_cmpxchg, EMU_E, EMU_G, 0, EMU_RW | EMU_LOCK),
    BIT_OP(0xB3, X86_BTR, EMU_RW | EMU_LOCK),
    EXTEND(0xB6, emu_mov, 1),
    EXTEND(0xB7, emu_mov, 2),
    [0xBA] = GROUP(group8),
    BIT_OP(0xBB, X86_BTC, EMU_RW | EMU_LOCK),
    EXTEND(0xBE, emu_movsx, 1),
    EXTEND(0xBF, emu_movsx, 2),
    PAIR(0xC0, emu_xadd, EMU_E, EMU_G, 0, EMU_RW | EMU_LOCK),
    [0xC3] = OP(emu_mov, EMU_E, EMU_G, 0, 0, EMU_WR | EMU_MEM),
    [0xC7] = GROUP(group9),
};

/* 0F38 F0 and F1 */
const struct emu_op emu_movbe[2] = {
    OP(emu_movbe_run, EMU_G, EMU_E, 0, 0, EMU_WR | EMU_MEM),
    OP(emu_movbe_run, EMU_E, EMU_G, 0, 0, EMU_WR | EMU_MEM),
};
