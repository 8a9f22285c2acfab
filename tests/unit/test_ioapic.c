/* units: vm/dev/x86_64/lapic.c vm/dev/x86_64/lapic_regs.c vm/dev/x86_64/lapic_timer.c vm/dev/x86_64/lapic_assist.c vm/dev/x86_64/apic_bus.c vm/dev/x86_64/ioapic.c vm/bus.c kernel/timer.c tests/unit/apic_rig.c */
/* The I/O APIC in front of four local APICs. */
#include "tests/unit/host.h"
#include <string.h>
#include "tests/unit/apic_rig.h"
#include "vm/dev/x86_64/ioapic.h"

#define VECTOR 0x61U
#define LEVEL BIT32(15)
#define MASKED BIT32(16)
#define REMOTE_IRR BIT32(14)
#define LOGICAL BIT32(11)
#define MODE(mode) ((u32)(mode) << 8)
#define PIN 5U

static struct vioapic ioapic;
static struct bus mmio;

static u32 access(u32 offset, bool write, u32 value)
{
    u64 wide = value;

    assert_true(bus_access(&mmio, IOAPIC_BASE + offset, 4, write, &wide));
    return (u32)wide;
}

static u32 get(u32 reg)
{
    (void)access(0, true, reg);
    return access(0x10, false, 0);
}

static void set(u32 reg, u32 value)
{
    (void)access(0, true, reg);
    (void)access(0x10, true, value);
}

static void route(u32 pin, u32 low, u32 destination)
{
    set(0x11 + 2 * pin, destination << 24);
    set(0x10 + 2 * pin, low);
}

static void pin(u32 number, bool level)
{
    vioapic_set_pin(&ioapic, number, level);
}

static void pulse(u32 number)
{
    pin(number, true);
    pin(number, false);
}

static u8 serve(u32 cpu)
{
    u8 vector = 0;

    if (!vlapic_acknowledge(&rig.lapic[cpu], &vector)) {
        return 0;
    }
    rig_write(cpu, R_EOI, 0);
    return vector;
}

static int start(void **state)
{
    (void)state;
    rig_start(4);
    memset(&mmio, 0, sizeof(mmio));
    vioapic_init(&ioapic, &rig.bus);
    rig.ioapic = &ioapic;
    assert_int_equal(vioapic_attach(&ioapic, &mmio), 0);
    return 0;
}

static void registers(void **state)
{
    (void)state;
    assert_int_equal(get(1), 0x00170020);
    set(1, ~0U);
    assert_int_equal(get(1), 0x00170020);
    set(0, ~0U);
    assert_int_equal(get(0), 0x0F000000);
    for (u32 i = 0; i < IOAPIC_PINS; i++) {
        assert_int_equal(get(0x10 + 2 * i), MASKED);
        set(0x10 + 2 * i, ~0U);
        set(0x11 + 2 * i, ~0U);
        assert_int_equal(get(0x10 + 2 * i), 0x1AFFF); /* without delivery status and remote IRR */
        assert_int_equal(get(0x11 + 2 * i), 0xFF000000);
    }
    for (u32 reg = 0x10 + 2 * IOAPIC_PINS; reg < 0x100; reg++) {
        set(reg, ~0U);
        assert_int_equal(get(reg), 0);
    }
    assert_int_equal(access(0x20, false, 0), 0);
    (void)access(0xFFC, true, ~0U);
    assert_int_equal(access(0, false, 0), 0xFF);
}

static void an_edge_is_one_interrupt(void **state)
{
    (void)state;
    route(PIN, VECTOR, 2);
    pin(PIN, true);
    pin(PIN, true);
    assert_int_equal(serve(2), VECTOR);
    assert_int_equal(serve(2), 0);
    assert_int_equal(get(0x10 + 2 * PIN) & REMOTE_IRR, 0);
    pin(PIN, false);
    assert_int_equal(serve(2), 0);
    pulse(PIN);
    assert_int_equal(serve(2), VECTOR);
    assert_int_equal(rig.eois, 0);
}

static void a_masked_edge_is_lost(void **state)
{
    (void)state;
    route(PIN, MASKED | VECTOR, 2);
    pin(PIN, true);
    route(PIN, VECTOR, 2);
    assert_int_equal(serve(2), 0);
    pin(PIN, false);
    pulse(PIN);
    assert_int_equal(serve(2), VECTOR);
}

static void a_level_asks_until_it_falls(void **state)
{
    (void)state;
    route(PIN, LEVEL | VECTOR, 1);
    pin(PIN, true);
    assert_true((get(0x10 + 2 * PIN) & REMOTE_IRR) != 0);
    for (u32 i = 0; i < 5; i++) {
        assert_int_equal(serve(1), VECTOR); /* the line is still high at the EOI */
    }
    pin(PIN, false);
    assert_int_equal(serve(1), VECTOR); /* it had been sent before it fell */
    assert_int_equal(serve(1), 0);
    assert_int_equal(get(0x10 + 2 * PIN) & REMOTE_IRR, 0);
}

static void remote_irr_holds_back(void **state)
{
    (void)state;
    route(PIN, LEVEL | VECTOR, 1);
    for (u32 i = 0; i < 10; i++) {
        pulse(PIN);
    }
    assert_int_equal(serve(1), VECTOR);
    assert_int_equal(serve(1), 0);
    pulse(PIN);
    assert_int_equal(serve(1), VECTOR);
}

