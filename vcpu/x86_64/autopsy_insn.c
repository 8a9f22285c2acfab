/* The instruction in a report: its name and the memory that it names. Intel SDM Vol. 2, appendix A "Opcode map". */
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "vcpu/x86_64/autopsy.h"
#include "vcpu/x86_64/decode.h"

#define OPCODES 256U
#define ALU_LAST 0x3FU
#define ALU_FORMS 6U
#define GROUP_SIZE 8U

static const char *const alu[GROUP_SIZE] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
static const char *const shifts[GROUP_SIZE] = {"rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar"};
static const char *const unary[GROUP_SIZE] = {"test", "test", "not", "neg", "mul", "imul", "div", "idiv"};
static const char *const group5[GROUP_SIZE] = {"inc", "dec", "call", "call far", "jmp", "jmp far", "push", NULL};
static const char *const group6[GROUP_SIZE] = {"sldt", "str", "lldt", "ltr", "verr", "verw", NULL, NULL};
static const char *const group7[GROUP_SIZE] = {"sgdt", "sidt", "lgdt", "lidt", "smsw", NULL, "lmsw", "invlpg"};
static const char *const bits[GROUP_SIZE] = {NULL, NULL, NULL, NULL, "bt", "bts", "btr", "btc"};

/* Opcodes whose ModRM says the rest. */
static const char *const *const one_groups[OPCODES] = {
    [0x80 ... 0x83] = alu, [0xC0 ... 0xC1] = shifts, [0xD0 ... 0xD3] = shifts, [0xF6 ... 0xF7] = unary,
    [0xFE ... 0xFF] = group5,
};
static const char *const *const two_groups[OPCODES] = {[0x00] = group6, [0x01] = group7, [0xBA] = bits};

static const char *const one_names[OPCODES] = {
    [0x50 ... 0x57] = "push", [0x58 ... 0x5F] = "pop", [0x60] = "pusha", [0x61] = "popa", [0x63] = "movsxd", [0x68] = "push",
    [0x69] = "imul", [0x6A] = "push", [0x6B] = "imul", [0x6C ... 0x6D] = "ins", [0x6E ... 0x6F] = "outs", [0x70 ... 0x7F] = "jcc",
    [0x84 ... 0x85] = "test", [0x86 ... 0x87] = "xchg", [0x88 ... 0x8C] = "mov", [0x8D] = "lea", [0x8E] = "mov", [0x8F] = "pop",
    [0x90] = "nop", [0x91 ... 0x97] = "xchg", [0x98] = "cbw", [0x99] = "cwd", [0x9A] = "call far", [0x9B] = "fwait",
    [0x9C] = "pushf", [0x9D] = "popf", [0x9E] = "sahf", [0x9F] = "lahf", [0xA0 ... 0xA3] = "mov", [0xA4 ... 0xA5] = "movs",
    [0xA6 ... 0xA7] = "cmps", [0xA8 ... 0xA9] = "test", [0xAA ... 0xAB] = "stos", [0xAC ... 0xAD] = "lods",
    [0xAE ... 0xAF] = "scas", [0xB0 ... 0xBF] = "mov",
    [0xC2 ... 0xC3] = "ret", [0xC4] = "les", [0xC5] = "lds", [0xC6 ... 0xC7] = "mov", [0xC8] = "enter", [0xC9] = "leave",
    [0xCA ... 0xCB] = "ret far", [0xCC] = "int3", [0xCD] = "int", [0xCE] = "into", [0xCF] = "iret", [0xD7] = "xlat",
    [0xD8 ... 0xDF] = "x87", [0xE0] = "loopne", [0xE1] = "loope", [0xE2] = "loop", [0xE3] = "jcxz", [0xE4 ... 0xE5] = "in",
    [0xE6 ... 0xE7] = "out", [0xE8] = "call", [0xE9] = "jmp", [0xEA] = "jmp far", [0xEB] = "jmp", [0xEC ... 0xED] = "in",
    [0xEE ... 0xEF] = "out", [0xF1] = "int1", [0xF4] = "hlt", [0xF5] = "cmc", [0xF8] = "clc", [0xF9] = "stc", [0xFA] = "cli",
    [0xFB] = "sti", [0xFC] = "cld", [0xFD] = "std",
};

