/* The registers as GDB sees them: one table, debug_regs.def. */
#include "kernel/lib/string.h"
#include "vcpu/debug.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/x86.h"

enum place { ARCH, FPU };
enum write { NOT, PLAIN, PC, FLAGS, BASE, CR0, CR3, CR4, EFER };

#define XMM_BYTES 16U
#define FLAGS_WRITABLE                                                                                                 \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_OF |       \
     RFLAGS_IOPL_MASK | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)

static const struct reg {
    u16 offset;
    u8 bytes, stored; /* as GDB has it, as we do */
    u8 place, write;
} regs[] = {
#define DEBUG_FEATURE(name, types)
#define DEBUG_REG(name, bits, type, place, where, stored, write) {(where), (bits) / 8, (stored), (place), (write)},
#include "vcpu/x86_64/debug_regs.def"
#undef DEBUG_REG
#undef DEBUG_FEATURE
};

#define FLAG(name, bit) "<field name=\"" name "\" start=\"" bit "\" end=\"" bit "\"/>"
#define FLAGS_TYPE                                                                                                     \
    "<flags id=\"i386_eflags\" size=\"4\">" FLAG("CF", "0") FLAG("", "1") FLAG("PF", "2") FLAG("AF", "4")              \
        FLAG("ZF", "6") FLAG("SF", "7") FLAG("TF", "8") FLAG("IF", "9") FLAG("DF", "10") FLAG("OF", "11")              \
            FLAG("NT", "14") FLAG("RF", "16") FLAG("VM", "17") FLAG("AC", "18") FLAG("VIF", "19") FLAG("VIP", "20")    \
                FLAG("ID", "21") "</flags>"

/* A feature ends where the next begins: the first one has no registers. */
const char vcpu_debug_description[] =
    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">"
    "<architecture>i386:x86-64</architecture><feature name=\"org.mote\">"
#define DEBUG_FEATURE(name, types) "</feature><feature name=\"" name "\">" types
#define DEBUG_REG(name, bits, type, place, where, stored, write)                                                       \
    "<reg name=\"" name "\" bitsize=\"" #bits "\" type=\"" type "\"/>"
#include "vcpu/x86_64/debug_regs.def"
#undef DEBUG_REG
#undef DEBUG_FEATURE
    "</feature></target>";

u32 vcpu_debug_reg_count(void)
{
    return ARRAY_SIZE(regs);
}

u32 vcpu_debug_reg_size(u32 reg)
{
    return regs[reg].bytes;
}

/* Of a register to be read, or written. */
static u8 *place_of(struct vcpu *v, const struct reg *reg, bool write)
{
    u64 component = reg->bytes == XMM_BYTES ? XCR0_SSE : XCR0_X87;

    return (reg->place == FPU ? x86_fpu_area(v, write ? component : 0) : (u8 *)&v->arch) + reg->offset;
}

void vcpu_debug_reg_read(struct vcpu *v, u32 reg, u8 *bytes)
{
    memset(bytes, 0, regs[reg].bytes);
    memcpy(bytes, place_of(v, &regs[reg], false), regs[reg].stored);
}

/* A guest that was sent elsewhere leaves its halt and the shadow of the instruction before. */
static void set_pc(struct vcpu *v, u64 value)
{
    v->arch.rip = value;
    v->arch.rflags &= ~RFLAGS_RF; /* a breakpoint there counts */
    v->arch.blocking &= ~(X86_BLOCK_STI | X86_BLOCK_MOVSS);
    vcpu_request(v, VCPU_REQ_WAKE);
}

/* By the rules for the guest's own instructions, as if it had executed them here. */
static int write_control(struct vcpu *v, enum write which, u64 value)
{
    switch (which) {
    case CR0: return x86_cr0_write(v, value);
    case CR3: return x86_cr3_write(v, value);
    case CR4: return x86_cr4_write(v, value);
    case EFER: return x86_efer_write(v, value);
    case NOT:
    case PLAIN:
    case PC:
    case FLAGS:
    case BASE: break;
    }
    return -E_NOSYS;
}

int vcpu_debug_reg_write(struct vcpu *v, u32 number, const u8 *bytes)
{
    const struct reg *reg = &regs[number];
    u64 value = 0;

    memcpy(&value, bytes, MIN(reg->bytes, sizeof(value)));
    if (reg->write == NOT || reg->write >= CR0) {
        return write_control(v, (enum write)reg->write, value) == 0 ? 0 : reg->write == NOT ? -E_NOSYS : -E_INVAL;
    }
    if ((reg->write == BASE || reg->write == PC) && !x86_is_canonical(value)) {
        return -E_INVAL;
    }
    if (reg->write == FLAGS) {
        v->arch.rflags = (v->arch.rflags & ~FLAGS_WRITABLE) | (value & FLAGS_WRITABLE);
    } else if (reg->write == PC) {
        set_pc(v, value);
    } else {
        memcpy(place_of(v, reg, true), bytes, reg->bytes);
    }
    x86_regs_changed(v, X86_G_CORE | (reg->write == BASE ? X86_G_SEG | X86_G_SYS : 0));
    return 0;
}
