#include "vcpu/x86_64/decode.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vcpu/x86_64/decode_tables.h"
#include <arch/vcpu_arch.h>

/* The bytes being consumed. The first error sticks; reads after it give zero. */
struct cursor {
    const u8 *bytes;
    size_t len;
    u8 pos;
    int error;
};

static u8 peek(const struct cursor *c)
{
    return c->error == 0 && c->pos < c->len && c->pos < X86_INSN_MAX ? c->bytes[c->pos] : 0;
}

static void fail(struct cursor *c, int error)
{
    if (c->error == 0) {
        c->error = error;
    }
}

static u8 next(struct cursor *c)
{
    u8 byte = peek(c);

    if (c->pos >= X86_INSN_MAX) {
        fail(c, -E_RANGE);
    } else if (c->pos >= c->len) {
        fail(c, -E_TRUNC);
    } else if (c->error == 0) {
        c->pos++;
    }
    return byte;
}

/* A little-endian number of 0, 1, 2, 4 or 8 bytes, sign-extended. */
static u64 next_number(struct cursor *c, u8 bytes)
{
    u64 value = 0;

    for (u8 i = 0; i < bytes; i++) {
        value |= (u64)next(c) << (8 * i);
    }
    if (bytes == 0 || bytes == sizeof(u64)) {
        return value;
    }
    u64 sign = BIT(8 * bytes - 1);
    return (value ^ sign) - sign;
}

static bool segment_prefix(struct x86_insn *in, u8 byte)
{
    static const struct { u8 byte, seg; } prefixes[] = {
        {X86_PFX_ES, X86_ES}, {X86_PFX_CS, X86_CS}, {X86_PFX_SS, X86_SS},
        {X86_PFX_DS, X86_DS}, {X86_PFX_FS, X86_FS}, {X86_PFX_GS, X86_GS},
    };

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if (prefixes[i].byte != byte) {
            continue;
        }
        /* In 64-bit code the four old segments are flat: their prefixes do nothing. */
        if (in->code_bits != 64 || prefixes[i].seg >= X86_FS) {
            in->seg = prefixes[i].seg;
            in->seg_override = true;
        }
        return true;
    }
    return false;
}

static bool legacy_prefix(struct x86_insn *in, u8 byte, bool *addrsize)
{
    switch (byte) {
    case X86_PFX_OPSIZE:
        in->opsize_prefix = true;
        return true;
    case X86_PFX_ADDRSIZE:
        *addrsize = true;
        return true;
    case X86_PFX_LOCK:
        in->lock = true;
        return true;
    case X86_PFX_REP:
    case X86_PFX_REPNE:
        in->rep = byte;
        return true;
    default:
        return segment_prefix(in, byte);
    }
}

/* All prefixes. A REX counts only when the opcode follows it at once. */
static void decode_prefixes(struct cursor *c, struct x86_insn *in)
{
    bool addrsize = false;

    while (c->error == 0) {
        u8 byte = peek(c);
        if (in->code_bits == 64 && byte >= X86_REX && byte <= X86_REX_LAST) {
            in->rex = byte;
        } else if (legacy_prefix(in, byte, &addrsize)) {
            in->rex = 0;
        } else {
            break;
        }
        (void)next(c);
    }
    if (in->code_bits == 64) {
        in->opsize = (in->rex & X86_REX_W) != 0 ? 8 : in->opsize_prefix ? 2 : 4;
        in->addrsize = addrsize ? 4 : 8;
    } else {
        in->opsize = (in->code_bits == 32) != in->opsize_prefix ? 4 : 2;
        in->addrsize = (in->code_bits == 32) != addrsize ? 4 : 2;
    }
}

static bool is_vex(const struct cursor *c, const struct x86_insn *in, u8 byte)
{
    const u8 mod = 0xC0;

    return (byte == X86_ESC_VEX2 || byte == X86_ESC_VEX3) && (in->code_bits == 64 || (peek(c) & mod) == mod);
}