static void a_level_waits_behind_its_mask(void **state)
{
    (void)state;
    route(PIN, MASKED | LEVEL | VECTOR, 1);
    pin(PIN, true);
    assert_int_equal(serve(1), 0);
    set(0x10 + 2 * PIN, LEVEL | VECTOR);
    u8 vector = 0;
    assert_true(vlapic_acknowledge(&rig.lapic[1], &vector));
    set(0x10 + 2 * PIN, MASKED | LEVEL | VECTOR); /* Linux masks in the middle */
    rig_write(1, R_EOI, 0);
    assert_int_equal(serve(1), 0);
    assert_int_equal(get(0x10 + 2 * PIN) & REMOTE_IRR, 0);
    set(0x10 + 2 * PIN, LEVEL | VECTOR);
    assert_int_equal(serve(1), VECTOR);
}

static void eoi_by_register_and_by_turning_to_edge(void **state)
{
    u8 vector;

    (void)state;
    route(PIN, LEVEL | VECTOR, 1);
    pulse(PIN);
    (void)access(0x40, true, VECTOR + 1);
    assert_true((get(0x10 + 2 * PIN) & REMOTE_IRR) != 0);
    (void)access(0x40, true, VECTOR);
    assert_int_equal(get(0x10 + 2 * PIN) & REMOTE_IRR, 0);
    assert_true(vlapic_acknowledge(&rig.lapic[1], &vector));
    pulse(PIN);
    assert_true((get(0x10 + 2 * PIN) & REMOTE_IRR) != 0);
    set(0x10 + 2 * PIN, MASKED | VECTOR);
    assert_int_equal(get(0x10 + 2 * PIN) & REMOTE_IRR, 0);
}

static void two_pins_share_a_vector(void **state)
{
    (void)state;
    route(3, LEVEL | VECTOR, 1);
    route(4, LEVEL | VECTOR, 1);
    pin(3, true);
    pin(4, true);
    assert_int_equal(serve(1), VECTOR);
    pin(3, false);
    assert_int_equal(serve(1), VECTOR);
    pin(4, false);
    assert_int_equal(serve(1), VECTOR);
    assert_int_equal(serve(1), 0);
}

/* Nobody takes it: remote IRR stays clear, so that it is not waited for, and the line works once somebody is there. */
static void redirected_to_nobody(void **state)
{
    (void)state;
    route(PIN, LEVEL | VECTOR, 9);
    pin(PIN, true);
    assert_int_equal(get(0x10 + 2 * PIN) & REMOTE_IRR, 0);
    route(PIN, LEVEL | VECTOR, 3);
    assert_int_equal(serve(3), VECTOR);
    pin(PIN, false);
    (void)serve(3);
    route(PIN, LEVEL | 7, 3); /* a reserved vector */
    pin(PIN, true);
    assert_int_equal(get(0x10 + 2 * PIN) & REMOTE_IRR, 0);
    rig_write(3, R_ESR, 0);
    assert_int_equal(rig_read(3, R_ESR), ESR_RECEIVE_ILLEGAL);
    pin(PIN, false);
    rig_write(3, R_SVR, 0);
    route(PIN, LEVEL | VECTOR, 3);
    pin(PIN, true);
    assert_int_equal(get(0x10 + 2 * PIN) & REMOTE_IRR, 0);
}

static void destinations(void **state)
{
    (void)state;
    for (u32 i = 0; i < 4; i++) {
        rig_write(i, R_LDR, BIT32(24 + i));
    }
    route(PIN, LOGICAL | VECTOR, 0x0A);
    pulse(PIN);
    assert_int_equal(rig_take(VECTOR), 0x0A);
    route(PIN, VECTOR, 0xFF);
    pulse(PIN);
    assert_int_equal(rig_take(VECTOR), 0x0F);
    route(PIN, MODE(APIC_LOWEST) | LOGICAL | VECTOR, 0x0F);
    pulse(PIN);
    u32 who = rig_take(VECTOR);
    assert_true(who != 0 && (who & (who - 1)) == 0);
    route(PIN, MODE(APIC_NMI), 2);
    pulse(PIN);
    assert_int_equal(rig_take_wire(RIG_NMI), 4);
    rig_x2apic();
    route(PIN, LOGICAL | VECTOR, 0x06); /* cluster 0 */
    pulse(PIN);
    assert_int_equal(rig_take(VECTOR), 0x06);
}

static void no_such_pin(void **state)
{
    (void)state;
    vioapic_set_pin(&ioapic, IOAPIC_PINS, true);
    vioapic_set_pin(&ioapic, ~0U, true);
    assert_int_equal(ioapic.lines, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
    const struct CMUnitTest tests[] = {
        TEST(registers), TEST(an_edge_is_one_interrupt), TEST(a_masked_edge_is_lost), TEST(a_level_asks_until_it_falls),
        TEST(remote_irr_holds_back), TEST(a_level_waits_behind_its_mask), TEST(eoi_by_register_and_by_turning_to_edge),
        TEST(two_pins_share_a_vector), TEST(redirected_to_nobody), TEST(destinations), TEST(no_such_pin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
