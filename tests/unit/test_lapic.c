/* units: vm/dev/x86_64/lapic.c vm/dev/x86_64/lapic_regs.c vm/dev/x86_64/lapic_timer.c vm/dev/x86_64/lapic_assist.c vm/dev/x86_64/apic_bus.c vm/dev/x86_64/ioapic.c vm/bus.c kernel/timer.c tests/unit/apic_rig.c */
/* The local APIC's registers, priorities and modes. */
#include "tests/unit/host.h"
#include "tests/unit/apic_rig.h"
#include "kernel/lib/errno.h"

#define BSP_BASE (LAPIC_BASE_DEFAULT | APIC_BASE_EN | APIC_BASE_BSP)

static int start(void **state)
{
    (void)state;
    rig_start(2);
    return 0;
}

static u8 acknowledge(u32 cpu)
{
    u8 vector = 0;

    return vlapic_acknowledge(&rig.lapic[cpu], &vector) ? vector : 0;
}

/* Errors shown by the ESR after the write that latches them. */
static u32 errors(u32 cpu)
{
    rig_write(cpu, R_ESR, 0);
    return rig_read(cpu, R_ESR);
}

static void state_after_reset(void **state)
{
    static const u32 expected[][2] = {{R_ID, 1U << 24}, {R_TPR, 0}, {R_PPR, 0}, {R_LDR, 0}, {R_DFR, ~0U}, {R_SVR, 0xFF},
                                      {R_ESR, 0}, {R_ICR, 0}, {R_ICR_HIGH, 0}, {R_LVT_TIMER, LVT_MASKED},
                                      {R_LVT_LINT0, LVT_MASKED}, {R_LVT_LINT1, LVT_MASKED}, {R_LVT_ERROR, LVT_MASKED},
                                      {R_INITIAL, 0}, {R_CURRENT, 0}, {R_DIVIDE, 0}, {R_VERSION, 0x50014}};

    (void)state;
    for (u32 round = 0; round < 2; round++) {
        vlapic_reset(&rig.lapic[1]);
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
            assert_int_equal(rig_read(1, expected[i][0]), expected[i][1]);
        }
        for (u32 reg = R_ISR; reg < R_ESR; reg++) {
            assert_int_equal(rig_read(1, reg), 0);
        }
        rig_write(1, R_SVR, SVR_ENABLE); /* and again after some use */
        rig_write(1, R_TPR, 0x20);
        rig_write(1, R_LVT_LINT1, 0x400);
        rig_write(1, R_INITIAL, 1000);
        vlapic_post(&rig.lapic[1], 0x60, true);
        (void)acknowledge(1);
    }
}

static void registers_keep_what_they_have(void **state)
{
    static const u32 kept[][2] = {{R_TPR, 0xFF}, {R_LDR, 0xFF000000}, {R_SVR, 0x3FF}, {R_LVT_TIMER, 0x700FF & ~0x0U},
                                  {R_LVT_LINT0, 0x1A7FF}, {R_LVT_LINT1, 0x1A7FF}, {R_LVT_ERROR, 0x100FF}, {R_DIVIDE, 0xB},
                                  {R_DFR, ~0U}, {R_ICR_HIGH, 0xFF000000}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        rig_write(0, kept[i][0], ~0U);
        assert_int_equal(rig_read(0, kept[i][0]), kept[i][1]);
    }
    rig_write(0, R_DFR, 0);
    assert_int_equal(rig_read(0, R_DFR), 0x0FFFFFFF);
    assert_int_equal(errors(0), 0);
}

static void read_only_registers_are_quietly_so(void **state)
{
    static const u32 fixed[] = {R_ID, R_VERSION, R_PPR, R_ISR, R_ISR + 7, R_TMR, R_IRR, R_IRR + 7, R_CURRENT};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
        u32 before = rig_read(0, fixed[i]);
        rig_write(0, fixed[i], ~before);
        assert_int_equal(rig_read(0, fixed[i]), before);
    }
    assert_int_equal(errors(0), 0);
}

