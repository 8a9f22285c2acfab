/* units: vcpu/x86_64/svm/exits.c vcpu/x86_64/svm/events.c vcpu/x86_64/svm/apic.c vcpu/x86_64/svm/regs.c */
/* What the VMCB says after an exit, as the shared code gets it, oddities of CPUs and emulators included; and registers to
 * the VMCB and back. */
#include "tests/unit/host.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/assist.h"
#include "vcpu/x86_64/svm/core.h"
#include <string.h>

struct svm_features svm_features;
static struct vmcb vmcb;
static struct svm_vcpu svm;
static struct vcpu v;
static const struct vcpu_backend backend = {.regs_fetch = svm_regs_fetch};

static u32 recovered;
static u64 lent_dr7;

void svm_lend_debug_registers(struct vcpu *vcpu)
{
    lent_dr7 = vcpu->arch.dr7;
}

u64 time_now_ns(void)
{
    return 77;
}

void timer_program_again(void)
{
    recovered++;
}

u8 svm_insn_learn(struct vcpu *vcpu, struct svm_insn *insn)
{
    (void)vcpu;
    (void)insn;
    return 0; /* no code to decode */
}

static int setup(void **state)
{
    (void)state;
    memset(&vmcb, 0, sizeof(vmcb));
    memset(&svm, 0, sizeof(svm));
    memset(&v, 0, sizeof(v));
    memset(&svm_features, 0, sizeof(svm_features));
    svm.vmcb = &vmcb;
    svm_insn_forget(&svm);
    v.arch.hw = &svm;
    v.backend = &backend;
    return 0;
}

static struct x86_exit decode(u64 code, u64 info1, u64 info2)
{
    struct x86_exit xe;

    memset(&xe, 0xA5, sizeof(xe));
    vmcb.control.exitcode = code;
    vmcb.control.exitinfo1 = info1;
    vmcb.control.exitinfo2 = info2;
    svm_exit_decode(&v, svm_exit_row(code), &vmcb, &xe);
    if ((svm_exit_row(code)->facts & SVM_EXIT_LENGTH) == 0) { /* what may be reported is there to report */
        assert_int_equal(xe.hw_reason, code);
        assert_int_equal(xe.detail, info2);
    }
    return xe;
}

/* --- exits ------------------------------------------------------------------------------------------------------- */

static void test_refused_entry_by_its_low_half(void **state)
{
    (void)state;
    assert_int_equal(decode(~0ULL, 0, 0).code, X86_EXIT_ENTRY_FAILED);
    assert_int_equal(decode(0xFFFFFFFF, 0, 0).code, X86_EXIT_ENTRY_FAILED);
    assert_string_equal(svm_exit_name(~0ULL), "INVALID");
}

static void test_every_code_has_an_end(void **state)
{
    (void)state;
    for (u64 code = 0; code < 0x1000; code++) {
        assert_true(decode(code, ~0ULL, ~0ULL).code < X86_EXIT_CODES);
        assert_non_null(svm_exit_name(code));
    }
    assert_int_equal(decode(0x90, 0, 0).code, X86_EXIT_UNKNOWN);
    assert_int_equal(decode(0x72, 0, 0).code, X86_EXIT_CPUID);
    assert_int_equal(decode(0x80, 0, 0).code, X86_EXIT_UD);
    assert_int_equal(decode(0x81, 0, 0).code, X86_EXIT_HYPERCALL);
    assert_int_equal(decode(0x7C, 0, 0).code, X86_EXIT_MSR_READ);
    assert_int_equal(decode(0x7C, 1, 0).code, X86_EXIT_MSR_WRITE);
}

