/* units: tests/unit/x86_fake.c vcpu/x86_64/event.c vcpu/x86_64/cpuid.c vcpu/x86_64/regs.c */
/* Events: the double-fault matrix, priorities, windows, shadows, delivery cut short, bounded queues. */
#include "tests/unit/host.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/x86_fake.h"
#include "vcpu/isa.h"
#include <string.h>

static struct vcpu_arch *const a = &fake_v.arch;

/* An interrupt chip with a counter of waiting interrupts. */
static struct { unsigned waiting, acknowledged; u8 vector; bool spurious, tells; } chip;

static bool chip_pending(void *ctx, const struct vcpu *v)
{
    (void)ctx;
    (void)v;
    return chip.waiting != 0;
}

static bool chip_acknowledge(void *ctx, struct vcpu *v, u8 *vector)
{
    (void)ctx;
    if (chip.spurious) {
        return false;
    }
    chip.waiting--;
    chip.acknowledged++;
    *vector = chip.vector;
    v->requests |= chip.tells && chip.waiting != 0 ? VCPU_REQ_EVENT : 0;
    return true;
}

static const struct irqchip_ops chip_ops = {.pending = chip_pending, .acknowledge = chip_acknowledge};

/* The same where hardware delivers by itself: sync() comes last, and may ask for a window. */
static struct { unsigned calls, injected_before; bool behind, held; } helped;

static bool chip_sync(void *ctx, struct vcpu *v, bool hold)
{
    (void)ctx;
    (void)v;
    helped.calls++;
    helped.held = hold;
    helped.injected_before = fake_log.injected;
    return helped.behind;
}

static const struct irqchip_ops helped_ops = {
    .pending = chip_pending, .acknowledge = chip_acknowledge, .sync = chip_sync};

static int setup(void **state)
{
    (void)fake_setup(state);
    memset(&chip, 0, sizeof(chip));
    chip.vector = 0x30;
    fake_v.config.chip_ops = &chip_ops;
    a->cr0 |= CR0_PE;
    return 0;
}

/* As vcpu_run() and a backend do: ask before the entry; the CPU takes what was injected. */
static void enter(void)
{
    struct vcpu_exit exit;

    fake_log.injected = 0;
    assert_true(x86_before_entry(&fake_v, &exit));
}

static void arrive(void)
{
    chip.waiting++;
    fake_v.requests |= VCPU_REQ_EVENT;
}

/* --- exceptions ------------------------------------------------------------------------------------------------- */

enum { ALONE, DF, TRIPLE };
struct pair { u8 first, second, result; };

static const struct pair matrix[] = {
    /* benign: #DB #BP #UD #NM #AC */
    {1, 13, ALONE}, {3, 14, ALONE}, {6, 6, ALONE}, {13, 1, ALONE}, {14, 6, ALONE}, {17, 13, ALONE}, {14, 17, ALONE},
    /* contributory after contributory */
    {0, 0, DF}, {0, 13, DF}, {10, 11, DF}, {11, 12, DF}, {12, 10, DF}, {13, 13, DF}, {13, 0, DF}, {13, 12, DF},
    /* page faults */
    {13, 14, ALONE}, {0, 14, ALONE}, {14, 13, DF}, {14, 14, DF}, {14, 0, DF}, {14, 11, DF},
    /* during #DF */
    {8, 13, TRIPLE}, {8, 14, TRIPLE}, {8, 0, TRIPLE}, {8, 1, ALONE}, {8, 6, ALONE}, {8, 8, TRIPLE},
};

