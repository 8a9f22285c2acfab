/* The report on a guest that died: its last exits, the instruction, page walks, and why. */
#include "kernel/base/log.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/autopsy.h"
#include "vcpu/x86_64/decode.h"

#define NO_VECTOR 256U

enum opcode { OP_INT3 = 0xCC, OP_INT = 0xCD, OP_INTO = 0xCE, OP_INT1 = 0xF1, OP_JMP_SHORT = 0xEB, OP_UD2 = 0x0B,
              JMP_SELF = 0xFE };

/* --- addresses ----------------------------------------------------------------------------------------------------- */

void autopsy_walk_cause(const struct x86_walk_report *walk, char *text)
{
    unsigned level = walk->levels - walk->met;
    unsigned long long at = 0, entry = 0;

    if (walk->met < X86_WALK_LEVELS) {
        at = LLX(walk->at[walk->met]);
        entry = LLX(walk->entry[walk->met]);
    }
    if (!walk->canonical) {
        (void)fmt_snprintf(text, AUTOPSY_WHY_MAX, "not a canonical address");
    } else if (walk->outside) {
        (void)fmt_snprintf(text, AUTOPSY_WHY_MAX, "its level-%u page-table entry at gpa 0x%llx is in no memory", level, at);
    } else if ((walk->error & PF_ERROR_RSVD) != 0) {
        (void)fmt_snprintf(text, AUTOPSY_WHY_MAX, "reserved bits in its level-%u page-table entry 0x%llx", level, entry);
    } else if ((walk->error & PF_ERROR_P) == 0) {
        (void)fmt_snprintf(text, AUTOPSY_WHY_MAX, "its level-%u page-table entry at gpa 0x%llx is not present", level, at);
    } else {
        (void)fmt_snprintf(text, AUTOPSY_WHY_MAX, "mapped, but may not be %s",
                           (walk->error & PF_ERROR_ID) != 0   ? "executed"
                           : (walk->error & PF_ERROR_WR) != 0 ? "written"
                                                              : "read");
    }
}

static bool is_ram(const struct vcpu *v, gpa_t gpa)
{
    u8 byte;

    return v->config.mem->ram_read(v->config.ctx, gpa, &byte, sizeof(byte)) == 0;
}

bool autopsy_reachable(struct vcpu *v, u64 va, size_t len, u32 access, const char *what, char *why)
{
    const u64 ends[] = {va, va + len - 1};
    char cause[AUTOPSY_WHY_MAX];

    for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
        struct x86_walk_report walk;
        x86_walk_explain(v, GVA(ends[i]), access, &walk);
        if (!walk.failed && is_ram(v, walk.gpa)) {
            continue;
        }
        if (walk.failed) {
            autopsy_walk_cause(&walk, cause);
        } else {
            (void)fmt_snprintf(cause, sizeof(cause), "gpa 0x%llx is no memory", LLX(walk.gpa.v));
        }
        (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "%s at 0x%llx: %s", what, LLX(ends[i]), cause);
        return false;
    }
    return true;
}

static u64 linear_pc(struct vcpu *v)
{
    const struct vcpu_arch *a = &v->arch;

    return x86_code_bits(v) == 64 ? a->rip : (a->seg[X86_CS].base + a->rip) & GENMASK(31, 0);
}

static u32 fetch_access(const struct vcpu *v)
{
    return X86_ACCESS_FETCH | (v->arch.cpl == 3 ? X86_ACCESS_USER : 0);
}

/* --- sentences ------------------------------------------------------------------------------------------------------- */