/* The rest of a VEX prefix and the opcode; returns the opcode's attributes. */
static u8 decode_vex(struct cursor *c, struct x86_insn *in, u8 escape)
{
    const u8 map_mask = 0x1F;
    u8 map = X86_MAP_0F;

    in->vex = true;
    if (in->lock || in->rep != 0 || in->opsize_prefix || in->rex != 0) {
        fail(c, -E_INVAL);
    }
    u8 payload = next(c);
    if (escape == X86_ESC_VEX3) {
        map = payload & map_mask;
        (void)next(c);
    }
    if (map < X86_MAP_0F || map > X86_MAP_0F3A) {
        fail(c, -E_INVAL);
    }
    in->map = map;
    in->opcode = next(c);
    return x86_ops_vex(map, in->opcode);
}

/* Escapes and opcode; returns its attributes (decode_tables.h). */
static u8 decode_opcode(struct cursor *c, struct x86_insn *in)
{
    enum { EXTRQ = 0x78 };
    u8 byte = next(c);

    if (is_vex(c, in, byte)) {
        return decode_vex(c, in, byte);
    }
    in->opcode = byte;
    if (byte != X86_ESC_0F) {
        return x86_ops_one[byte];
    }
    in->map = X86_MAP_0F;
    in->opcode = next(c);
    if (in->opcode == X86_ESC_38 || in->opcode == X86_ESC_3A) {
        in->map = in->opcode == X86_ESC_38 ? X86_MAP_0F38 : X86_MAP_0F3A;
        in->opcode = next(c);
        return in->map == X86_MAP_0F38 ? X86_OP_MODRM : X86_OP_MODRM | X86_IMM_8;
    }
    if (in->opcode == EXTRQ && (in->opsize_prefix || in->rep == X86_PFX_REPNE)) {
        return X86_OP_MODRM | X86_IMM_16; /* SSE4a: two byte immediates */
    }
    return x86_ops_0f[in->opcode];
}

static void default_segment(struct x86_insn *in)
{
    bool stack = in->base == X86_RSP || in->base == X86_RBP;

    if (!in->seg_override) {
        in->seg = stack ? X86_SS : X86_DS;
    }
}

/* Memory operand of 16-bit addressing: SDM Vol. 2 table 2-1. */
static void decode_mem16(struct cursor *c, struct x86_insn *in)
{
    static const u8 bases[8] = {X86_RBX, X86_RBX, X86_RBP, X86_RBP, X86_RSI, X86_RDI, X86_RBP, X86_RBX};
    static const u8 indexes[4] = {X86_RSI, X86_RDI, X86_RSI, X86_RDI};
    u8 rm = in->rm & 7;
    bool absolute = in->mod == 0 && rm == 6;

    in->base = absolute ? X86_NO_REG : bases[rm];
    in->index = rm < ARRAY_SIZE(indexes) ? indexes[rm] : X86_NO_REG;
    in->disp = next_number(c, absolute || in->mod == 2 ? 2 : in->mod);
}

static void decode_sib(struct cursor *c, struct x86_insn *in)
{
    u8 sib = next(c);
    u8 index = (u8)(((sib >> 3) & 7) | ((in->rex & X86_REX_X) != 0 ? 8 : 0));

    in->base = (u8)((sib & 7) | ((in->rex & X86_REX_B) != 0 ? 8 : 0));
    in->index = index == X86_RSP ? X86_NO_REG : index;
    in->scale = (u8)(1U << (sib >> 6));
}

/* Memory operand of 32- and 64-bit addressing: SDM Vol. 2 tables 2-2 and 2-3. */
static void decode_mem32(struct cursor *c, struct x86_insn *in)
{
    bool sib = (in->rm & 7) == X86_RSP;

    in->base = in->rm;
    if (sib) {
        decode_sib(c, in);
    }
    bool no_base = in->mod == 0 && (in->base & 7) == X86_RBP;
    if (no_base) {
        in->base = X86_NO_REG;
        in->rip_relative = !sib && in->code_bits == 64;
    }
    in->disp = next_number(c, no_base || in->mod == 2 ? 4 : in->mod);
}