static void reserved_registers_set_the_esr(void **state)
{
    static const u32 holes[] = {0x00, 0x01, 0x04, 0x07, 0x29, 0x2E, 0x3A, 0x3D, 0x3F, 0x40, 0xFF};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(holes); i++) {
        assert_int_equal(rig_read(0, holes[i]), 0);
        assert_int_equal(errors(0), ESR_ILLEGAL_REGISTER);
        rig_write(0, holes[i], 1);
        assert_int_equal(errors(0), ESR_ILLEGAL_REGISTER);
    }
    assert_int_equal(errors(0), 0);
}

static void odd_accesses_do_nothing(void **state)
{
    u64 value;

    (void)state;
    for (u32 offset = 0; offset < LAPIC_MMIO_SIZE; offset++) {
        for (u8 size = 1; size <= 8; size = (u8)(size * 2)) {
            if (size != 4 || offset % 16 != 0) {
                value = ~0ULL;
                vlapic_mmio(&rig.lapic[0], offset, size, true, &value);
                vlapic_mmio(&rig.lapic[0], offset, size, false, &value);
                assert_int_equal(value, 0);
            }
        }
    }
    assert_int_equal(rig_read(0, R_TPR), 0);
    assert_int_equal(rig_read(0, R_SVR), SVR_ENABLE | 0xFF);
}

static void software_disable_masks_and_refuses(void **state)
{
    (void)state;
    rig_write(0, R_LVT_LINT0, 0x700);
    rig_write(0, R_SVR, 0xFF);
    assert_int_equal(rig_read(0, R_LVT_LINT0), 0x10700);
    rig_write(0, R_LVT_LINT0, 0x700);
    assert_int_equal(rig_read(0, R_LVT_LINT0), 0x10700);
    vlapic_post(&rig.lapic[0], 0x60, false);
    assert_int_equal(rig_take(0x60), 0);
    assert_false(vlapic_accepts_extint(&rig.lapic[0]));
    rig_write(0, R_SVR, SVR_ENABLE);
    rig_write(0, R_LVT_LINT0, 0x700);
    assert_true(vlapic_accepts_extint(&rig.lapic[0]));
}

static void priorities_and_nesting(void **state)
{
    struct vlapic *lapic = &rig.lapic[0];

    (void)state;
    vlapic_post(lapic, 0x41, false);
    assert_int_equal(acknowledge(0), 0x41);
    assert_int_equal(rig_read(0, R_PPR), 0x40);
    vlapic_post(lapic, 0x4F, false); /* the same class waits */
    assert_int_equal(acknowledge(0), 0);
    vlapic_post(lapic, 0x31, false);
    assert_int_equal(acknowledge(0), 0);
    vlapic_post(lapic, 0x82, false); /* a higher one nests */
    vlapic_post(lapic, 0xF3, false);
    assert_int_equal(acknowledge(0), 0xF3);
    assert_int_equal(acknowledge(0), 0);
    assert_int_equal(rig_read(0, R_ISR + 7), BIT32(0xF3 % 32));
    rig_write(0, R_EOI, 0);
    assert_int_equal(acknowledge(0), 0x82);
    rig_write(0, R_EOI, 0);
    assert_int_equal(rig_read(0, R_PPR), 0x40);
    rig_write(0, R_EOI, 0);
    assert_int_equal(acknowledge(0), 0x4F);
    rig_write(0, R_EOI, 0);
    assert_int_equal(acknowledge(0), 0x31);
    rig_write(0, R_EOI, 0);
    assert_int_equal(rig_read(0, R_PPR), 0);
    assert_int_equal(acknowledge(0), 0);
}

static void eoi_with_nothing_in_service(void **state)
{
    (void)state;
    for (u32 i = 0; i < 1000; i++) {
        rig_write(0, R_EOI, i);
    }
    vlapic_post(&rig.lapic[0], 0x50, true);
    rig_write(0, R_EOI, 0); /* requested, not in service */
    assert_int_equal(rig.eois, 0);
    assert_int_equal(acknowledge(0), 0x50);
    rig_write(0, R_EOI, 0);
    assert_int_equal(rig.eois, 1);
    assert_int_equal(rig.eoi_vector, 0x50);
}