static void test_io(void **state)
{
    (void)state;
    struct x86_exit out = decode(0x7B, 0x00E90010, 0x7C09);
    assert_int_equal(out.code, X86_EXIT_IO);
    assert_int_equal(out.io.port, 0xE9);
    assert_int_equal(out.io.size, 1);
    assert_true(out.io.write && !out.io.string && !out.io.rep);
    assert_int_equal(out.io.next_rip, 0x7C09);

    struct x86_exit in = decode(0x7B, 0xFFFF004D, 0);
    assert_int_equal(in.io.port, 0xFFFF);
    assert_int_equal(in.io.size, 4);
    assert_true(!in.io.write && in.io.string && in.io.rep);
}

static void test_npf(void **state)
{
    (void)state;
    struct x86_exit xe = decode(0x400, 0x100000004ULL, 0xFEB80004);
    assert_int_equal(xe.npf.gpa.v, 0xFEB80004);
    assert_int_equal(xe.npf.flags, NPF_READ);
    assert_int_equal(decode(0x400, 0x100000006ULL, 0).npf.flags, NPF_WRITE);
    assert_int_equal(decode(0x400, 0x100000007ULL, 0).npf.flags, NPF_WRITE | NPF_PRESENT);
    assert_int_equal(decode(0x400, 0x100000014ULL, 0).npf.flags, NPF_EXEC);
    assert_int_equal(decode(0x400, 0x200000006ULL, 0).npf.flags, NPF_WRITE | NPF_WALK);
    assert_int_equal(decode(0x400, 0x10000000CULL, 0).npf.flags, NPF_READ | NPF_PRESENT); /* reserved bit, without P */
}

static void test_cr(void **state)
{
    (void)state;
    struct x86_exit xe = decode(0x14, BIT(63) | 9, 0);
    assert_true(xe.code == X86_EXIT_CR && xe.cr.cr == 4 && xe.cr.write && !xe.cr.decoded);
    svm_features.edx = (u32)SVM_FEATURE_DECODE_ASSISTS;
    xe = decode(0x08, BIT(63) | 9, 0);
    assert_true(xe.cr.cr == 8 && !xe.cr.write && xe.cr.decoded && xe.cr.gpr == 9);
    assert_false(decode(0x10, 0, 0).cr.decoded); /* CLTS, LMSW */
}

static void test_exceptions(void **state)
{
    (void)state;
    struct x86_exit xe = decode(0x51, 0, 0);
    assert_true(xe.code == X86_EXIT_EXCEPTION && xe.exception.vector == VECTOR_AC && xe.exception.has_error);
    xe = decode(0x41, ~0ULL, 0);
    assert_true(xe.exception.vector == VECTOR_DB && !xe.exception.has_error && xe.qual == 0);
}

static void test_length_is_the_cpus_or_unknown(void **state)
{
    (void)state;
    vmcb.save.rip = 0x1000;
    vmcb.control.nrip = 0x1003;
    assert_int_equal(decode(0x72, 0, 0).insn_len, 0);
    svm_features.edx = (u32)SVM_FEATURE_NRIPS;
    assert_int_equal(decode(0x72, 0, 0).insn_len, 3);
    assert_int_equal(decode(0x400, 0, 0).insn_len, 0);
    vmcb.control.nrip = 0;
    assert_int_equal(decode(0x72, 0, 0).insn_len, 0);
    vmcb.control.nrip = 0x2000;
    assert_int_equal(decode(0x72, 0, 0).insn_len, 0);
}

static void test_task_switch(void **state)
{
    (void)state;
    assert_int_equal(decode(0x7D, 0x28, BIT(36)).task.source, 1);
    assert_int_equal(decode(0x7D, 0x28, BIT(38)).task.source, 2);
    assert_int_equal(decode(0x7D, 0x28, 0).task.source, 0);
    vmcb.control.exitintinfo = VMCB_EVENT_V | 8;
    struct x86_exit xe = decode(0x7D, 0x28, BIT(44) | 0x55);
    assert_true(xe.task.source == 3 && xe.task.selector == 0x28 && xe.task.has_error && xe.task.error == 0x55);
}

/* --- events ------------------------------------------------------------------------------------------------------ */