static const char *const two_names[OPCODES] = {
    [0x02] = "lar", [0x03] = "lsl", [0x05] = "syscall", [0x06] = "clts", [0x07] = "sysret", [0x08] = "invd", [0x09] = "wbinvd",
    [0x0B] = "ud2", [0x1F] = "nop", [0x20 ... 0x23] = "mov", [0x30] = "wrmsr", [0x31] = "rdtsc", [0x32] = "rdmsr", [0x33] = "rdpmc",
    [0x34] = "sysenter", [0x35] = "sysexit", [0x40 ... 0x4F] = "cmovcc", [0x77] = "emms", [0x80 ... 0x8F] = "jcc",
    [0x90 ... 0x9F] = "setcc", [0xA0] = "push", [0xA1] = "pop", [0xA2] = "cpuid", [0xA3] = "bt", [0xA4 ... 0xA5] = "shld",
    [0xA8] = "push", [0xA9] = "pop", [0xAB] = "bts", [0xAC ... 0xAD] = "shrd", [0xAE] = "fence", [0xAF] = "imul",
    [0xB0 ... 0xB1] = "cmpxchg", [0xB2] = "lss", [0xB3] = "btr", [0xB4] = "lfs", [0xB5] = "lgs", [0xB6 ... 0xB7] = "movzx",
    [0xB8] = "popcnt", [0xB9] = "ud1", [0xBB] = "btc", [0xBC] = "bsf", [0xBD] = "bsr", [0xBE ... 0xBF] = "movsx",
    [0xC0 ... 0xC1] = "xadd", [0xC8 ... 0xCF] = "bswap", [0xFF] = "ud0",
};

static const char *name_of(const struct x86_insn *in)
{
    bool two = in->map == X86_MAP_0F;
    const char *const *group = two ? two_groups[in->opcode] : one_groups[in->opcode];
    const char *name = two ? two_names[in->opcode] : one_names[in->opcode];

    if (in->vex || (in->map != X86_MAP_ONE && !two)) {
        return NULL;
    }
    if (group != NULL) {
        /* With a register, group 7 is many other instructions. */
        return group == group7 && !in->mem && in->reg % 2 != 0 ? NULL : group[in->reg % GROUP_SIZE];
    }
    if (!two && in->opcode <= ALU_LAST && in->opcode % GROUP_SIZE < ALU_FORMS) {
        return alu[in->opcode / GROUP_SIZE];
    }
    return name;
}

static u64 memory_address(const struct vcpu_arch *a, const struct x86_insn *in)
{
    u64 address = in->disp;

    if (in->rip_relative) {
        address += a->rip + in->length;
    }
    if (in->base != X86_NO_REG) {
        address += a->gpr[in->base];
    }
    if (in->index != X86_NO_REG) {
        address += a->gpr[in->index] * in->scale;
    }
    if (in->addrsize < sizeof(address)) {
        address &= BIT(8U * in->addrsize) - 1;
    }
    /* In 64-bit code only FS and GS have a base. */
    bool based = in->code_bits != 64 || in->seg == X86_FS || in->seg == X86_GS;
    return address + (based && in->seg < X86_SEGS ? a->seg[in->seg].base : 0);
}

void autopsy_name_insn(const struct vcpu_arch *a, const struct x86_insn *in, char text[AUTOPSY_INSN_MAX])
{
    const char *name = name_of(in);
    int len = fmt_snprintf(text, AUTOPSY_INSN_MAX, " op=\"%s%s\"", in->lock ? "lock " : in->rep != 0 ? "rep " : "",
                           name != NULL ? name : "?");

    if (in->mem && !in->vex) {
        (void)fmt_snprintf(text + len, AUTOPSY_INSN_MAX - (size_t)len, " memory=0x%llx", LLX(memory_address(a, in)));
    }
}
