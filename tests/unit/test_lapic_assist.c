/* units: vm/dev/x86_64/lapic.c vm/dev/x86_64/lapic_regs.c vm/dev/x86_64/lapic_timer.c vm/dev/x86_64/lapic_assist.c vm/dev/x86_64/apic_bus.c vm/dev/x86_64/ioapic.c vm/bus.c kernel/timer.c tests/unit/apic_rig.c */
/* The local APIC with the hardware's help: what the hardware would do to the page, these tests do. */
#include "tests/unit/host.h"
#include "tests/unit/apic_rig.h"

static struct vlapic *lapic;
static struct vlapic_status status;

static int start(void **state)
{
    (void)state;
    rig_start(2);
    lapic = &rig.lapic[0];
    status = (struct vlapic_status){0, 0};
    assert_true(vlapic_hand_over(lapic, &status));
    vlapic_take_back(lapic);
    return 0;
}

static bool hand_over(void)
{
    return vlapic_hand_over(lapic, &status);
}

static u64 exits_of(u8 vector)
{
    u64 exits[4];

    vlapic_eoi_exits(lapic, exits);
    return exits[vector / 64] >> vector % 64 & 1;
}

/* The hardware delivers the highest request (SDM 30.2.2), and ends the highest in service (30.1.4). */
static u8 deliver(void)
{
    u8 vector = status.requested;

    *vector_word(lapic, REG_IRR, vector) &= ~BIT32(vector % 32);
    *vector_word(lapic, REG_ISR, vector) |= BIT32(vector % 32);
    status = vlapic_status(lapic);
    assert_int_equal(status.in_service, vector);
    return vector;
}

static u8 end(void)
{
    u8 vector = status.in_service;

    *vector_word(lapic, REG_ISR, vector) &= ~BIT32(vector % 32);
    status = vlapic_status(lapic);
    return vector;
}

static void requests_move_into_the_page(void **state)
{
    (void)state;
    vlapic_post(lapic, 0x41, false);
    vlapic_post(lapic, 0xF3, false);
    (void)hand_over();
    assert_int_equal(status.requested, 0xF3);
    assert_false(any(lapic->irr));
    assert_true(vector_test(lapic, REG_IRR, 0x41) && vector_test(lapic, REG_IRR, 0xF3));
    assert_int_equal(rig_read(0, R_IRR + 2), BIT32(0x41 % 32)); /* the guest sees them where they are .. */
    vlapic_post(lapic, 0x52, false);
    assert_int_equal(rig_read(0, R_IRR + 2), BIT32(0x41 % 32) | BIT32(0x52 % 32)); /* .. and where they are not yet */
    assert_int_equal(deliver(), 0xF3);
    (void)hand_over();
    assert_int_equal(status.requested, 0x52);
    assert_int_equal(status.in_service, 0xF3);
}

static void what_is_pending_counts_both(void **state)
{
    (void)state;
    (void)hand_over();
    assert_false(vlapic_pending_beyond(lapic, status));
    vlapic_post(lapic, 0x41, false);
    assert_true(vlapic_pending_beyond(lapic, status));
    (void)hand_over();
    assert_true(vlapic_pending_beyond(lapic, status));
    REG(lapic, REG_TPR) = 0x40; /* as the guest writes it, without an exit */
    assert_false(vlapic_pending_beyond(lapic, status));
    REG(lapic, REG_TPR) = 0x3F;
    assert_true(vlapic_pending_beyond(lapic, status));
    (void)deliver();
    assert_int_equal(vlapic_ppr(lapic), 0x41 & 0xF0);
    vlapic_post(lapic, 0x4F, false);
    assert_false(vlapic_pending_beyond(lapic, status));
    vlapic_post(lapic, 0x50, false);
    assert_true(vlapic_pending_beyond(lapic, status));
}

/* After a reset of the APIC, nobody knows what the hardware still has in mind. */
static void a_reset_tells_all_again(void **state)
{
    (void)state;
    vlapic_post(lapic, 0x71, true);
    assert_true(hand_over());
    vlapic_reset(lapic);
    assert_false(lapic->assisted);
    rig_write(0, R_SVR, SVR_ENABLE);
    status = (struct vlapic_status){0, 0};
    assert_true(hand_over());
    assert_false(exits_of(0x71));
}

