/* What both backends share: the decoded hardware exit, and the policy code that ends it. A backend's run() fills a
 * struct x86_exit and returns through x86_exit_handle(). Policy (CPUID, MSR, CR, XCR0) is const data behind this. */
#pragma once
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/trace.h"
#include "vcpu/vcpu.h"

struct x86_exit {
    enum x86_exit_code code; /* <arch/vcpu_reasons.h> */
    u8 insn_len;          /* from hardware; 0 = unknown, decode when needed (x86_insn_len()) */
    u64 hw_reason;        /* raw, for reports: */
    u64 qual, detail;     /* qualification / EXITINFO1, EXITINFO2; stale after exits that nobody reports */
    union {
        struct { u8 vector; bool has_error; u32 error; u64 cr2; } exception;
        struct { u8 cr; bool decoded, write; u8 kind; /* enum x86_cr_kind */ u8 gpr; u16 lmsw; } cr;
        struct { u8 dr; bool decoded, write; u8 gpr; } dr;
        struct { u16 port; u8 size; bool write, string, rep; u64 next_rip; /* 0 = use insn_len */ } io;
        struct { gpa_t gpa; u32 flags; /* NPF_* */ } npf;
        struct { bool user; /* CPL 1 to 3 */ } call;
        struct { u16 selector; u8 source; /* 0 CALL 1 IRET 2 JMP 3 gate */ bool has_error; u32 error; } task;
    };
};
enum x86_cr_kind { X86_CR_MOV, X86_CR_CLTS, X86_CR_LMSW, X86_CR_SMSW };

#define LOW_HALF GENMASK(31, 0) /* of a register */
#define LLX(x) ((unsigned long long)(x)) /* what %llx wants */

/* --- registers ------------------------------------------------------------------------------------------------- */

/* Make the groups valid in v->arch and return it. */
static inline struct vcpu_arch *x86_regs(struct vcpu *v, u32 groups)
{
    if ((groups & ~v->arch.valid) != 0) {
        v->backend->regs_fetch(v, groups & ~v->arch.valid);
    }
    return &v->arch;
}

/* The groups in v->arch were changed (all their members are valid): flush them before the next entry. */
static inline void x86_regs_changed(struct vcpu *v, u32 groups)
{
    v->arch.valid |= groups;
    v->arch.dirty |= groups;
}

/* What seldom is: a carry out of 16 bits, RF, the trap of TF. old: RIP before. */
void x86_advance_rare(struct vcpu *v, u64 old);
/* The ONE place where the PC moves: adds len to RIP (truncated to 32 or 16 bits outside 64-bit code), clears the
 * interrupt shadow and RFLAGS.RF. */
static inline void x86_advance(struct vcpu *v, u8 len)
{
    struct vcpu_arch *a = &v->arch; /* CORE is valid after every exit */
    u64 old = a->rip;

    a->rip = old + len;
    a->blocking &= ~(X86_BLOCK_STI | X86_BLOCK_MOVSS);
    a->dirty |= X86_G_CORE;
    if ((((a->rip ^ old) & ~GENMASK(15, 0)) | (a->rflags & (RFLAGS_TF | RFLAGS_RF))) != 0) {
        x86_advance_rare(v, old);
    }
}

/* --- around an entry: called by both backends' run() ------------------------------------------------------------- */

/* Requests, stage-2 generation, re-injection, exception, NMI, interrupt by priority, windows. IRQs off. Called once
 * before the entry, before dirty groups are flushed (it may dirty some). False: there is no entry, *exit says why (a
 * triple fault). */
#define X86_WORK_REQUESTS (VCPU_REQ_EVENT | VCPU_REQ_NMI | VCPU_REQ_FLUSH)
bool x86_deliver_events(struct vcpu *v, struct vcpu_exit *exit);
MUST_CHECK static inline bool x86_before_entry(struct vcpu *v, struct vcpu_exit *exit)
{
    const struct vcpu_arch *a = &v->arch;
    bool work = ((READ_ONCE(v->requests) & X86_WORK_REQUESTS) | a->event_work) != 0;

    return (!work && a->s2_generation == READ_ONCE(v->config.stage2->generation)) || x86_deliver_events(v, exit);
}