static void every_vector_against_every_task_priority(void **state)
{
    struct vlapic *lapic = &rig.lapic[0];

    (void)state;
    for (u32 vector = 16; vector < 256; vector++) {
        for (u32 tpr = 0; tpr < 256; tpr++) {
            rig_write(0, R_TPR, tpr);
            assert_int_equal(vlapic_read_cr8(lapic), tpr >> 4);
            assert_int_equal(rig_read(0, R_PPR), tpr);
            vlapic_post(lapic, (u8)vector, false);
            assert_int_equal(vlapic_pending(lapic), vector >> 4 > tpr >> 4);
            u8 got = acknowledge(0);
            assert_int_equal(got, vector >> 4 > tpr >> 4 ? vector : 0);
            rig_write(0, R_EOI, 0);
            (void)rig_take((u8)vector);
        }
    }
}

static void cr8_is_the_class(void **state)
{
    (void)state;
    for (u64 cr8 = 0; cr8 < 16; cr8++) {
        rig_write(0, R_TPR, 0x0F);
        vlapic_write_cr8(&rig.lapic[0], cr8);
        assert_int_equal(rig_read(0, R_TPR), cr8 << 4);
        assert_int_equal(vlapic_read_cr8(&rig.lapic[0]), cr8);
    }
}

/* Lowering the priority, by TPR or by EOI, tells the CPU only when something became deliverable. */
static void a_lower_priority_announces_what_waited(void **state)
{
    (void)state;
    rig_write(0, R_TPR, 0x80);
    vlapic_post(&rig.lapic[0], 0x55, false);
    u32 events = rig.events[0];
    rig_write(0, R_TPR, 0x60);
    assert_int_equal(rig.events[0], events);
    rig_write(0, R_TPR, 0x40);
    assert_int_equal(rig.events[0], events + 1);
    assert_int_equal(acknowledge(0), 0x55);
    vlapic_post(&rig.lapic[0], 0x56, false);
    events = rig.events[0];
    rig_write(0, R_EOI, 0);
    assert_int_equal(rig.events[0], events + 1);
}

static void ppr_takes_the_higher(void **state)
{
    (void)state;
    vlapic_post(&rig.lapic[0], 0x5A, false);
    (void)acknowledge(0);
    rig_write(0, R_TPR, 0x45);
    assert_int_equal(rig_read(0, R_PPR), 0x50);
    rig_write(0, R_TPR, 0x65);
    assert_int_equal(rig_read(0, R_PPR), 0x65);
}

static void a_million_requests_are_one_bit(void **state)
{
    (void)state;
    for (u32 i = 0; i < 1000000; i++) {
        vlapic_post(&rig.lapic[0], (u8)(32 + i % 200), false);
    }
    assert_int_equal(rig.events[0], 200); /* the CPU was told of each once */
    u32 delivered = 0;
    for (u8 vector = acknowledge(0); vector != 0; vector = acknowledge(0)) {
        delivered++;
        rig_write(0, R_EOI, 0);
    }
    assert_int_equal(delivered, 200);
    u32 events = rig.events[0];
    vlapic_post(&rig.lapic[0], 32, false); /* and is told again of what it has taken */
    assert_int_equal(rig.events[0], events + 1);
}

/* What was requested before software switched the APIC off is delivered when it is on again. */
static void requests_outlive_a_software_disable(void **state)
{
    (void)state;
    vlapic_post(&rig.lapic[0], 0x60, false);
    rig_write(0, R_SVR, 0xFF);
    assert_int_equal(acknowledge(0), 0);
    u32 events = rig.events[0];
    rig_write(0, R_SVR, SVR_ENABLE);
    assert_int_equal(rig.events[0], events + 1);
    assert_int_equal(acknowledge(0), 0x60);
}