static void check_pair(const struct pair *p)
{
    if (p->result == TRIPLE) {
        struct vcpu_exit exit = {0};
        assert_int_equal(a->special, X86_SPECIAL_TRIPLE_FAULT);
        assert_false(x86_before_entry(&fake_v, &exit));
        assert_int_equal(exit.kind, VCPU_EXIT_SHUTDOWN);
        assert_int_equal(exit.shutdown.reason, VCPU_SHUTDOWN_TRIPLE_FAULT);
        assert_true(x86_before_entry(&fake_v, &exit)); /* told once; a reset vCPU goes on */
        return;
    }
    assert_int_equal(a->special, 0);
    enter();
    assert_int_equal(fake_log.injected, 1);
    if (fake_log.event.vector != (p->result == DF ? 8 : p->second)) {
        fail_msg("%u then %u gives %u", p->first, p->second, fake_log.event.vector);
    }
    assert_true(p->result != DF || (fake_log.event.has_error && fake_log.event.error == 0));
    enter();
    assert_int_equal(fake_log.injected, 0);
}

static void double_fault_matrix(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(matrix); i++) {
        const struct vcpu_event first = {.type = VCPU_EVENT_EXCEPTION, .vector = matrix[i].first};

        (void)setup(state); /* the second meets one that is queued */
        x86_raise(&fake_v, matrix[i].first, false, 0);
        x86_raise(&fake_v, matrix[i].second, false, 7);
        check_pair(&matrix[i]);
        (void)setup(state); /* the second meets one whose delivery an exit cut short */
        x86_event_interrupted(&fake_v, &first);
        x86_raise(&fake_v, matrix[i].second, false, 7);
        check_pair(&matrix[i]);
    }
}

static void error_code_and_cr2(void **state)
{
    (void)state;
    a->cr2 = 1;
    x86_raise_pf(&fake_v, GVA(0x1234), 6);
    enter();
    assert_int_equal(fake_log.event.vector, VECTOR_PF);
    assert_true(fake_log.event.has_error);
    assert_int_equal(fake_log.event.error, 6);
    assert_true(a->cr2 == 0x1234);
    assert_true((a->rflags & RFLAGS_RF) != 0); /* a fault's frame shows RF */
    x86_raise_ud(&fake_v);
    enter();
    assert_false(fake_log.event.has_error);
    assert_true(a->cr2 == 0x1234);
    x86_raise_gp(&fake_v);
    a->cr0 &= ~CR0_PE; /* real mode pushes none, and hardware refuses an entry with one */
    enter();
    assert_int_equal(fake_log.event.vector, VECTOR_GP);
    assert_false(fake_log.event.has_error);
}

/* --- interrupts ------------------------------------------------------------------------------------------------- */

static void irq_needs_if_and_no_shadow(void **state)
{
    (void)state;
    arrive();
    enter(); /* IF = 0 */
    assert_int_equal(fake_log.injected, 0);
    assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ);
    a->rflags |= RFLAGS_IF;
    a->blocking = X86_BLOCK_STI;
    enter();
    assert_int_equal(fake_log.injected, 0);
    a->blocking = X86_BLOCK_MOVSS;
    enter();
    assert_int_equal(fake_log.injected, 0);
    assert_int_equal(fake_log.window_calls, 1); /* armed once, not again and again */
    a->blocking = 0;
    enter(); /* the window opened */
    assert_int_equal(fake_log.injected, 1);
    assert_int_equal(fake_log.event.type, VCPU_EVENT_IRQ);
    assert_int_equal(fake_log.event.vector, 0x30);
    assert_int_equal(fake_log.windows, 0);
    enter();
    assert_int_equal(fake_log.injected, 0);
}

/* A chip whose next interrupt no end of the first one announces says so as it hands over the first. */
static void irq_behind_an_irq_has_a_window(void **state)
{
    (void)state;
    chip.tells = true;
    chip.waiting = 2;
    fake_v.requests |= VCPU_REQ_EVENT;
    a->rflags |= RFLAGS_IF;
    enter();
    assert_int_equal(fake_log.injected, 1);
    assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ);
    assert_int_equal(fake_v.requests, VCPU_REQ_EVENT);
    enter(); /* the handler is over */
    assert_int_equal(fake_log.injected, 1);
    assert_int_equal(fake_log.windows, 0);
    assert_int_equal(chip.waiting + fake_v.requests, 0);
}

