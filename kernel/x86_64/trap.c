#include "kernel/x86_64/trap.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include <arch/cpu.h>

/* insn.h: EXTABLE. */
struct extable_entry {
    u64 from;
    u64 to;
};
extern const struct extable_entry extable_start[], extable_end[];

static void (*irq_entry)(u32 vector);
static void (*send_nmi)(u32 hw_id);
static bool stopping; /* set for ever by arch_cpu_stop_others() */

void arch_set_irq_entry(void (*dispatch)(u32 vector))
{
    irq_entry = dispatch;
}

void arch_set_nmi(void (*send)(u32 hw_id))
{
    send_nmi = send;
}

NORETURN void arch_cpu_stop(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt" ::: "memory");
    }
}

void arch_cpu_stop_others(void)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    for (u32 id = 0; send_nmi != NULL && id < percpu_count(); id++) {
        const struct percpu *other = percpu_of(id);
        if (other != percpu() && other->online) {
            send_nmi(other->hw_id);
        }
    }
}

static const char *const exception_names[VECTOR_EXTERNAL_FIRST] = {
    [VECTOR_DE] = "#DE", [VECTOR_DB] = "#DB", [VECTOR_NMI] = "NMI", [VECTOR_BP] = "#BP", [VECTOR_OF] = "#OF",
    [VECTOR_BR] = "#BR", [VECTOR_UD] = "#UD", [VECTOR_NM] = "#NM",  [VECTOR_DF] = "#DF", [VECTOR_TS] = "#TS",
    [VECTOR_NP] = "#NP", [VECTOR_SS] = "#SS", [VECTOR_GP] = "#GP",  [VECTOR_PF] = "#PF", [VECTOR_MF] = "#MF",
    [VECTOR_AC] = "#AC", [VECTOR_MC] = "#MC", [VECTOR_XM] = "#XM",  [VECTOR_VE] = "#VE", [VECTOR_CP] = "#CP",
    [VECTOR_HV] = "#HV", [VECTOR_VC] = "#VC", [VECTOR_SX] = "#SX",
};

/* A #GP or #DB at an instruction that was marked as one where it may come: go on where its table entry says. Needs no
 * percpu area: it is also called between a guest's exit and the return of the host's GS. */
static bool fix_up(struct trap_frame *frame)
{
    if (frame->vector != VECTOR_GP && frame->vector != VECTOR_DB) {
        return false;
    }
    for (const struct extable_entry *entry = extable_start; (u64)entry < (u64)extable_end; entry++) {
        if (entry->from == frame->rip) {
            frame->rip = entry->to;
            return true;
        }
    }
    return false;
}

static void handle_nmi(void)
{
    if (__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        arch_cpu_stop();
    }
    percpu()->arch.nmi_count++;
}

static NORETURN void die(const struct trap_frame *frame)
{
    const char *name = exception_names[frame->vector];

    panic_trap(frame, "exception=%s vector=%lu error=0x%lx cr2=0x%lx",
               name != NULL ? name : "reserved", frame->vector, frame->error, read_cr2());
}

void trap_handle(struct trap_frame *frame)
{
    if (frame->vector == VECTOR_NMI) {
        handle_nmi();
    } else if (frame->vector < VECTOR_EXTERNAL_FIRST) {
        if (!fix_up(frame)) {
            die(frame);
        }
    } else if (irq_entry != NULL) {
        irq_entry((u32)frame->vector);
    }
}