static void test_interrupted_events(void **state)
{
    struct vcpu_event event;

    (void)state;
    assert_true(svm_event_interrupted(VMCB_EVENT_V | 0x41, false, &event));
    assert_true(event.type == VCPU_EVENT_IRQ && event.vector == 0x41 && !event.has_error);
    assert_true(svm_event_interrupted(VMCB_EVENT_V | 0x300 | 0x41, false, &event)); /* QEMU's wrong type */
    assert_true(event.type == VCPU_EVENT_IRQ && event.vector == 0x41);
    assert_true(svm_event_interrupted(VMCB_EVENT_V | 0x200 | 2, false, &event));
    assert_int_equal(event.type, VCPU_EVENT_NMI);
    assert_true(svm_event_interrupted(7ULL << 32 | VMCB_EVENT_V | VMCB_EVENT_EV | 0x300 | 14, false, &event));
    assert_true(event.type == VCPU_EVENT_EXCEPTION && event.vector == 14 && event.has_error && event.error == 7);
}

/* INTn and INT3 come again by themselves; only a task switch does not return to them. */
static void test_soft_events_are_not_delivered_twice(void **state)
{
    struct vcpu_event event;

    (void)state;
    assert_false(svm_event_interrupted(VMCB_EVENT_V | 0x400 | 0x80, false, &event));
    assert_false(svm_event_interrupted(VMCB_EVENT_V | 0x300 | 3, false, &event));
    assert_true(svm_event_interrupted(VMCB_EVENT_V | 0x400 | 0x80, true, &event));
    assert_int_equal(event.type, VCPU_EVENT_SOFT_IRQ);
}

static void test_injection(void **state)
{
    const struct vcpu_event gp = {.type = VCPU_EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = 0x18};
    const struct vcpu_event nmi = {.type = VCPU_EVENT_NMI, .vector = 2};

    (void)state;
    svm_event_inject(&v, &gp);
    assert_int_equal(vmcb.control.eventinj, 0x1800000000ULL | BIT(31) | BIT(11) | 0x300 | 13);
    assert_int_equal(v.arch.blocking, 0);
    svm_event_inject(&v, &nmi);
    assert_int_equal(vmcb.control.eventinj, BIT(31) | 0x200 | 2);
    assert_int_equal(v.arch.blocking, X86_BLOCK_NMI);
    assert_int_not_equal(vmcb.control.intercept_misc1 & VMCB_INTERCEPT_IRET, 0);
}

/* Blocked from the injection to the end of IRET, not to its beginning. */
static void test_nmi_blocking_ends_with_iret(void **state)
{
    const struct vcpu_event nmi = {.type = VCPU_EVENT_NMI, .vector = 2};
    struct x86_exit iret = {.code = X86_EXIT_IRET}, later = {.code = X86_EXIT_INTR};

    (void)state;
    svm_event_inject(&v, &nmi);
    v.arch.rip = 0x1000;
    assert_true(svm_nmi_after_exit(&v, &iret));
    assert_int_equal(vmcb.control.intercept_misc1 & VMCB_INTERCEPT_IRET, 0);
    assert_false(svm_nmi_after_exit(&v, &later)); /* an interrupt before the IRET */
    assert_int_equal(v.arch.blocking, X86_BLOCK_NMI);
    v.arch.rip = 0x2000;
    assert_false(svm_nmi_after_exit(&v, &later));
    assert_int_equal(v.arch.blocking, 0);
}

