/* Breakpoint instructions and single steps for a debugger outside; vcpu/debug.h. A step is a guest's own: TF, whose #DB both
 * vendors intercept always (SDM Vol. 3 18.3.1.4, APM Vol. 2 13.1.4). INT3 comes as #BP, or as a software interrupt where an
 * emulator takes it for one; only while a debugger is attached. */
#include "vcpu/debug.h"
#include "vcpu/x86_64/decode.h"
#include "vcpu/x86_64/exit_insn.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/x86.h"

#define OPCODE_PUSHF 0x9CU
#define OPCODE_INT3 0xCCU
#define OPCODE_INT 0xCDU
#define OPCODE_INTO 0xCEU

const u8 vcpu_debug_trap[] = {OPCODE_INT3};

u32 vcpu_debug_trap_len(void)
{
    return sizeof(vcpu_debug_trap);
}

static bool is_prefix(u8 byte, bool is_long)
{
    switch (byte) {
    case 0x26: case 0x2E: case 0x36: case 0x3E: case 0x64: case 0x65: case 0x66: case 0x67: case 0xF2: case 0xF3: return true;
    default: return is_long && (byte & 0xF0) == 0x40;
    }
}

/* The opcode of the instruction at the PC, behind its prefixes. */
struct opcode {
    u8 byte; /* 0: unreadable */
    u8 next; /* what follows, */
    bool whole; /* if it can be read */
    u8 at;
};

static struct opcode opcode_at_pc(struct vcpu *v)
{
    u8 bytes[X86_INSN_MAX];
    size_t have = x86_fetch_insn(v, bytes), at = 0;
    bool is_long = x86_code_bits(v) == 64;

    while (at < have && is_prefix(bytes[at], is_long)) {
        at++;
    }
    return (struct opcode){.byte = at < have ? bytes[at] : 0, .next = at + 1 < have ? bytes[at + 1] : 0, .at = (u8)at,
                           .whole = at + 1 < have};
}

void vcpu_debug_attach(struct vcpu *v, bool on)
{
    if (v->arch.debug.attached != on) {
        v->arch.debug.attached = on;
        v->backend->set_debug(v);
    }
    if (!on) {
        vcpu_debug_step_cancel(v);
    }
}

/* The shadow ends: with TF in it an entry would want a pending #DB (SDM 27.3.1.5); no interrupt comes meanwhile anyway. */
void vcpu_debug_step(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;

    vcpu_debug_step_cancel(v);
    a->special |= X86_SPECIAL_STEP;
    a->debug.pushes = opcode_at_pc(v).byte == OPCODE_PUSHF;
    a->debug.own_tf = (a->rflags & RFLAGS_TF) != 0;
    a->rflags |= RFLAGS_TF;
    a->blocking &= ~(X86_BLOCK_STI | X86_BLOCK_MOVSS);
    x86_regs_changed(v, X86_G_CORE);
    v->backend->set_debug(v);
}

void vcpu_debug_step_cancel(struct vcpu *v)
{
    if ((v->arch.special & X86_SPECIAL_STEP) != 0) {
        x86_step_ends(v);
        v->backend->set_debug(v);
    }
}

gva_t vcpu_debug_address(struct vcpu *v)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_CORE | X86_G_SEG);

    return GVA(x86_code_bits(v) == 64 ? a->rip : (a->seg[X86_CS].base + a->rip) & GENMASK(31, 0));
}

/* The software event of the instruction at the PC: INT3, INT n or INTO. */
static bool read_event(struct vcpu *v, struct vcpu_event *event)
{
    struct opcode op = opcode_at_pc(v);

    if (op.byte == OPCODE_INT && op.whole) {
        *event = (struct vcpu_event){.type = VCPU_EVENT_SOFT_IRQ, .vector = op.next, .insn_len = (u8)(op.at + 2)};
        return true;
    }
    u8 vector = op.byte == OPCODE_INTO ? VECTOR_OF : VECTOR_BP;
    *event = (struct vcpu_event){.type = VCPU_EVENT_SOFT_EXCEPTION, .vector = vector, .insn_len = (u8)(op.at + 1)};
    return op.byte == OPCODE_INT3 || op.byte == OPCODE_INTO;
}

void vcpu_debug_pass(struct vcpu *v)
{
    struct vcpu_event event;

    if (read_event(v, &event)) { /* else the code is another by now: it is executed */
        x86_event_interrupted(v, &event);
    }
}

void x86_exit_breakpoint(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    struct vcpu_event event;

    (void)xe;
    if (read_event(v, &event) && event.vector != VECTOR_BP) {
        x86_event_interrupted(v, &event);
        return;
    }
    exit->kind = VCPU_EXIT_DEBUG;
    exit->debug.breakpoint = true;
    exit->debug.point = 0;
}

/* Does the #DB end the step? Intel tells by the qualification, AMD by DR6, which Bochs has not written yet then. */
bool x86_step_trapped(struct vcpu *v, const struct x86_exit *xe)
{
    const u64 others = DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3 | DR6_BD | DR6_BT;

    if ((v->arch.special & X86_SPECIAL_STEP) == 0) {
        return false;
    }
    u64 told = xe->qual != 0 ? xe->qual : x86_regs(v, X86_G_DR)->dr6;
    return (told & DR6_BS) != 0 || (told & others) == 0;
}

/* The flags that PUSHF has just pushed, without our TF. */
static void clean_pushed_flags(struct vcpu *v)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_CORE | X86_G_SEG);
    const struct x86_seg *ss = &a->seg[X86_SS];
    u64 sp = a->gpr[X86_RSP];
    u8 flags; /* their second byte */

    if (x86_code_bits(v) != 64) {
        sp = (u32)(ss->base + ((ss->attr & SEG_DB) != 0 ? (u32)sp : (u16)sp));
    }
    u32 user = a->cpl == 3 ? X86_ACCESS_USER : 0;
    if (x86_read_linear(v, GVA(sp + 1), &flags, 1, user) == 0) {
        flags &= (u8)~(RFLAGS_TF >> 8);
        int error = x86_write_linear(v, GVA(sp + 1), &flags, 1, user);
        (void)error; /* it has just been written */
    }
}

void x86_exit_step(struct vcpu *v, struct vcpu_exit *exit)
{
    struct vcpu_arch *a = x86_regs(v, X86_G_DR);

    if (!a->debug.own_tf && a->debug.pushes) {
        clean_pushed_flags(v);
    }
    if (!a->debug.own_tf && (a->dr6 & DR6_BS) != 0) { /* the trace of our trap, not the guest's */
        a->dr6 &= ~DR6_BS;
        hostcpu_set_dr6(a->dr6);
        x86_regs_changed(v, X86_G_DR);
    }
    x86_step_ends(v);
    exit->kind = VCPU_EXIT_DEBUG;
    exit->debug.breakpoint = false;
    exit->debug.point = 0;
}
