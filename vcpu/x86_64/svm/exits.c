/* The exit fields of the VMCB decoded: APM Vol. 2 15.6 ff., appendix C. Emulators and CPUs differ in what they add to
 * the exit code; what is missing here (lengths, operands) the shared code decodes from the instruction. */
#include "vcpu/x86_64/svm/internal.h"
#include "kernel/x86_64/regs.h"

#define EXIT_CR_FIRST 0x00U /* reads of CR0-15, then writes */
#define EXIT_CR_LAST 0x1FU
#define EXIT_DR_FIRST 0x20U
#define EXIT_DR_LAST 0x3FU
#define EXIT_EXCP_FIRST 0x40U
#define EXIT_EXCP_LAST 0x5FU
#define EXIT_REGISTER_MASK 0xFU
#define EXIT_WRITE BIT(4)
#define EXIT_NPF 0x400U
#define EXIT_INVALID 0xFFFFFFFFU /* the low half: QEMU leaves the high one zero */
#define SVM_EXIT(name, code, x86, decode, facts) _Static_assert((code) < SVM_EXIT_ROWS, #name);
#include "vcpu/x86_64/svm/exits.def"
#undef SVM_EXIT

static void decode_cr(const struct vmcb *vmcb, struct x86_exit *xe)
{
    const struct vmcb_control *control = &vmcb->control;

    xe->cr.cr = (u8)(control->exitcode & EXIT_REGISTER_MASK);
    xe->cr.write = (control->exitcode & EXIT_WRITE) != 0;
    xe->cr.decoded = svm_has(SVM_FEATURE_DECODE_ASSISTS) && (control->exitinfo1 & VMCB_INFO1_CR_DECODED) != 0;
    xe->cr.kind = X86_CR_MOV;
    xe->cr.gpr = (u8)FIELD_GET(VMCB_INFO1_CR_GPR_MASK, control->exitinfo1);
    xe->cr.lmsw = 0;
}

static void decode_dr(const struct vmcb *vmcb, struct x86_exit *xe)
{
    const struct vmcb_control *control = &vmcb->control;

    xe->dr.dr = (u8)(control->exitcode & EXIT_REGISTER_MASK);
    xe->dr.write = (control->exitcode & EXIT_WRITE) != 0;
    xe->dr.decoded = svm_has(SVM_FEATURE_DECODE_ASSISTS);
    xe->dr.gpr = (u8)FIELD_GET(VMCB_INFO1_CR_GPR_MASK, control->exitinfo1);
}

static void decode_exception(const struct vmcb *vmcb, struct x86_exit *xe)
{
    const struct vmcb_control *control = &vmcb->control;
    u8 vector = (u8)(control->exitcode - EXIT_EXCP_FIRST);

    xe->insn_len = 0;
    xe->exception.vector = vector;
    xe->exception.has_error = vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= VECTOR_PF) ||
                              vector == VECTOR_AC || vector == VECTOR_CP;
    xe->exception.error = (u32)control->exitinfo1;
    xe->qual = xe->exception.has_error ? control->exitinfo1 : 0; /* DR6 tells about a #DB, nothing here */
    xe->exception.cr2 = control->exitinfo2;
}

static void decode_io(const struct vmcb *vmcb, struct x86_exit *xe)
{
    const struct vmcb_control *control = &vmcb->control;

    xe->io.port = (u16)FIELD_GET(VMCB_INFO1_IO_PORT_MASK, control->exitinfo1);
    xe->io.size = (u8)FIELD_GET(VMCB_INFO1_IO_SIZE_MASK, control->exitinfo1);
    xe->io.write = (control->exitinfo1 & VMCB_INFO1_IO_TYPE_IN) == 0;
    xe->io.string = (control->exitinfo1 & VMCB_INFO1_IO_STR) != 0;
    xe->io.rep = (control->exitinfo1 & VMCB_INFO1_IO_REP) != 0;
    xe->io.next_rip = control->exitinfo2;
}

static void decode_call(const struct vmcb *vmcb, struct x86_exit *xe)
{
    xe->call.user = vmcb->save.cpl != 0;
}