/* A hardware event whose delivery was interrupted by the exit (IDT-vectoring info, EXITINTINFO): deliver it again,
 * merged
 * by the double-fault rules when the exit itself leads to an exception. */
void x86_event_interrupted(struct vcpu *v, const struct vcpu_event *event);

typedef void x86_exit_handler(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit);
extern x86_exit_handler *const x86_exit_handlers[X86_EXIT_CODES];
/* Dispatch by code through one table. Fills *exit (kind NONE when the guest can go on). */
static inline void x86_exit_handle(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    exit->kind = VCPU_EXIT_NONE;
    exit->insn_len = 0;
    exit->answered = false;
    x86_exit_handlers[xe->code](v, xe, exit);
}
/* May run() enter again at once after what x86_exit_handle() filled? If so the exit has been counted, and what
 * x86_before_entry() does has been done. */
static inline bool x86_is_served_inside(enum vcpu_exit_kind kind)
{
    return kind == VCPU_EXIT_PIO || kind == VCPU_EXIT_NPF || kind == VCPU_EXIT_HYPERCALL;
}
bool x86_goes_on_after_work(struct vcpu *v, enum x86_exit_code code, struct vcpu_exit *exit);
static inline bool x86_goes_on(struct vcpu *v, enum x86_exit_code code, struct vcpu_exit *exit)
{
    const struct vcpu_arch *a = &v->arch;

    if (exit->kind != VCPU_EXIT_NONE && !exit->answered && (!x86_is_served_inside(exit->kind) || !vcpu_serve(v, exit))) {
        exit->reason = (u16)code;
        return false;
    }
    u32 work = (READ_ONCE(v->requests) & (X86_WORK_REQUESTS | VCPU_REQ_STOP)) | a->event_work | READ_ONCE(percpu()->resched);
    if (work != 0 || a->s2_generation != READ_ONCE(v->config.stage2->generation)) {
        return x86_goes_on_after_work(v, code, exit);
    }
    vcpu_count(v, code);
    return true;
}

/* For the traced loop, right after an exit: the MSR's number, or what RAX says: CPUID's leaf, a call's number. */
static inline void x86_trace_left(struct vcpu *v, enum x86_exit_code code)
{
    bool msr = code == X86_EXIT_MSR_READ || code == X86_EXIT_MSR_WRITE;

    vcpu_trace_left(v, code, (u32)v->arch.gpr[msr ? X86_RCX : X86_RAX]);
}

/* --- events ----------------------------------------------------------------------------------------------------- */

/* Queue an exception by the rules of SDM 6.15 table 6-5: contributory pairs become #DF, a fault during #DF a triple
 * fault (X86_SPECIAL_TRIPLE_FAULT: instead of the next entry there is the exit SHUTDOWN). */
void x86_raise(struct vcpu *v, u8 vector, bool has_error, u32 error);
void x86_raise_gp(struct vcpu *v);  /* #GP(0) */
void x86_raise_ud(struct vcpu *v);
void x86_raise_pf(struct vcpu *v, gva_t va, u32 error);

/* --- a debugger outside: debug.c --------------------------------------------------------------------------------- */