static void errors_latch_and_interrupt(void **state)
{
    (void)state;
    rig_write(0, R_LVT_ERROR, 0xEE);
    rig_write(0, R_ICR, 0x05); /* a reserved vector, to itself */
    assert_int_equal(rig_read(0, R_ESR), 0);
    assert_int_equal(rig_take(0xEE), 1);
    assert_int_equal(errors(0), ESR_SEND_ILLEGAL);
    assert_int_equal(errors(0), 0);
    rig_write(0, R_LVT_ERROR, 0x100EE);
    rig_write(0, R_ICR, 0x05);
    assert_int_equal(rig_take(0xEE), 0);
    rig_write(0, R_LVT_ERROR, 0x03); /* an illegal vector of its own: no recursion */
    rig_write(0, R_ICR, 0x05);
    assert_int_equal(errors(0), ESR_SEND_ILLEGAL);
    vlapic_post(&rig.lapic[0], 15, false);
    assert_int_equal(errors(0), ESR_RECEIVE_ILLEGAL);
}

/* SDM figure 11-27: which mode may follow which. */
static void mode_transitions(void **state)
{
    static const u64 modes[] = {0, APIC_BASE_EN, APIC_BASE_EXTD, APIC_BASE_EN | APIC_BASE_EXTD};
    static const bool legal[4][4] = {{true, true, false, false}, {true, true, false, true}, {0}, {true, false, false, true}};

    (void)state;
    for (u32 from = 0; from < 4; from++) {
        for (u32 to = 0; to < 4 && from != 2; to++) {
            rig_start(2);
            if (from != 1) {
                assert_int_equal(vlapic_write_base(&rig.lapic[1], LAPIC_BASE_DEFAULT | modes[from]), 0);
            }
            int rc = vlapic_write_base(&rig.lapic[1], LAPIC_BASE_DEFAULT | modes[to]);
            assert_int_equal(rc, legal[from][to] ? 0 : -E_GUEST);
            assert_int_equal(rig.lapic[1].base, LAPIC_BASE_DEFAULT | modes[legal[from][to] ? to : from]);
        }
    }
}

static void the_bsp_flag_is_the_processors(void **state)
{
    (void)state;
    assert_int_equal(vlapic_write_base(&rig.lapic[0], BSP_BASE & ~APIC_BASE_BSP), 0);
    assert_int_equal(rig.lapic[0].base, BSP_BASE);
    assert_int_equal(vlapic_write_base(&rig.lapic[1], BSP_BASE), 0);
    assert_int_equal(rig.lapic[1].base, BSP_BASE & ~APIC_BASE_BSP);
}

static void disabling_resets_and_lets_the_pic_through(void **state)
{
    (void)state;
    rig_write(0, R_TPR, 0x20);
    vlapic_post(&rig.lapic[0], 0x60, false);
    assert_int_equal(vlapic_write_base(&rig.lapic[0], LAPIC_BASE_DEFAULT), 0);
    assert_false(vlapic_pending(&rig.lapic[0]));
    assert_true(vlapic_accepts_extint(&rig.lapic[0]));
    vlapic_post(&rig.lapic[0], 0x60, false);
    assert_int_equal(rig_take(0x60), 0);
    assert_int_equal(vlapic_write_base(&rig.lapic[0], BSP_BASE), 0);
    assert_int_equal(rig_read(0, R_TPR), 0);
    assert_int_equal(rig_read(0, R_SVR), 0xFF);
}

static void msrs_only_in_x2apic_mode(void **state)
{
    u64 value;

    (void)state;
    assert_int_equal(rig_rdmsr(0, R_ID, &value), -E_GUEST);
    assert_int_equal(rig_wrmsr(0, R_TPR, 0), -E_GUEST);
    rig_x2apic();
    assert_int_equal(rig_rdmsr(1, R_ID, &value), 0);
    assert_int_equal(value, 1);
}

/* Table 11-6: every number of the range, as it may be read and written. 'r' 'w', 'z' writable with 0 only. */
static char msr_access(u32 reg)
{
    bool read_only = reg == R_ID || reg == R_VERSION || reg == R_PPR || reg == R_LDR || (reg >= R_ISR && reg < R_ESR) ||
                     reg == R_CURRENT;
    bool both = reg == R_TPR || reg == R_SVR || reg == R_ICR || (reg >= R_LVT_TIMER && reg <= R_INITIAL) || reg == R_DIVIDE;

    if (reg == R_ESR) {
        return 'e';
    }
    return read_only ? 'r' : both ? 'b' : reg == R_EOI ? 'z' : reg == R_SELF_IPI ? 'w' : '-';
}

