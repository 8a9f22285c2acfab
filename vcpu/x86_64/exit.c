/* From a decoded hardware exit to its end: one table, indexed by enum x86_exit_code. Exits that are policy end here,
 * the
 * others become the neutral exits of vcpu/exit.h. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/isa.h"
#include "vcpu/x86_64/decode.h"
#include "vcpu/x86_64/exit_insn.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/x86.h"

void x86_exit_unhandled(const struct x86_exit *xe, struct vcpu_exit *exit, const char *what)
{
    exit->kind = VCPU_EXIT_UNHANDLED;
    exit->unhandled.hw_reason = xe->hw_reason;
    exit->unhandled.qual = xe->qual;
    exit->unhandled.detail = xe->detail;
    exit->unhandled.what = what;
}

/* --- exits that say nothing about the guest --------------------------------------------------------------------- */

static void exit_kicked(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)v;
    (void)xe;
    exit->kind = VCPU_EXIT_KICKED;
}

/* Windows: x86_before_entry() does the work of an open window. */
static void exit_nothing(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)v;
    (void)xe;
    (void)exit;
}

/* --- the interrupt chip where the hardware helps; x86_before_entry() looks what follows -------------------------------- */

static void exit_priority(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)xe;
    (void)exit;
    vcpu_request(v, VCPU_REQ_EVENT);
}

static void exit_eoi(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)exit;
    v->config.chip_ops->notice(v->config.chip, v, IRQCHIP_ENDED, (u32)xe->qual);
    vcpu_request(v, VCPU_REQ_EVENT);
}

static void exit_chip_write(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)exit;
    v->config.chip_ops->notice(v->config.chip, v, IRQCHIP_WRITTEN, (u32)xe->qual);
    vcpu_request(v, VCPU_REQ_EVENT);
}

static void exit_unknown(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)v;
    x86_exit_unhandled(xe, exit, "unknown exit");
}

static void exit_entry_failed(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    v->backend->dump(v);
    exit->kind = VCPU_EXIT_ENTRY_FAILED;
    exit->entry_failed.hw_reason = xe->hw_reason;
    exit->entry_failed.qual = xe->qual;
    exit->entry_failed.detail = xe->detail;
}

static void exit_shutdown(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)v;
    (void)xe;
    exit->kind = VCPU_EXIT_SHUTDOWN;
    exit->shutdown.reason = VCPU_SHUTDOWN_TRIPLE_FAULT;
}

/* --- exceptions and task switches ------------------------------------------------------------------------------- */

/* Intercepted so that their delivery cannot loop for ever inside the CPU; the guest gets them. */
static void exit_exception(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    if (xe->exception.vector == VECTOR_MC) {
        x86_exit_unhandled(xe, exit, "machine check");
        return;
    }
    if (xe->exception.vector == VECTOR_BP) {
        x86_exit_breakpoint(v, xe, exit);
        return;
    }
    if (xe->exception.vector == VECTOR_DB && x86_exit_debug(v, xe, exit)) {
        return;
    }
    if (xe->exception.vector == VECTOR_PF) {
        x86_raise_pf(v, GVA(xe->exception.cr2), xe->exception.error);
        return;
    }
    x86_raise(v, xe->exception.vector, xe->exception.has_error, xe->exception.error);
}

static void exit_task_switch(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    if (x86_task_switch(v, xe) != 0) {
        x86_exit_unhandled(xe, exit, "task switch");
    }
}

static void exit_ltr(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    if (vcpu_emulate(v) != 0) {
        x86_exit_unhandled(xe, exit, "LTR");
    }
}

/* --- exits for the VM layer ------------------------------------------------------------------------------------- */

static void exit_io(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    u64 len = xe->io.next_rip - v->arch.rip;

    exit->kind = VCPU_EXIT_PIO;
    exit->pio.port = xe->io.port;
    exit->pio.size = xe->io.size;
    exit->pio.write = xe->io.write;
    exit->pio.string = xe->io.string;
    exit->pio.value = v->arch.gpr[X86_RAX]; /* bits above size do not count */
    if (!xe->io.string) { /* else vcpu_emulate() knows */
        exit->insn_len = xe->io.next_rip != 0 && len - 1 < X86_INSN_MAX ? (u8)len : x86_exit_len(v, xe);
    }
}

static void exit_npf(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    (void)v;
    exit->kind = VCPU_EXIT_NPF;
    exit->npf.gpa = xe->npf.gpa;
    exit->npf.flags = xe->npf.flags;
}