static void level_ends_are_seen(void **state)
{
    (void)state;
    assert_false(hand_over());
    vlapic_post(lapic, 0x71, true);
    assert_true(hand_over());
    assert_true(exits_of(0x71));
    assert_false(exits_of(0x70) || exits_of(0x51));
    (void)deliver();
    u8 ended = end();
    assert_int_equal(ended, 0x71);
    vlapic_eoi_done(lapic, ended);
    assert_int_equal(rig.eois, 1);
    assert_int_equal(rig.eoi_vector, 0x71);
    assert_false(hand_over()); /* nothing new */
    vlapic_post(lapic, 0x71, false);
    assert_true(hand_over());
    assert_false(exits_of(0x71));
    (void)deliver();
    vlapic_eoi_done(lapic, end());
    assert_int_equal(rig.eois, 1);
}

/* While others wait for the end of one, the host looks at each end; one alone, or one that the task priority holds, is
 * nobody's business. */
static void ends_that_others_wait_for_are_seen(void **state)
{
    (void)state;
    vlapic_post(lapic, 0x41, false);
    (void)hand_over();
    assert_false(exits_of(0x41));
    (void)deliver();
    vlapic_post(lapic, 0x42, false); /* the same class */
    assert_true(hand_over());
    assert_true(exits_of(0x41));
    vlapic_eoi_done(lapic, end());
    assert_int_equal(rig.eois, 0); /* no level */
    (void)hand_over();
    (void)deliver();
    assert_true(hand_over());
    assert_false(exits_of(0x42));
    (void)end();
    vlapic_post(lapic, 0x41, false);
    vlapic_post(lapic, 0x91, false);
    assert_true(hand_over());
    assert_true(exits_of(0x91));
    (void)start(state);
    rig_write(0, R_TPR, 0x60);
    vlapic_post(lapic, 0x41, false);
    assert_false(hand_over());
    assert_false(exits_of(0x41));
}

static void help_comes_and_goes_with_nothing_lost(void **state)
{
    u8 vector;

    (void)state;
    vlapic_post(lapic, 0x41, false);
    assert_true(vlapic_acknowledge(lapic, &vector)); /* before */
    vlapic_post(lapic, 0x45, false);
    vlapic_post(lapic, 0x52, false);
    status.in_service = lapic->isr_top;
    (void)hand_over();
    assert_true(vlapic_pending_beyond(lapic, status));
    assert_int_equal(deliver(), 0x52);
    vlapic_take_back(lapic);
    assert_false(lapic->assisted || vector_highest(lapic, REG_IRR) != 0);
    assert_false(vlapic_pending(lapic));
    vlapic_eoi(lapic); /* of 0x52 */
    assert_int_equal(lapic->isr_top, 0x41);
    vlapic_eoi(lapic);
    assert_true(vlapic_acknowledge(lapic, &vector));
    assert_int_equal(vector, 0x45);
    vlapic_eoi(lapic);
    assert_int_equal(lapic->isr_top, 0);
}

/* An end of interrupt that the software makes, of what the hardware delivered. */
static void software_may_write_in_between(void **state)
{
    (void)state;
    vlapic_post(lapic, 0x41, false);
    (void)hand_over();
    (void)deliver();
    vlapic_adopt(lapic);
    rig_write(0, R_EOI, 0);
    assert_true(lapic->status_stale);
    status = vlapic_status(lapic);
    assert_int_equal(status.in_service, 0);
    (void)hand_over();
    assert_false(lapic->status_stale);
}