/* STI, HLT: an exit between the two, and with it the interrupt. The halt is over before the handler runs. */
static void irq_ends_a_halt_in_the_shadow(void **state)
{
    (void)state;
    a->rip = 0x1000;
    a->shadow_rip = 0x1000;
    a->rflags |= RFLAGS_IF;
    fake_ram[0x1000] = 0xF4;
    for (unsigned forgotten = 0; forgotten < 2; forgotten++) { /* QEMU's second exit there knows of no shadow */
        a->rip = 0x1000;
        a->blocking = forgotten ? 0 : X86_BLOCK_STI;
        arrive();
        enter();
        assert_int_equal(fake_log.injected, 1);
        assert_true(a->rip == 0x1001);
        assert_int_equal(a->blocking, 0);
    }
    a->rip = 0x1000; /* an exception at the HLT comes back to it */
    a->blocking = X86_BLOCK_STI;
    arrive();
    x86_raise_ud(&fake_v);
    enter();
    assert_true(a->rip == 0x1000);
    assert_int_equal(fake_log.event.vector, VECTOR_UD);
}

/* None of these is a HLT that an interrupt may end. */
static void other_shadows_are_waited_out(void **state)
{
    (void)state;
    a->rip = 0x1000;
    a->shadow_rip = 0x1000;
    for (unsigned i = 0; i < 5; i++) {
        fake_ram[0x1000] = i == 0 ? 0x90 : 0xF4;
        a->cpl = i == 1 ? 3 : 0;
        a->dr7 = i == 2 ? BIT(1) : 0;
        a->rflags = RFLAGS_FIXED | (i == 3 ? 0 : RFLAGS_IF) | (i == 4 ? RFLAGS_TF : 0);
        a->blocking = X86_BLOCK_STI;
        arrive();
        enter();
        assert_int_equal(fake_log.injected, 0);
        assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ);
        assert_true(a->rip == 0x1000);
    }
}

static void one_event_an_entry_by_priority(void **state)
{
    (void)state;
    a->rflags |= RFLAGS_IF;
    arrive();
    fake_v.requests |= VCPU_REQ_NMI;
    x86_raise_gp(&fake_v);
    enter();
    assert_int_equal(fake_log.event.vector, VECTOR_GP);
    assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ | VCPU_WINDOW_NMI);
    enter();
    assert_int_equal(fake_log.event.type, VCPU_EVENT_NMI);
    assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ);
    enter();
    assert_int_equal(fake_log.event.type, VCPU_EVENT_IRQ);
    assert_int_equal(fake_log.windows, 0);
    assert_int_equal(chip.acknowledged, 1);
}

static void nmi_waits_for_iret(void **state)
{
    (void)state;
    fake_v.requests |= VCPU_REQ_NMI;
    a->blocking = X86_BLOCK_NMI;
    enter();
    assert_int_equal(fake_log.injected, 0);
    assert_int_equal(fake_log.windows, VCPU_WINDOW_NMI);
    assert_int_equal(fake_v.requests, 0);
    a->blocking = 0;
    enter();
    assert_int_equal(fake_log.event.type, VCPU_EVENT_NMI);
    enter();
    assert_int_equal(fake_log.injected, 0);
}

static void spurious_interrupt_is_nothing(void **state)
{
    (void)state;
    a->rflags |= RFLAGS_IF;
    chip.spurious = true;
    arrive();
    enter();
    assert_int_equal(fake_log.injected, 0);
    assert_int_equal(fake_log.windows, 0);
}

static void million_requests_are_one(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    for (u32 i = 0; i < 1000000; i++) {
        fake_v.requests |= VCPU_REQ_EVENT | VCPU_REQ_NMI;
        chip.waiting = 1;
        a->blocking = X86_BLOCK_NMI;
        assert_true(x86_before_entry(&fake_v, &exit)); /* masked: nothing is delivered, nothing piles up */
    }
    assert_int_equal(fake_log.injected, 0);
    assert_int_equal(fake_log.window_calls, 1);
    a->blocking = 0;
    a->rflags |= RFLAGS_IF;
    for (u32 i = 0; i < 10; i++) {
        assert_true(x86_before_entry(&fake_v, &exit));
    }
    assert_int_equal(fake_log.injected, 2);
    assert_int_equal(chip.acknowledged, 1);
}

