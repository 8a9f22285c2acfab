/* Why the guest left: exit reason, qualification and interruption information (SDM Vol. 3 chapter 28, appendix C)
 * turned into a struct x86_exit. */
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/vmx/internal.h"

/* Exit qualifications: SDM 28.2.1 */
#define QUAL_IO_SIZE_MASK GENMASK(2, 0) /* bytes - 1 */
#define QUAL_IO_IN BIT(3)
#define QUAL_IO_STRING BIT(4)
#define QUAL_IO_REP BIT(5)
#define QUAL_IO_PORT_MASK GENMASK(31, 16)
#define QUAL_CR_NUMBER_MASK GENMASK(3, 0)
#define QUAL_CR_TYPE_MASK GENMASK(5, 4)
#define QUAL_CR_GPR_MASK GENMASK(11, 8)
#define QUAL_CR_LMSW_MASK GENMASK(31, 16)
#define QUAL_DR_NUMBER_MASK GENMASK(2, 0)
#define QUAL_DR_READ BIT(4)
#define QUAL_DR_GPR_MASK GENMASK(11, 8)
#define QUAL_TASK_SELECTOR_MASK GENMASK(15, 0)
#define QUAL_TASK_SOURCE_MASK GENMASK(31, 30)
#define QUAL_EPT_READ BIT(0)
#define QUAL_EPT_WRITE BIT(1)
#define QUAL_EPT_FETCH BIT(2)
#define QUAL_EPT_MAPPED_MASK GENMASK(5, 3) /* what the entries allow */
#define QUAL_EPT_LINEAR BIT(7)
#define QUAL_EPT_FINAL BIT(8) /* with LINEAR: the access itself, not the guest's page walk */
#define QUAL_EPT_NMI_UNBLOCKED BIT(12)
#define QUAL_APIC_OFFSET_MASK GENMASK(11, 0)
#define QUAL_APIC_TYPE_MASK GENMASK(15, 12)
#define QUAL_DB_DR6_MASK (DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3 | DR6_BD | DR6_BS)

enum { APIC_READ, APIC_WRITE, APIC_FETCH, APIC_IN_DELIVERY }; /* the others are accesses of page walks */
enum { CR_TYPE_MOV_TO, CR_TYPE_MOV_FROM, CR_TYPE_CLTS, CR_TYPE_LMSW };

/* IRET unblocked NMIs and then faulted: they are still blocked for the guest, SDM 28.2.3. */
static void nmi_unblocked_by_iret(struct vcpu *v)
{
    if ((vmcs_read32(VMCS_IDT_VECTORING_INFO) & INTERRUPTION_VALID) == 0) {
        v->arch.blocking |= X86_BLOCK_NMI;
        x86_regs_changed(v, X86_G_CORE);
    }
}

static void decode_raw(struct vcpu *v, struct x86_exit *xe)
{
    (void)v;
    xe->qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
}

/* Bochs 2.7 reports the guest as blocked for NMIs by the host's own. Nothing but an NMI that was injected can have
 * blocked them in a guest that entered unblocked. */
static void host_nmi(struct vcpu *v, struct x86_exit *xe)
{
    struct vmx_vcpu *hw = vmx_of(v);

    __asm__ volatile("int %0" ::"i"(VECTOR_NMI) : "memory");
    if ((v->arch.blocking & ~hw->entry_blocking & X86_BLOCK_NMI) != 0 && !hw->nmi_injected) {
        v->arch.blocking &= ~X86_BLOCK_NMI;
        x86_regs_changed(v, X86_G_CORE);
    }
    xe->code = X86_EXIT_NMI;
}

/* The exit happened in place of the #DB's effect on DR6 and DR7: SDM 28.1, 28.2.1. DR6 is live in the CPU. */
static void debug_exception(struct vcpu *v)
{
    u64 hit = vmcs_read(VMCS_EXIT_QUALIFICATION) & QUAL_DB_DR6_MASK;

    write_dr6((read_dr6() & ~(DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3)) | hit);
    x86_regs(v, X86_G_DR)->dr7 &= ~DR7_GD;
    x86_regs_changed(v, X86_G_DR);
}

/* ICEBP's #DB is delivered as what it is, with its length. */
static void privileged_debug(struct vcpu *v, struct x86_exit *xe)
{
    const struct vcpu_event event = {
        .type = VCPU_EVENT_PRIV_SOFT_EXCEPTION,
        .vector = VECTOR_DB,
        .insn_len = (u8)vmcs_read(VMCS_EXIT_INSN_LENGTH),
    };

    x86_event_interrupted(v, &event);
    xe->code = X86_EXIT_NOTHING;
}