/* The exception that the instruction at the PC raises for certain, else NO_VECTOR. */
static u32 certain_vector(struct vcpu *v)
{
    u8 code[X86_INSN_MAX] = {0};
    struct x86_insn in;
    struct x86_walk_report walk;
    size_t have = x86_fetch_insn(v, code);

    x86_walk_explain(v, GVA(linear_pc(v)), fetch_access(v), &walk);
    if (walk.failed) {
        return VECTOR_PF;
    }
    if (have == 0 || x86_decode(code, have, x86_code_bits(v), &in) != 0) {
        return have == X86_INSN_MAX ? VECTOR_UD : NO_VECTOR;
    }
    if (in.map == X86_MAP_0F) {
        return in.opcode == OP_UD2 ? VECTOR_UD : NO_VECTOR;
    }
    switch (in.map == X86_MAP_ONE ? in.opcode : 0) {
    case OP_INT3:
        return VECTOR_BP;
    case OP_INT:
        return (u8)in.imm;
    case OP_INT1:
        return VECTOR_DB;
    default:
        return NO_VECTOR;
    }
}

static void say_shutdown(struct vcpu *v, char *why)
{
    u32 vector = certain_vector(v);

    if (vector != NO_VECTOR && !autopsy_deliverable(v, (u8)vector, why)) {
        return;
    }
    if (autopsy_deliverable(v, VECTOR_DF, why)) {
        (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "IDT, GDT, TSS and stack look right by now");
    }
}

/* It fetched code, or kept page tables, where there is no memory. */
static void say_memory(struct vcpu *v, char *why)
{
    if (autopsy_reachable(v, linear_pc(v), 1, fetch_access(v), "code", why)) {
        (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "a page table for its data, below cr3=0x%llx, is in no memory",
                           LLX(v->arch.cr3));
    }
}

static void say_emulation(struct vcpu *v, char *why)
{
    (void)v;
    (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "it used an instruction at a device, or where no memory is, that Mote cannot "
                                             "execute in its place");
}

/* What both vendors refuse: SDM 27.3.1, APM 15.5.1. */
static void say_entry(struct vcpu *v, char *why)
{
    const struct vcpu_arch *a = &v->arch;
    const struct {
        bool wrong;
        const char *text;
    } rules[] = {
        {a->cr0 >> 32 != 0, "CR0 bits 63:32 are set"},
        {(a->cr0 & (CR0_PG | CR0_PE)) == CR0_PG, "CR0.PG is set without CR0.PE"},
        {(a->cr0 & (CR0_NW | CR0_CD)) == CR0_NW, "CR0.NW is set without CR0.CD"},
        {(a->efer & EFER_LMA) != 0 && (a->cr4 & CR4_PAE) == 0, "long mode without CR4.PAE"},
        {(a->rflags & RFLAGS_FIXED) == 0, "RFLAGS bit 1 is clear"},
    };

    for (u32 i = 0; i < ARRAY_SIZE(rules); i++) {
        if (rules[i].wrong) {
            (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "the CPU refused the state: %s", rules[i].text);
            return;
        }
    }
    (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "the CPU refused the state");
}

static void say_timeout(struct vcpu *v, char *why)
{
    const char *interrupts = (v->arch.rflags & RFLAGS_IF) != 0 ? "on" : "off";
    u8 code[X86_INSN_MAX] = {0};
    size_t have = x86_fetch_insn(v, code);

    if (v->state == VCPU_BLOCKED) {
        (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "it waited in HLT with interrupts %s", interrupts);
    } else if (have >= 2 && code[0] == OP_JMP_SHORT && code[1] == JMP_SELF) {
        (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "it jumped to itself with interrupts %s", interrupts);
    } else {
        (void)fmt_snprintf(why, AUTOPSY_WHY_MAX, "it was running with interrupts %s", interrupts);
    }
}

void autopsy_sentence(struct vcpu *v, enum vcpu_death death, char *why)
{
    static void (*const say[])(struct vcpu *v, char *why) = {
        [VCPU_DEATH_SHUTDOWN] = say_shutdown,   [VCPU_DEATH_MEMORY] = say_memory, [VCPU_DEATH_EMULATION] = say_emulation,
        [VCPU_DEATH_ENTRY] = say_entry,         [VCPU_DEATH_TIMEOUT] = say_timeout,
    };

    why[0] = '\0';
    if (say[death] != NULL) {
        say[death](v, why);
    }
}