static void test_window(void **state)
{
    (void)state;
    recovered = 0;
    percpu()->timer_ns = 76;
    vmcb.control.clean = VMCB_CLEAN_ALL;
    svm_event_window(&v, VCPU_WINDOW_IRQ);
    assert_int_not_equal(vmcb.control.int_ctl & VMCB_INT_V_IRQ, 0);
    assert_int_not_equal(vmcb.control.intercept_misc1 & VMCB_INTERCEPT_VINTR, 0);
    assert_int_equal(vmcb.control.clean & (VMCB_CLEAN_I | VMCB_CLEAN_TPR), 0);
    assert_int_equal(recovered, 0);
    svm_event_window(&v, 0);
    assert_int_equal(recovered, 1);
    assert_int_equal(vmcb.control.int_ctl & VMCB_INT_V_IRQ, 0);
    assert_int_equal(vmcb.control.intercept_misc1 & VMCB_INTERCEPT_VINTR, 0);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static void assert_same_segment(const struct x86_seg *a, const struct x86_seg *b)
{
    assert_int_equal(a->selector, b->selector);
    assert_int_equal(a->attr, b->attr);
    assert_int_equal(a->limit, b->limit);
    assert_int_equal(a->base, b->base);
}

/* Writes of CR8 exit while a request waits, for a lower priority or for a window; before the guest has CR8, all do, always. */
static void test_cr8(void **state)
{
    const u32 both = VMCB_INTERCEPT_READ(8) | VMCB_INTERCEPT_WRITE(8), other = VMCB_INTERCEPT_READ(3);

    (void)state;
    vmcb.control.intercept_cr = both | other;
    svm_event_window(&v, VCPU_WINDOW_IRQ);
    assert_int_equal(vmcb.control.intercept_cr, both | other);
    svm_event_window(&v, 0);
    assert_int_equal(vmcb.control.intercept_cr, both | other);
    svm_assist.set_threshold(&v, 0);
    assert_int_equal(vmcb.control.intercept_cr, other);
    svm_event_window(&v, VCPU_WINDOW_IRQ);
    assert_int_equal(vmcb.control.intercept_cr, VMCB_INTERCEPT_WRITE(8) | other);
    svm_assist.set_threshold(&v, 4);
    svm_event_window(&v, 0);
    assert_int_equal(vmcb.control.intercept_cr, VMCB_INTERCEPT_WRITE(8) | other);
    vmcb.control.clean = VMCB_CLEAN_I;
    svm_assist.set_threshold(&v, 0);
    assert_int_equal(vmcb.control.intercept_cr, other);
    assert_int_equal(vmcb.control.clean, 0); /* the CPU is told */
}

static void test_registers_go_and_come_back(void **state)
{
    struct vcpu_arch *a = &v.arch;

    (void)state;
    memset(a->seg, 0, sizeof(a->seg));
    a->seg[X86_CS] = (struct x86_seg){0x33, 0xA0FB, 0xFFFFFFFF, 0};
    a->seg[X86_SS] = (struct x86_seg){0x2B, 0xC0F3, 0xFFFFFFFF, 0};
    a->seg[X86_ES] = (struct x86_seg){0, 0x10000, 0, 0};
    a->seg[X86_TR] = (struct x86_seg){0x40, 0x8B, 0x67, 0x123456789AULL};
    a->gdtr = (struct x86_dtr){0x1000, 0x7F};
    a->cr0 = CR0_PE | CR0_PG;
    a->cr3 = 0x5000;
    a->cr4 = CR4_PAE;
    a->efer = EFER_LME | EFER_SCE;
    a->dr6 = DR6_FIXED | DR6_BS;
    a->dr7 = DR7_FIXED | DR7_GE;
    a->lstar = 0xFFFF800000001234ULL;
    struct vcpu_arch before = *a;
    vmcb.control.clean = VMCB_CLEAN_ALL;
    svm_regs_flush(&v, X86_G_ALL);
    assert_int_equal(vmcb.control.clean & (VMCB_CLEAN_CRX | VMCB_CLEAN_SEG | VMCB_CLEAN_DT | VMCB_CLEAN_DRX), 0);
    assert_int_equal(vmcb.save.seg[VMCB_CS].attrib, 0xAFB);
    assert_int_equal(vmcb.save.seg[VMCB_ES].attrib, 0);
    assert_int_equal(vmcb.save.cpl, 3);
    assert_true(vmcb.save.dr7 == (DR7_FIXED | DR7_GE) && lent_dr7 == vmcb.save.dr7);
    assert_int_equal(vmcb.save.efer, EFER_LME | EFER_LMA | EFER_SCE | EFER_SVME);
    memset(a->seg, 0xFF, sizeof(a->seg));
    a->gdtr.base = a->cr3 = a->dr6 = a->lstar = ~0ULL;
    a->valid = X86_G_CORE;
    svm_regs_fetch(&v, X86_G_ALL);
    assert_int_equal(a->valid, X86_G_ALL);
    assert_same_segment(&a->seg[X86_CS], &before.seg[X86_CS]);
    assert_same_segment(&a->seg[X86_TR], &before.seg[X86_TR]);
    assert_int_equal(a->seg[X86_ES].attr, 0x10000);
    assert_int_equal(a->cpl, 3);
    assert_int_equal(a->efer, EFER_LME | EFER_LMA | EFER_SCE);
    assert_int_equal(a->gdtr.base, 0x1000);
    assert_int_equal(a->cr3, 0x5000);
    assert_int_equal(a->dr6, DR6_FIXED | DR6_BS);
    assert_int_equal(a->lstar, before.lstar);
}

/* Without paging the hardware does not see LME: QEMU's #VMEXIT would leave the host without paging. */
static void test_lme_waits_for_paging(void **state)
{
    struct vcpu_arch *a = &v.arch;

    (void)state;
    a->cr0 = CR0_PE;
    a->cr4 = 0;
    a->efer = EFER_LME | EFER_NXE;
    svm_regs_flush(&v, X86_G_CR);
    assert_int_equal(vmcb.save.efer, EFER_NXE | EFER_SVME);
    a->valid = X86_G_CORE;
    svm_regs_fetch(&v, X86_G_CR);
    assert_int_equal(a->efer, EFER_LME | EFER_NXE);
    a->cr0 = CR0_PE | CR0_PG;
    svm_regs_flush(&v, X86_G_CR);
    assert_int_equal(vmcb.save.efer, EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME);
    a->efer = 0;
    a->cr0 = 0;
    svm_regs_flush(&v, X86_G_CR);
    a->valid = X86_G_CORE;
    svm_regs_fetch(&v, X86_G_CR);
    assert_int_equal(a->efer, 0);
}

/* SS.DPL is the CPL going in; the CPL field is what comes out. */
static void test_cpl_and_ss_agree(void **state)
{
    (void)state;
    v.arch.cpl = 0;
    v.arch.seg[X86_SS].attr = 0xC0F3;
    svm_regs_flush(&v, X86_G_SEG);
    assert_int_equal(vmcb.save.cpl, 3);
    vmcb.save.seg[VMCB_SS].attrib = 0xC93;
    vmcb.save.cpl = 3;
    svm_regs_fetch(&v, X86_G_SEG);
    assert_int_equal(v.arch.seg[X86_SS].attr, 0xC0F3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_refused_entry_by_its_low_half, setup),
        cmocka_unit_test_setup(test_every_code_has_an_end, setup),
        cmocka_unit_test_setup(test_io, setup),
        cmocka_unit_test_setup(test_npf, setup),
        cmocka_unit_test_setup(test_cr, setup),
        cmocka_unit_test_setup(test_exceptions, setup),
        cmocka_unit_test_setup(test_length_is_the_cpus_or_unknown, setup),
        cmocka_unit_test_setup(test_task_switch, setup),
        cmocka_unit_test_setup(test_interrupted_events, setup),
        cmocka_unit_test_setup(test_soft_events_are_not_delivered_twice, setup),
        cmocka_unit_test_setup(test_injection, setup),
        cmocka_unit_test_setup(test_nmi_blocking_ends_with_iret, setup),
        cmocka_unit_test_setup(test_window, setup),
        cmocka_unit_test_setup(test_cr8, setup),
        cmocka_unit_test_setup(test_registers_go_and_come_back, setup),
        cmocka_unit_test_setup(test_lme_waits_for_paging, setup),
        cmocka_unit_test_setup(test_cpl_and_ss_agree, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
