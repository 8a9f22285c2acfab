/* What hardware does not tell about accesses to control and debug registers, read from the instruction itself. */
#include "kernel/lib/errno.h"
#include "vcpu/x86_64/decode.h"
#include "vcpu/x86_64/emulate.h"
#include "vcpu/x86_64/x86.h"

enum { OP_GROUP7 = 0x01, OP_CLTS = 0x06, OP_MOV_FROM_CR = 0x20, OP_MOV_FROM_DR, OP_MOV_TO_CR, OP_MOV_TO_DR };
enum { GROUP7_SMSW = 4, GROUP7_LMSW = 6 };
enum { CR0 = 0, CR8 = 8 };

/* MOV CRn or DRn: AMD spells CR8 as LOCK MOV CR0 outside 64-bit code (APM Vol. 3 "MOV CRn"). */
static void decode_mov(const struct x86_insn *in, struct x86_exit *xe)
{
    u8 reg = in->lock && in->reg == CR0 ? CR8 : in->reg;
    bool write = in->opcode == OP_MOV_TO_CR || in->opcode == OP_MOV_TO_DR;

    if (in->opcode == OP_MOV_FROM_CR || in->opcode == OP_MOV_TO_CR) {
        xe->code = X86_EXIT_CR;
        xe->cr.cr = reg;
        xe->cr.kind = X86_CR_MOV;
        xe->cr.write = write;
        xe->cr.gpr = in->rm;
        xe->cr.decoded = true;
    } else {
        xe->code = X86_EXIT_DR;
        xe->dr.dr = in->reg;
        xe->dr.write = write;
        xe->dr.gpr = in->rm;
        xe->dr.decoded = true;
    }
}

static int decode_msw(struct vcpu *v, const struct x86_insn *in, struct x86_exit *xe)
{
    u8 reg = in->reg & 7;
    u64 value = 0;

    if (in->vex || (reg != GROUP7_SMSW && reg != GROUP7_LMSW)) {
        return -E_NOSYS;
    }
    if (reg == GROUP7_LMSW) {
        int rc = x86_emu_read_rm16(v, in, &value);
        if (rc != 0) {
            return rc;
        }
    }
    xe->code = X86_EXIT_CR;
    xe->cr.cr = CR0;
    xe->cr.kind = reg == GROUP7_LMSW ? X86_CR_LMSW : X86_CR_SMSW;
    xe->cr.write = reg == GROUP7_LMSW;
    xe->cr.gpr = in->mem ? X86_GPRS : in->rm;
    xe->cr.lmsw = (u16)value;
    xe->cr.decoded = true;
    return 0;
}

static int decode_one(struct vcpu *v, const struct x86_insn *in, struct x86_exit *xe)
{
    if (in->map != X86_MAP_0F || in->vex) {
        return -E_NOSYS;
    }
    switch (in->opcode) {
    case OP_MOV_FROM_CR:
    case OP_MOV_TO_CR:
    case OP_MOV_FROM_DR:
    case OP_MOV_TO_DR:
        decode_mov(in, xe);
        return 0;
    case OP_CLTS:
        xe->code = X86_EXIT_CR;
        xe->cr.cr = CR0;
        xe->cr.kind = X86_CR_CLTS;
        xe->cr.write = true;
        xe->cr.decoded = true;
        return 0;
    case OP_GROUP7:
        return decode_msw(v, in, xe);
    default:
        return -E_NOSYS;
    }
}

int x86_decode_cr_dr(struct vcpu *v, struct x86_exit *xe)
{
    u8 bytes[X86_INSN_MAX];
    struct x86_insn in;
    struct x86_exit filled = *xe;
    size_t have = x86_fetch_insn(v, bytes);

    if (x86_decode(bytes, have, x86_code_bits(v), &in) != 0) {
        return -E_NOSYS;
    }
    int rc = decode_one(v, &in, &filled);
    if (rc != 0) {
        return rc;
    }
    filled.insn_len = in.length;
    *xe = filled;
    return 0;
}