/* Registers that the guest has written into the page without an exit take effect as if written through one. */
static void written_registers_take_effect(void **state)
{
    static const u32 kept[][3] = {{R_ID, ~0U, 0}, {R_LDR, ~0U, 0xFF000000}, {R_DFR, 0, 0x0FFFFFFF}, {R_SVR, ~0U, 0x3FF},
                                  {R_LVT_TIMER, 0x700FF, 0x700FF}, {R_LVT_LINT0, ~0U, 0x1A7FF}, {R_LVT_ERROR, ~0U, 0x100FF},
                                  {R_DIVIDE, ~0U, 0xB}, {R_ICR_HIGH, ~0U, 0xFF000000}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        REG(lapic, kept[i][0]) = kept[i][1];
        vlapic_written(lapic, kept[i][0] * 16);
        assert_int_equal(REG(lapic, kept[i][0]), kept[i][2]);
        assert_int_equal(rig_read(0, kept[i][0]), kept[i][2]);
    }
    REG(lapic, REG_ICR_HIGH) = 1U << 24;
    REG(lapic, REG_ICR) = 0x66;
    vlapic_written(lapic, REG_ICR * 16);
    assert_int_equal(rig_take(0x66), 2);
    REG(lapic, REG_LVT + LVT_TIMER) = 0x55;
    vlapic_written(lapic, (REG_LVT + LVT_TIMER) * 16);
    REG(lapic, REG_DIVIDE) = 0xB;
    vlapic_written(lapic, REG_DIVIDE * 16);
    REG(lapic, REG_INITIAL) = 1000;
    vlapic_written(lapic, REG_INITIAL * 16);
    assert_int_equal(rig_read(0, R_CURRENT), 1000);
    rig_run_until(rig_now_ns + 1000);
    assert_int_equal(rig_take(0x55), 1);
    REG(lapic, REG_SVR) = 0xFF; /* off: masks what is local */
    vlapic_written(lapic, REG_SVR * 16);
    assert_int_equal(REG(lapic, REG_LVT + LVT_TIMER), 0x10055);
    assert_false(vlapic_enabled(lapic));
}

/* In deadline mode there is no count to set; what was written does not stay. */
static void a_count_that_does_not_run_reads_zero(void **state)
{
    (void)state;
    rig_write(0, R_LVT_TIMER, 0x40055);
    REG(lapic, REG_INITIAL) = 1000;
    vlapic_written(lapic, REG_INITIAL * 16);
    assert_int_equal(rig_read(0, R_INITIAL), 0);
}

static void the_icr_has_64_bits_in_x2apic_mode(void **state)
{
    (void)state;
    rig_write(0, R_ICR_HIGH, 1U << 24);
    rig_x2apic();
    assert_int_equal(vlapic_icr(lapic), 1ULL << 56);
    assert_int_equal(lapic->page[R_ICR * 4 + 1], 1U << 24);
    assert_int_equal(rig_wrmsr(0, R_ICR, 1ULL << 32 | 0x66), 0);
    assert_int_equal(lapic->page[R_ICR * 4], 0x66);
    assert_int_equal(lapic->page[R_ICR * 4 + 1], 1);
    assert_int_equal(rig_take(0x66), 2);
    assert_int_equal(lapic->page[R_ID * 4], 0);
    assert_int_equal(rig.lapic[1].page[R_ID * 4], 1);
    assert_int_equal(rig.lapic[1].page[R_LDR * 4], 2);
}

/* The class that hardware, which keeps no more than the task priority, has to tell us of: never above the one there is. */
static void thresholds(void **state)
{
    (void)state;
    assert_int_equal(vlapic_threshold(lapic), 0);
    for (u32 service = 0; service < 16; service++) {
        for (u32 tpr = 0; tpr < 16; tpr++) {
            rig_start(1);
            u8 vector;
            if (service > 1) {
                vlapic_post(lapic, (u8)(service << 4), false);
                assert_true(vlapic_acknowledge(lapic, &vector));
            }
            rig_write(0, R_TPR, tpr << 4);
            vlapic_post(lapic, 0x75, false);
            bool held = tpr >= 7 && (service <= 1 || service < 7);
            assert_int_equal(vlapic_threshold(lapic), held ? 7 : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(requests_move_into_the_page, start),
        cmocka_unit_test_setup(what_is_pending_counts_both, start),
        cmocka_unit_test_setup(level_ends_are_seen, start),
        cmocka_unit_test_setup(a_reset_tells_all_again, start),
        cmocka_unit_test_setup(ends_that_others_wait_for_are_seen, start),
        cmocka_unit_test_setup(help_comes_and_goes_with_nothing_lost, start),
        cmocka_unit_test_setup(software_may_write_in_between, start),
        cmocka_unit_test_setup(written_registers_take_effect, start),
        cmocka_unit_test_setup(a_count_that_does_not_run_reads_zero, start),
        cmocka_unit_test_setup(the_icr_has_64_bits_in_x2apic_mode, start),
        cmocka_unit_test_setup(thresholds, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