static void decode_modrm(struct cursor *c, struct x86_insn *in)
{
    enum { MOV_CR_FIRST = 0x20, MOV_CR_LAST = 0x23 };
    u8 modrm = next(c);

    in->has_modrm = true;
    in->mod = modrm >> 6;
    in->reg = (u8)(((modrm >> 3) & 7) | ((in->rex & X86_REX_R) != 0 ? 8 : 0));
    in->rm = (u8)((modrm & 7) | ((in->rex & X86_REX_B) != 0 ? 8 : 0));
    /* Moves of control and debug registers know registers only: the mod field is ignored. */
    bool moves_cr = in->map == X86_MAP_0F && in->opcode >= MOV_CR_FIRST && in->opcode <= MOV_CR_LAST;
    in->mem = in->mod != 3 && !(moves_cr && !in->vex);
    if (!in->mem) {
        return;
    }
    if (in->addrsize == 2) {
        decode_mem16(c, in);
    } else {
        decode_mem32(c, in);
    }
    default_segment(in);
}

static u8 imm_bytes(const struct x86_insn *in, u8 kind)
{
    u8 z = in->opsize == 2 ? 2 : 4;

    switch (kind) {
    case X86_IMM_8:
        return 1;
    case X86_IMM_TEST_8:
        return (in->reg & 7) < 2 ? 1 : 0;
    case X86_IMM_TEST_Z:
        return (in->reg & 7) < 2 ? z : 0;
    case X86_IMM_Z:
    case X86_IMM_FAR:
        return z;
    case X86_IMM_JZ:
        return in->code_bits == 64 ? 4 : z;
    case X86_IMM_16:
    case X86_IMM_ENTER:
        return 2;
    case X86_IMM_V:
        return in->opsize;
    default:
        return 0;
    }
}

static void decode_imm(struct cursor *c, struct x86_insn *in, u8 kind)
{
    if (kind == X86_IMM_MOFFS) {
        in->disp = next_number(c, in->addrsize);
        return;
    }
    in->imm_size = imm_bytes(in, kind);
    in->imm = next_number(c, in->imm_size);
    if (kind == X86_IMM_FAR) {
        in->imm2 = (u16)next_number(c, 2);
    } else if (kind == X86_IMM_ENTER) {
        in->imm2 = next(c);
    }
}

/* Group 5's near CALL, near JMP and PUSH take 64-bit operands by default; their siblings do not. */
static bool default_64(const struct x86_insn *in, u8 op)
{
    enum { GROUP5 = 0xFF, CALL_NEAR = 2, JMP_NEAR = 4, PUSH = 6 };
    u8 reg = in->reg & 7;

    if (in->map == X86_MAP_ONE && in->opcode == GROUP5) {
        return reg == CALL_NEAR || reg == JMP_NEAR || reg == PUSH;
    }
    return (op & X86_OP_D64) != 0;
}

int x86_decode(const u8 *bytes, size_t len, u8 code_bits, struct x86_insn *out)
{
    struct cursor c = {.bytes = bytes, .len = len};
    struct x86_insn in = {.code_bits = code_bits, .seg = X86_DS, .base = X86_NO_REG, .index = X86_NO_REG, .scale = 1};

    decode_prefixes(&c, &in);
    u8 op = decode_opcode(&c, &in);
    if ((op & X86_OP_BAD) != 0 || ((op & X86_OP_NO64) != 0 && code_bits == 64 && !in.vex)) {
        fail(&c, -E_INVAL);
    }
    if ((op & X86_OP_MODRM) != 0) {
        decode_modrm(&c, &in);
    }
    if (code_bits == 64 && in.opsize == 4 && default_64(&in, op)) {
        in.opsize = 8;
    }
    decode_imm(&c, &in, op & X86_OP_IMM);
    if (c.error != 0) {
        return c.error;
    }
    in.length = c.pos;
    *out = in;
    return 0;
}