/* Delivery ends the interrupt shadow, and an entry with TF and a shadow would want a pending #DB: SDM 27.3.1.5. */
static void end_shadow(struct vcpu *v)
{
    if ((v->arch.blocking & (X86_BLOCK_STI | X86_BLOCK_MOVSS)) != 0) {
        v->arch.blocking &= ~(X86_BLOCK_STI | X86_BLOCK_MOVSS);
        x86_regs_changed(v, X86_G_CORE);
    }
}

static void decode_exception(struct vcpu *v, struct x86_exit *xe)
{
    u32 info = vmcs_read32(VMCS_EXIT_INTERRUPTION_INFO);
    u64 type = FIELD_GET(INTERRUPTION_TYPE_MASK, info);
    u8 vector = (u8)FIELD_GET(INTERRUPTION_VECTOR_MASK, info);

    if (type == INTERRUPTION_NMI) {
        host_nmi(v, xe);
        return;
    }
    if (vector == VECTOR_MC) {
        __asm__ volatile("int %0" ::"i"(VECTOR_MC) : "memory");
        xe->code = X86_EXIT_NMI;
        return;
    }
    if ((info & INTERRUPTION_NMI_UNBLOCKED) != 0) {
        nmi_unblocked_by_iret(v);
    }
    if (vector == VECTOR_DB) {
        debug_exception(v);
    }
    end_shadow(v);
    if (type == INTERRUPTION_PRIV_SOFT) {
        privileged_debug(v, xe);
        return;
    }
    xe->exception.vector = vector;
    xe->exception.cr2 = 0;
    xe->exception.has_error = (info & INTERRUPTION_ERROR) != 0;
    xe->exception.error = xe->exception.has_error ? vmcs_read32(VMCS_EXIT_INTERRUPTION_ERROR) : 0;
}

static void decode_call(struct vcpu *v, struct x86_exit *xe)
{
    (void)v;
    xe->call.user = (vmcs_read32(VMCS_SEG(VMCS_GUEST_ES_ACCESS, X86_SS)) & SEG_DPL) != 0;
}

/* Through a gate, the event that found it is what vmx_event_vectoring() reports; the switch consumes it. */
static void decode_task_switch(struct vcpu *v, struct x86_exit *xe)
{
    u32 event = vmcs_read32(VMCS_IDT_VECTORING_INFO);
    bool has_error = (event & INTERRUPTION_VALID) != 0 && (event & INTERRUPTION_ERROR) != 0;

    decode_raw(v, xe);
    xe->task.selector = (u16)FIELD_GET(QUAL_TASK_SELECTOR_MASK, xe->qual);
    xe->task.source = (u8)FIELD_GET(QUAL_TASK_SOURCE_MASK, xe->qual);
    xe->task.has_error = has_error;
    xe->task.error = has_error ? vmcs_read32(VMCS_IDT_VECTORING_ERROR) : 0;
}

static void decode_cr(struct vcpu *v, struct x86_exit *xe)
{
    static const u8 kinds[] = {
        [CR_TYPE_MOV_TO] = X86_CR_MOV,
        [CR_TYPE_MOV_FROM] = X86_CR_MOV,
        [CR_TYPE_CLTS] = X86_CR_CLTS,
        [CR_TYPE_LMSW] = X86_CR_LMSW,
    };

    decode_raw(v, xe);
    u64 type = FIELD_GET(QUAL_CR_TYPE_MASK, xe->qual);
    xe->cr.decoded = true;
    xe->cr.cr = (u8)FIELD_GET(QUAL_CR_NUMBER_MASK, xe->qual);
    xe->cr.write = type != CR_TYPE_MOV_FROM;
    xe->cr.kind = kinds[type];
    xe->cr.gpr = (u8)FIELD_GET(QUAL_CR_GPR_MASK, xe->qual);
    xe->cr.lmsw = (u16)FIELD_GET(QUAL_CR_LMSW_MASK, xe->qual);
}

static void decode_dr(struct vcpu *v, struct x86_exit *xe)
{
    decode_raw(v, xe);
    xe->dr.decoded = true;
    xe->dr.dr = (u8)FIELD_GET(QUAL_DR_NUMBER_MASK, xe->qual);
    xe->dr.write = (xe->qual & QUAL_DR_READ) == 0;
    xe->dr.gpr = (u8)FIELD_GET(QUAL_DR_GPR_MASK, xe->qual);
}