static void msr_table(void **state)
{
    (void)state;
    rig_x2apic();
    for (u32 reg = 0; reg < LAPIC_X2APIC_MSR_COUNT; reg++) {
        char access = msr_access(reg);
        u64 value;
        bool readable = access == 'r' || access == 'b' || access == 'e';
        bool zero = access == 'b' || access == 'e' || access == 'z' || access == 'w';
        assert_int_equal(rig_rdmsr(0, reg, &value), readable ? 0 : -E_GUEST);
        if (reg != R_ICR && reg != R_SELF_IPI) {
            assert_int_equal(rig_wrmsr(0, reg, 0), zero ? 0 : -E_GUEST);
        }
        assert_int_equal(rig_wrmsr(0, reg, 1), access == 'b' || access == 'w' ? 0 : -E_GUEST);
        if (reg != R_ICR) {
            assert_int_equal(rig_wrmsr(0, reg, BIT(32)), -E_GUEST);
        }
    }
}

static void msr_reserved_bits(void **state)
{
    static const struct { u32 reg; u64 allowed; } writable[] = {
        {R_TPR, 0xFF}, {R_SVR, 0x3FF}, {R_ICR, 0xFFFFFFFF000CCFFF}, {R_LVT_TIMER, 0x710FF}, {0x33, 0x117FF}, {0x34, 0x117FF},
        {R_LVT_LINT0, 0x1F7FF}, {R_LVT_LINT1, 0x1F7FF}, {R_LVT_ERROR, 0x110FF}, {R_INITIAL, 0xFFFFFFFF}, {R_DIVIDE, 0xB},
        {R_ESR, 0}, {R_EOI, 0}, {R_SELF_IPI, 0xFF}};

    (void)state;
    rig_x2apic();
    for (size_t i = 0; i < ARRAY_SIZE(writable); i++) {
        for (u32 bit = 0; bit < 64; bit++) {
            int expected = (writable[i].allowed & BIT(bit)) != 0 ? 0 : -E_GUEST;
            assert_int_equal(rig_wrmsr(0, writable[i].reg, BIT(bit)), expected);
        }
    }
}

static void self_ipi(void **state)
{
    (void)state;
    rig_x2apic();
    assert_int_equal(rig_wrmsr(1, R_SELF_IPI, 0x77), 0);
    assert_int_equal(rig_take(0x77), 2);
    assert_int_equal(rig_wrmsr(1, R_SELF_IPI, 7), 0);
    assert_int_equal(rig_wrmsr(1, R_ESR, 0), 0);
    u64 value;
    assert_int_equal(rig_rdmsr(1, R_ESR, &value), 0);
    assert_int_equal(value, ESR_SEND_ILLEGAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
    const struct CMUnitTest tests[] = {
        TEST(state_after_reset), TEST(registers_keep_what_they_have), TEST(read_only_registers_are_quietly_so),
        TEST(reserved_registers_set_the_esr), TEST(odd_accesses_do_nothing), TEST(software_disable_masks_and_refuses),
        TEST(priorities_and_nesting), TEST(eoi_with_nothing_in_service), TEST(every_vector_against_every_task_priority),
        TEST(cr8_is_the_class), TEST(a_lower_priority_announces_what_waited), TEST(ppr_takes_the_higher),
        TEST(a_million_requests_are_one_bit), TEST(requests_outlive_a_software_disable), TEST(errors_latch_and_interrupt),
        TEST(mode_transitions), TEST(the_bsp_flag_is_the_processors), TEST(disabling_resets_and_lets_the_pic_through),
        TEST(msrs_only_in_x2apic_mode), TEST(msr_table), TEST(msr_reserved_bits), TEST(self_ipi),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