static void decode_npf(const struct vmcb *vmcb, struct x86_exit *xe)
{
    const struct vmcb_control *control = &vmcb->control;
    u64 info = control->exitinfo1;
    u32 flags = (info & VMCB_INFO1_NPF_RW) != 0 ? NPF_WRITE : (info & VMCB_INFO1_NPF_ID) != 0 ? NPF_EXEC : NPF_READ;

    if ((info & (VMCB_INFO1_NPF_P | VMCB_INFO1_NPF_RSV)) != 0) {
        flags |= NPF_PRESENT;
    }
    if ((info & VMCB_INFO1_NPF_WALK) != 0) {
        flags |= NPF_WALK;
    }
    xe->insn_len = 0;
    xe->npf.gpa = GPA(control->exitinfo2);
    xe->npf.flags = flags;
}

static void decode_task(const struct vmcb *vmcb, struct x86_exit *xe)
{
    const struct vmcb_control *control = &vmcb->control;
    u64 info = control->exitinfo2;
    bool gate = (control->exitintinfo & VMCB_EVENT_V) != 0;

    xe->task.selector = (u16)FIELD_GET(VMCB_INFO1_TASK_SELECTOR_MASK, control->exitinfo1);
    xe->task.source = (info & VMCB_INFO2_TASK_IRET) != 0 ? 1 : (info & VMCB_INFO2_TASK_JUMP) != 0 ? 2 : gate ? 3 : 0;
    xe->task.has_error = (info & VMCB_INFO2_TASK_EV) != 0;
    xe->task.error = (u32)FIELD_GET(VMCB_INFO2_TASK_ERRORCODE_MASK, info);
}

#define LENGTH SVM_EXIT_LENGTH
#define DIRECTION SVM_EXIT_DIRECTION
_Static_assert((int)X86_EXIT_MSR_WRITE == (int)X86_EXIT_MSR_READ + 1, "DIRECTION");
_Static_assert(SVM_EXIT_DIRECTION == VMCB_INFO1_MSR_WRITE, "DIRECTION is what it selects of EXITINFO1");
const struct svm_exit_row svm_exit_rows[SVM_EXIT_ROWS] = {
    [EXIT_CR_FIRST ... EXIT_CR_LAST] = {decode_cr, X86_EXIT_CR, 0},
    [EXIT_DR_FIRST ... EXIT_DR_LAST] = {decode_dr, X86_EXIT_DR, 0},
    [EXIT_EXCP_FIRST ... EXIT_EXCP_LAST] = {decode_exception, X86_EXIT_EXCEPTION, 0},
#define SVM_EXIT(name, code, x86, decode, facts) [code] = {(decode), X86_EXIT_##x86, (facts)},
#include "vcpu/x86_64/svm/exits.def"
#undef SVM_EXIT
};

static const char *const names[SVM_EXIT_ROWS] = {
    [EXIT_CR_FIRST ... EXIT_CR_LAST] = "CR",
    [EXIT_DR_FIRST ... EXIT_DR_LAST] = "DR",
    [EXIT_EXCP_FIRST ... EXIT_EXCP_LAST] = "EXCP",
#define SVM_EXIT(name, code, x86, decode, facts) [code] = #name,
#include "vcpu/x86_64/svm/exits.def"
#undef SVM_EXIT
};

const struct svm_exit_row *svm_exit_row_beyond(u64 exitcode)
{
    static const struct svm_exit_row npf = {decode_npf, X86_EXIT_NPF, 0};
    static const struct svm_exit_row unknown = {NULL, X86_EXIT_UNKNOWN, 0};
    static const struct svm_exit_row invalid = {NULL, X86_EXIT_ENTRY_FAILED, 0};

    if (exitcode == EXIT_NPF) {
        return &npf;
    }
    return (u32)exitcode == EXIT_INVALID ? &invalid : &unknown;
}

const char *svm_exit_name(u64 exitcode)
{
    if (exitcode < ARRAY_SIZE(names) && names[exitcode] != NULL) {
        return names[exitcode];
    }
    return exitcode == EXIT_NPF ? "NPF" : (u32)exitcode == EXIT_INVALID ? "INVALID" : "?";
}