static void decode_io(struct vcpu *v, struct x86_exit *xe)
{
    decode_raw(v, xe);
    xe->io.port = (u16)FIELD_GET(QUAL_IO_PORT_MASK, xe->qual);
    xe->io.size = (u8)(FIELD_GET(QUAL_IO_SIZE_MASK, xe->qual) + 1);
    xe->io.write = (xe->qual & QUAL_IO_IN) == 0;
    xe->io.string = (xe->qual & QUAL_IO_STRING) != 0;
    xe->io.rep = (xe->qual & QUAL_IO_REP) != 0;
    xe->io.next_rip = 0;
}

static void decode_ept_violation(struct vcpu *v, struct x86_exit *xe)
{
    decode_raw(v, xe);
    u64 qual = xe->qual;
    u32 flags = (qual & QUAL_EPT_READ) != 0 ? NPF_READ : 0;

    flags |= (qual & QUAL_EPT_WRITE) != 0 ? NPF_WRITE : 0;
    flags |= (qual & QUAL_EPT_FETCH) != 0 ? NPF_EXEC : 0;
    flags |= (qual & QUAL_EPT_MAPPED_MASK) != 0 ? NPF_PRESENT : 0;
    flags |= (qual & (QUAL_EPT_LINEAR | QUAL_EPT_FINAL)) == QUAL_EPT_LINEAR ? NPF_WALK : 0;
    xe->npf.flags = flags;
    xe->npf.gpa = GPA(vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS));
    if ((qual & QUAL_EPT_NMI_UNBLOCKED) != 0) {
        nmi_unblocked_by_iret(v);
    }
}

/* Always the page at its architectural address: elsewhere nobody is helped. SDM table 28-6. */
static void decode_apic_access(struct vcpu *v, struct x86_exit *xe)
{
    static const u32 flags[] = {[APIC_READ] = NPF_READ, [APIC_WRITE] = NPF_WRITE, [APIC_FETCH] = NPF_EXEC,
                                [APIC_IN_DELIVERY] = NPF_WRITE};

    decode_raw(v, xe);
    u64 type = FIELD_GET(QUAL_APIC_TYPE_MASK, xe->qual);
    xe->npf.gpa = GPA(X86_APIC_PAGE_GPA + FIELD_GET(QUAL_APIC_OFFSET_MASK, xe->qual));
    xe->npf.flags = NPF_PRESENT | (type < ARRAY_SIZE(flags) ? flags[type] : NPF_WALK);
}

static void decode_ept_misconfiguration(struct vcpu *v, struct x86_exit *xe)
{
    (void)v;
    xe->detail = vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS);
}

static void decode_unknown(struct vcpu *v, struct x86_exit *xe)
{
    decode_raw(v, xe);
    xe->detail = vmcs_read(VMCS_EXIT_INSN_INFO);
}

#define PLAIN VMX_REASON_PLAIN
#define INSN VMX_REASON_INSN
#define EVENT VMX_REASON_EVENT
#define VMX_REASON(number, name, code, decode, facts) [number] = {X86_EXIT_##code, (facts), (decode)},
const struct vmx_reason vmx_reasons[VMX_REASONS] = {
#include "vcpu/x86_64/vmx/exit_reasons.def"
};

static const struct vmx_reason unknown = {X86_EXIT_UNKNOWN, 0, decode_unknown};
_Static_assert(X86_EXIT_UNKNOWN == 0, "an empty row of the table");

static inline const struct vmx_reason *reason_of(u64 basic)
{
    const struct vmx_reason *row = basic < VMX_REASONS ? &vmx_reasons[basic] : &unknown;

    return row->code != X86_EXIT_UNKNOWN || row->decode != NULL ? row : &unknown;
}

void vmx_exit_details(struct vcpu *v, u64 basic)
{
    struct x86_exit *xe = &vmx_of(v)->exit;
    const struct vmx_reason *r = reason_of(basic);

    xe->code = (enum x86_exit_code)r->code;
    xe->insn_len = (r->facts & INSN) != 0 ? (u8)vmcs_read(VMCS_EXIT_INSN_LENGTH) : 0;
    if (r->decode != NULL) {
        r->decode(v, xe);
    }
    if ((r->facts & EVENT) != 0) {
        vmx_event_vectoring(v);
    }
}