/* --- delivery cut short ----------------------------------------------------------------------------------------- */

static void interrupted(enum vcpu_event_type type, u8 vector, u8 len)
{
    const struct vcpu_event event = {.type = type, .vector = vector, .insn_len = len};
    x86_event_interrupted(&fake_v, &event);
}

static void irq_is_delivered_again_exactly_once(void **state)
{
    (void)state;
    a->rflags |= RFLAGS_IF;
    interrupted(VCPU_EVENT_IRQ, 0x41, 0);
    enter();
    assert_int_equal(fake_log.injected, 1);
    assert_int_equal(fake_log.event.vector, 0x41);
    assert_int_equal(chip.acknowledged, 0);
    enter();
    assert_int_equal(fake_log.injected, 0);
}

static void irq_survives_an_exception(void **state)
{
    (void)state;
    a->rflags |= RFLAGS_IF;
    interrupted(VCPU_EVENT_IRQ, 0x41, 0);
    x86_raise_gp(&fake_v);
    enter();
    assert_int_equal(fake_log.event.vector, VECTOR_GP);
    a->rflags &= ~RFLAGS_IF; /* inside the handler */
    arrive();                /* another one must not overtake */
    enter();
    assert_int_equal(fake_log.injected, 0);
    assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ);
    a->rflags |= RFLAGS_IF;
    enter();
    assert_int_equal(fake_log.event.vector, 0x41);
    enter();
    assert_int_equal(fake_log.event.vector, 0x30);
}

static void soft_event_keeps_its_length(void **state)
{
    (void)state;
    interrupted(VCPU_EVENT_SOFT_IRQ, 0x80, 2);
    enter();
    assert_int_equal(fake_log.event.type, VCPU_EVENT_SOFT_IRQ);
    assert_int_equal(fake_log.event.insn_len, 2);
    interrupted(VCPU_EVENT_SOFT_IRQ, 0x80, 2);
    x86_raise_gp(&fake_v); /* INT n is executed again after the handler */
    enter();
    assert_int_equal(fake_log.event.vector, VECTOR_GP);
    enter();
    assert_int_equal(fake_log.injected, 0);
}

static void nmi_cut_short_is_not_lost(void **state)
{
    (void)state;
    a->blocking = X86_BLOCK_NMI;
    interrupted(VCPU_EVENT_NMI, 2, 0);
    assert_int_equal(a->blocking, 0);
    enter();
    assert_int_equal(fake_log.event.type, VCPU_EVENT_NMI);
    interrupted(VCPU_EVENT_NMI, 2, 0);
    x86_raise_gp(&fake_v);
    enter();
    assert_int_equal(fake_log.event.vector, VECTOR_GP);
    enter();
    assert_int_equal(fake_log.event.type, VCPU_EVENT_NMI);
}