/* --- the report -------------------------------------------------------------------------------------------------------- */

/* The port, guest-physical address or call number. */
static u64 place(const struct vcpu_past_exit *past)
{
    if (past->kind == VCPU_EXIT_PIO) {
        return (u16)past->where;
    }
    return past->kind == VCPU_EXIT_NPF || past->kind == VCPU_EXIT_HYPERCALL ? past->where : 0;
}

static void report_exits(const struct vcpu *v, const char *vm)
{
    u32 count = MIN(v->history_head, VCPU_HISTORY);

    for (u32 i = v->history_head - count; i != v->history_head; i++) {
        const struct vcpu_past_exit *past = &v->history[i % VCPU_HISTORY];
        log_event("vm=%s ev=autopsy vcpu=%u exit=%s rip=0x%llx where=0x%llx", vm, v->config.id,
                  vcpu_exit_name((enum vcpu_exit_kind)past->kind), LLX(past->pc), LLX(place(past)));
    }
}

static void report_insn(struct vcpu *v, const char *vm)
{
    u8 code[X86_INSN_MAX] = {0};
    char text[2 * X86_INSN_MAX + 1] = "", name[AUTOPSY_INSN_MAX] = "";
    struct x86_insn in = {.length = 0};
    size_t have = x86_fetch_insn(v, code);

    if (x86_decode(code, have, x86_code_bits(v), &in) != 0) {
        in.length = 0;
    }
    for (size_t i = 0; i < (in.length != 0 ? in.length : have); i++) {
        (void)fmt_snprintf(text + 2 * i, sizeof(text) - 2 * i, "%02x", code[i]);
    }
    if (in.length != 0) {
        autopsy_name_insn(&v->arch, &in, name);
    }
    log_event("vm=%s ev=autopsy vcpu=%u insn=%s length=%u bits=%u%s", vm, v->config.id, text[0] != '\0' ? text : "none", in.length,
              x86_code_bits(v), name);
}

static void report_walk(struct vcpu *v, const char *vm, const char *what, u64 va, u32 access)
{
    struct x86_walk_report walk;
    char entries[128] = "";
    size_t len = 0;

    x86_walk_explain(v, GVA(va), access, &walk);
    u32 shown = walk.failed && walk.met < walk.levels ? walk.met + 1U : walk.met;
    for (u32 i = 0; i < shown && i < X86_WALK_LEVELS; i++) {
        (void)fmt_snprintf(entries + len, sizeof(entries) - len, "%s0x%llx", i != 0 ? "," : "", LLX(walk.entry[i]));
        len = strnlen(entries, sizeof(entries));
    }
    if (walk.failed) {
        log_event("vm=%s ev=autopsy vcpu=%u walk=%s va=0x%llx entries=%s error=0x%x", vm, v->config.id, what, LLX(va), entries,
                  walk.error);
    } else {
        log_event("vm=%s ev=autopsy vcpu=%u walk=%s va=0x%llx entries=%s gpa=0x%llx", vm, v->config.id, what, LLX(va), entries,
                  LLX(walk.gpa.v));
    }
}

void vcpu_autopsy(struct vcpu *v, const char *vm_name, enum vcpu_death death)
{
    char why[AUTOPSY_WHY_MAX];

    report_exits(v, vm_name);
    report_insn(v, vm_name);
    if ((v->arch.cr0 & CR0_PG) != 0) {
        report_walk(v, vm_name, "rip", linear_pc(v), fetch_access(v));
        if (v->arch.cr2 != 0) {
            report_walk(v, vm_name, "cr2", v->arch.cr2, 0);
        }
    }
    autopsy_sentence(v, death, why);
    if (why[0] != '\0') {
        log_event("vm=%s ev=autopsy vcpu=%u why=\"%s\"", vm_name, v->config.id, why);
    }
}