/* The step is over: the guest's TF as it was. */
static inline void x86_step_ends(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;

    a->special &= (u8)~(X86_SPECIAL_STEP | X86_SPECIAL_STEPPED);
    if (!a->debug.own_tf) {
        a->rflags &= ~RFLAGS_TF;
    }
    x86_regs_changed(v, X86_G_CORE);
}
/* Is a #DB that ends a step? */
bool x86_step_trapped(struct vcpu *v, const struct x86_exit *xe);
/* Then this is the exit. */
void x86_exit_step(struct vcpu *v, struct vcpu_exit *exit);
/* A #DB exit. true: it was the debugger's alone, *exit says so; else the guest gets it, and its DR6 tells why. */
bool x86_exit_debug(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit);
/* The debugger that owns the debug registers gets them: what they hold is the guest's, and kept. (regs.c) */
void x86_debug_take(struct vcpu_arch *a);
/* Where the guest's own DR0-3, DR6 or DR7 is: a debugger may have the CPU's. Group DR is valid. */
static inline u64 *x86_guest_dr(struct vcpu_arch *a, u8 dr)
{
    if (dr < 4) {
        return a->debug.owns ? &a->own_dr.dr[dr] : &a->dr[dr];
    }
    if (dr == 6) {
        return a->debug.owns ? &a->own_dr.dr6 : &a->dr6;
    }
    return a->debug.owns ? &a->own_dr.dr7 : &a->dr7;
}
/* The guest's DR6 gets more bits. (regs.c) */
void x86_dr6_add(struct vcpu *v, u64 bits);

/* --- policy, pure functions over v->arch: also built on the host ------------------------------------------------ */

/* The CPUID allow-list: what the guest sees for leaf/subleaf. host(leaf, subleaf, out) supplies hardware values. */
struct x86_cpuid { u32 eax, ebx, ecx, edx; };
void x86_cpuid_guest(struct vcpu *v, u32 leaf, u32 subleaf, struct x86_cpuid *out);