static void wrong_type_from_hardware_is_mended(void **state)
{
    (void)state;
    a->rflags |= RFLAGS_IF;
    interrupted(VCPU_EVENT_EXCEPTION, 0x41, 0);
    enter();
    assert_int_equal(fake_log.event.type, VCPU_EVENT_IRQ);
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

static void what_ends_a_halt(void **state)
{
    (void)state;
    assert_false(isa_vcpu_event_waits(&fake_v));
    chip.waiting = 1;
    assert_false(isa_vcpu_event_waits(&fake_v)); /* IF = 0 */
    a->rflags |= RFLAGS_IF;
    assert_true(isa_vcpu_event_waits(&fake_v));
    chip.waiting = 0;
    a->nmi_pending = true;
    assert_true(isa_vcpu_event_waits(&fake_v));
    a->blocking = X86_BLOCK_NMI;
    assert_false(isa_vcpu_event_waits(&fake_v));
}

static void flush_on_request_and_generation(void **state)
{
    (void)state;
    enter();
    assert_int_equal(fake_log.flushes, 0);
    fake_v.requests = VCPU_REQ_FLUSH | VCPU_REQ_STOP;
    enter();
    assert_int_equal(fake_log.flushes, 1);
    assert_int_equal(fake_v.requests, VCPU_REQ_STOP); /* the VM layer's to clear */
    fake_v.config.stage2->generation++;
    enter();
    enter();
    assert_int_equal(fake_log.flushes, 2);
}

static void nothing_to_do_is_cheap(void **state)
{
    (void)state;
    chip.waiting = 1; /* no request: the chip is not asked */
    a->rflags |= RFLAGS_IF;
    enter();
    assert_int_equal(fake_log.injected + fake_log.window_calls + fake_log.flushes, 0);
}

static void hardware_delivers_what_the_chip_leaves_to_it(void **state)
{
    (void)state;
    memset(&helped, 0, sizeof(helped));
    fake_v.config.chip_ops = &helped_ops;
    chip.spurious = true; /* nothing for the software to inject */
    arrive();
    enter(); /* IF = 0: it must not go in as soon as that changes, the host decides again */
    assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ);
    assert_int_equal(helped.calls, 1);
    a->rflags |= RFLAGS_IF;
    enter();
    assert_int_equal(fake_log.injected, 0);
    assert_int_equal(fake_log.windows, 0);
    assert_int_equal(helped.calls, 2);
    fake_v.requests |= VCPU_REQ_EVENT;
    x86_raise_ud(&fake_v); /* goes in first: the interrupt waits */
    enter();
    assert_int_equal(fake_log.event.vector, VECTOR_UD);
    assert_int_equal(helped.injected_before, 1);
    assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ);
    chip.waiting = 0;
    enter();
    assert_int_equal(fake_log.windows, 0);
    unsigned calls = helped.calls;
    enter();
    assert_int_equal(helped.calls, calls); /* nothing to do */
    chip.spurious = false;
    helped.behind = true; /* one that software injects, with others behind it */
    arrive();
    enter();
    assert_int_equal(fake_log.injected, 1);
    assert_int_equal(fake_log.windows, VCPU_WINDOW_IRQ);
    helped.behind = false;
    enter();
    assert_int_equal(fake_log.windows, 0);
    assert_false(helped.held);
    a->special |= X86_SPECIAL_STEP; /* a debugger steps: the hardware has to wait as the software does */
    a->rflags |= RFLAGS_TF;
    arrive();
    enter();
    assert_true(helped.held);
    assert_int_equal(fake_log.injected, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(double_fault_matrix, setup),
        cmocka_unit_test_setup(error_code_and_cr2, setup),
        cmocka_unit_test_setup(irq_needs_if_and_no_shadow, setup),
        cmocka_unit_test_setup(irq_behind_an_irq_has_a_window, setup),
        cmocka_unit_test_setup(irq_ends_a_halt_in_the_shadow, setup),
        cmocka_unit_test_setup(other_shadows_are_waited_out, setup),
        cmocka_unit_test_setup(one_event_an_entry_by_priority, setup),
        cmocka_unit_test_setup(nmi_waits_for_iret, setup),
        cmocka_unit_test_setup(spurious_interrupt_is_nothing, setup),
        cmocka_unit_test_setup(million_requests_are_one, setup),
        cmocka_unit_test_setup(irq_is_delivered_again_exactly_once, setup),
        cmocka_unit_test_setup(irq_survives_an_exception, setup),
        cmocka_unit_test_setup(soft_event_keeps_its_length, setup),
        cmocka_unit_test_setup(nmi_cut_short_is_not_lost, setup),
        cmocka_unit_test_setup(wrong_type_from_hardware_is_mended, setup),
        cmocka_unit_test_setup(what_ends_a_halt, setup),
        cmocka_unit_test_setup(flush_on_request_and_generation, setup),
        cmocka_unit_test_setup(nothing_to_do_is_cheap, setup),
        cmocka_unit_test_setup(hardware_delivers_what_the_chip_leaves_to_it, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