/* The VM may have the answer at hand. Else the call is over when vcpu_finish() has advanced. */
static void exit_hypercall(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    u64 number = v->arch.gpr[X86_RAX];

    exit->kind = VCPU_EXIT_HYPERCALL;
    if (!xe->call.user && xe->insn_len != 0 && v->config.answer != NULL && v->config.answer(v, number, &v->arch.gpr[X86_RAX])) {
        exit->answered = true;
        x86_advance(v, xe->insn_len);
        return;
    }
    if (number > LOW_HALF && x86_code_bits(v) != 64) {
        number &= LOW_HALF;
    }
    exit->insn_len = x86_exit_len(v, xe);
    exit->hypercall.number = number;
    exit->hypercall.user = xe->call.user;
}

static void exit_hlt(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    x86_advance(v, x86_exit_len(v, xe));
    if (!isa_vcpu_event_waits(v)) {
        exit->kind = VCPU_EXIT_HALT;
        exit->halt.interruptible = (v->arch.rflags & RFLAGS_IF) != 0;
    }
}

static void exit_pause(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    x86_advance(v, x86_exit_len(v, xe));
    exit->kind = VCPU_EXIT_YIELD;
}

const char *vcpu_reason_name(u32 reason)
{
    static const char *const names[X86_EXIT_CODES] = {
#define X86_EXIT_NAME(name) [X86_EXIT_##name] = #name,
        X86_EXIT_LIST(X86_EXIT_NAME)
#undef X86_EXIT_NAME
    };

    return reason < X86_EXIT_CODES ? names[reason] : "?";
}

/* --- the table -------------------------------------------------------------------------------------------------- */

x86_exit_handler *const x86_exit_handlers[X86_EXIT_CODES] = {
    [X86_EXIT_INTR] = exit_kicked,
    [X86_EXIT_NMI] = exit_kicked,
    [X86_EXIT_EXCEPTION] = exit_exception,
    [X86_EXIT_BREAKPOINT] = x86_exit_breakpoint,
    [X86_EXIT_INTR_WINDOW] = exit_nothing,
    [X86_EXIT_NMI_WINDOW] = exit_nothing,
    [X86_EXIT_IRET] = exit_nothing,
    [X86_EXIT_CPUID] = x86_exit_cpuid,
    [X86_EXIT_HLT] = exit_hlt,
    [X86_EXIT_PAUSE] = exit_pause,
    [X86_EXIT_MSR_READ] = x86_exit_rdmsr,
    [X86_EXIT_MSR_WRITE] = x86_exit_wrmsr,
    [X86_EXIT_CR] = x86_exit_cr,
    [X86_EXIT_DR] = x86_exit_dr,
    [X86_EXIT_XSETBV] = x86_exit_xsetbv,
    [X86_EXIT_IO] = exit_io,
    [X86_EXIT_NPF] = exit_npf,
    [X86_EXIT_HYPERCALL] = exit_hypercall,
    [X86_EXIT_INVLPG] = x86_exit_invlpg,
    [X86_EXIT_RDTSC] = x86_exit_rdtsc,
    [X86_EXIT_RDTSCP] = x86_exit_rdtscp,
    [X86_EXIT_RDPMC] = x86_exit_gp,
    [X86_EXIT_INVD] = x86_exit_skip,
    [X86_EXIT_WBINVD] = x86_exit_skip,
    [X86_EXIT_MONITOR] = x86_exit_ud,
    [X86_EXIT_MWAIT] = x86_exit_ud,
    [X86_EXIT_TASK_SWITCH] = exit_task_switch,
    [X86_EXIT_LTR] = exit_ltr,
    [X86_EXIT_UD] = x86_exit_ud,
    [X86_EXIT_SHUTDOWN] = exit_shutdown,
    [X86_EXIT_INIT] = exit_kicked,
    [X86_EXIT_SIPI] = exit_kicked,
    [X86_EXIT_TIMER] = exit_kicked,
    [X86_EXIT_PRIORITY] = exit_priority,
    [X86_EXIT_EOI] = exit_eoi,
    [X86_EXIT_CHIP_WRITE] = exit_chip_write,
    [X86_EXIT_NOTHING] = exit_nothing,
    [X86_EXIT_ENTRY_FAILED] = exit_entry_failed,
    [X86_EXIT_UNKNOWN] = exit_unknown,
};