/* MSR table: 0, or -E_GUEST = the guest gets #GP(0). Logs an unlisted MSR once, rate-limited. */
MUST_CHECK int x86_msr_read(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_msr_write(struct vcpu *v, u32 msr, u64 value);
/* true when the guest may access this MSR without an exit (same for both vendors; backends fill bitmaps from it). */
bool x86_msr_passthrough(u32 msr, bool write);

/* A register of the interrupt chip: 0, or -E_GUEST (#GP), also when there is no chip or no such register. */
MUST_CHECK static inline int x86_chip_sysreg(struct vcpu *v, u32 reg, bool write, u64 *value)
{
    const struct irqchip_ops *chip = v->config.chip_ops;
    bool has = chip != NULL && chip->sysreg != NULL;

    return has && chip->sysreg(v->config.chip, v, reg, write, value) == 0 ? 0 : -E_GUEST;
}
/* CR8: the chip's priority register, or v->arch.cr8 where there is none. */
u64 x86_cr8_read(struct vcpu *v);

/* Control registers: apply a guest write by the architecture's rules. 0 or -E_GUEST (#GP(0)). */
MUST_CHECK int x86_cr0_write(struct vcpu *v, u64 value);
MUST_CHECK int x86_cr3_write(struct vcpu *v, u64 value);
MUST_CHECK int x86_cr4_write(struct vcpu *v, u64 value);
MUST_CHECK int x86_cr8_write(struct vcpu *v, u64 value);
MUST_CHECK int x86_efer_write(struct vcpu *v, u64 value);
MUST_CHECK int x86_xcr0_write(struct vcpu *v, u32 index, u64 value);
/* CR0 and CR4 bits that the guest may set at all (by CPUID); everything else is #GP or ignored by rule. */
u64 x86_cr4_allowed(void);
u64 x86_efer_allowed(void);

/* Registers at the architectural reset (SDM table 10-1) into v->arch; all groups dirty. */
void x86_reset_regs(struct vcpu *v);

/* --- task switch: DECODE's task.c ------------------------------------------------------------------------------- */
/* Perform the task switch of xe->task (SDM 8.3 "Task Switching"). 0: done, or a guest exception is queued; -E_NOSYS:
 * not
 * possible, the VM must be stopped. */
MUST_CHECK int x86_task_switch(struct vcpu *v, const struct x86_exit *xe);

/* --- FPU and other state switched by software when the vCPU on a CPU changes ------------------------------------ */
/* Called by the core at setup and destroy, not by backends. */
MUST_CHECK int x86_fpu_init(struct vcpu *v);
void x86_fpu_fini(struct vcpu *v);
void x86_fpu_reset(struct vcpu *v); /* contents to the initial state; not loaded */
/* x87 and SSE state in the layout of FXSAVE, all of it valid; written: components (XCR0_*) that the caller changes. Not loaded. */
u8 *x86_fpu_area(struct vcpu *v, u64 written);
/* Called by load()/unload() of both backends, IRQs off: XSAVE state, XCR0, TSC_AUX. DR0 to DR3, DR6 and CR2
 * are the backends': what of them is in the control block differs. */
void x86_state_load(struct vcpu *v);
void x86_state_unload(struct vcpu *v);

/* --- guest memory through the guest's own page tables ----------------------------------------------------------- */
#define PAGE_BYTES KIB(4) /* the smallest page */
#define X86_ACCESS_WRITE BIT32(1)
#define X86_ACCESS_USER BIT32(2)
#define X86_ACCESS_FETCH BIT32(4)

struct x86_walk_result {
    gpa_t gpa;
    u64 page_size;
    u32 fault_error; /* #PF error code when the walk failed */
};
/* Walk the guest's page tables for va with X86_ACCESS_*. Non-paged modes are identity. 0, or -E_FAULT with
 * fault_error set. Sets A/D bits as hardware would when set_ad. Bounded; a table outside RAM is -E_FAULT. */
MUST_CHECK int x86_walk(struct vcpu *v, gva_t va, u32 access, bool set_ad, struct x86_walk_result *out);

#define X86_WALK_LEVELS 5

/* A walk step by step, for reports. */
struct x86_walk_report {
    gpa_t gpa;        /* when !failed */
    bool failed;
    bool canonical;   /* the address is */
    bool outside;     /* failed: the entry at[met] is in no memory */
    u8 levels;        /* of the paging mode; 0 without paging */
    u8 met;           /* entries that led on; with failed and met < levels, at[met] and entry[met] ended the walk */
    u32 error;        /* failed: the #PF error code */
    u64 at[X86_WALK_LEVELS], entry[X86_WALK_LEVELS]; /* guest-physical addresses and values, the root's first */
};
/* As x86_walk() without set_ad, told in full. */
void x86_walk_explain(struct vcpu *v, gva_t va, u32 access, struct x86_walk_report *out);

/* Read or write guest-linear memory that must be RAM. 0 or -E_FAULT (pages before the fault may be done). */
MUST_CHECK int x86_read_linear(struct vcpu *v, gva_t va, void *buf, size_t len, u32 access);
MUST_CHECK int x86_write_linear(struct vcpu *v, gva_t va, const void *buf, size_t len, u32 access);

/* Fetch up to 15 bytes at CS:RIP. Returns the number fetched (0 when not even one byte is readable). */
size_t x86_fetch_insn(struct vcpu *v, u8 buf[15]);
/* Length of the instruction at CS:RIP by decoding; 0 when it cannot be decoded. */
u8 x86_insn_len(struct vcpu *v);
/* Size of the code now running: 16, 32 or 64. */
u8 x86_code_bits(struct vcpu *v);
/* Its privilege level. */
static inline u8 x86_cpl(struct vcpu *v)
{
    return (v->arch.valid & X86_G_SEG) != 0 ? v->arch.cpl : x86_regs(v, X86_G_MODE)->cpl;
}

/* Read the access to a control or debug register at CS:RIP: MOV CR, MOV DR, CLTS, LMSW, SMSW. Sets code (CR or DR),
 * insn_len and cr.* or dr.*, decoded included. LMSW: lmsw is the operand, read from register or memory. SMSW to memory:
 * gpr is X86_GPRS, vcpu_emulate() then executes it. 0; -E_NOSYS: another instruction; -E_GUEST: reading the operand
 * faulted, the exception is queued. *xe changes only on 0. */
MUST_CHECK int x86_decode_cr_dr(struct vcpu *v, struct x86_exit *xe);
