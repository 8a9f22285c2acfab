/* units: tests/unit/dev_host.c vm/dev/x86_64/pic.c vm/bus.c */
/* The two 8259As: initialisation, priorities, ends of interrupt, modes, spurious requests (Intel 8259A data sheet). */
#include "tests/unit/dev_host.h"
#include "vm/dev/x86_64/pic.h"

#define MASTER 0x20
#define SLAVE 0xA0
#define EOI 0x20
#define NONE 0xFFFFU

static struct vpic pic;
static bool wire;

static void changed(void *ctx, bool level)
{
    assert_ptr_equal(ctx, &wire);
    assert_true(level != wire); /* only changes are told */
    wire = level;
}

static void program(u8 icw4)
{
    outb(MASTER, 0x11);
    outb(MASTER + 1, 0x20);
    outb(MASTER + 1, 0x04);
    outb(MASTER + 1, icw4);
    outb(SLAVE, 0x11);
    outb(SLAVE + 1, 0x28);
    outb(SLAVE + 1, 0x02);
    outb(SLAVE + 1, icw4);
}

static int setup(void **state)
{
    (void)dev_setup(state);
    wire = false;
    vpic_init(&pic, changed, &wire);
    if (vpic_attach(&pic, &dev_pio) != 0) {
        return -1;
    }
    program(0x01);
    return 0;
}

static void pulse(u32 pin)
{
    vpic_set_pin(&pic, pin, false);
    vpic_set_pin(&pic, pin, true);
}

static u32 ack(void)
{
    u8 vector;

    return vpic_acknowledge(&pic, &vector) ? vector : NONE;
}

static u8 irr(u16 port)
{
    outb(port, 0x0A);
    return inb(port);
}

static u8 isr(u16 port)
{
    outb(port, 0x0B);
    return inb(port);
}

static void masked_before_it_is_programmed(void **state)
{
    (void)state;
    wire = false;
    vpic_init(&pic, changed, &wire);
    for (u32 pin = 0; pin < 16; pin++) {
        pulse(pin);
    }
    assert_false(wire);
    assert_int_equal(ack(), NONE);
}

static void every_pin_has_its_vector(void **state)
{
    for (u32 pin = 0; pin < 16; pin++) {
        (void)setup(state);
        pulse(pin);
        if (pin == 2) { /* the cascade is no pin */
            assert_false(wire);
            continue;
        }
        assert_true(wire);
        assert_int_equal(ack(), 0x20 + pin);
        assert_false(wire);
        assert_int_equal(isr(pin < 8 ? MASTER : SLAVE), 1 << pin % 8);
        assert_int_equal(isr(MASTER) & 4, pin < 8 ? 0 : 4);
    }
}

static void priorities_nest(void **state)
{
    (void)state;
    pulse(5);
    assert_int_equal(ack(), 0x25);
    pulse(6);
    assert_false(wire); /* lower than the one in service */
    pulse(1);
    assert_int_equal(ack(), 0x21);
    outb(MASTER, EOI); /* non-specific: the highest */
    assert_int_equal(isr(MASTER), 0x20);
    assert_false(wire);
    outb(MASTER, EOI);
    assert_true(wire);
    assert_int_equal(ack(), 0x26);
    outb(MASTER, 0x66); /* specific */
    assert_int_equal(isr(MASTER), 0);
}

static void the_slave_stands_between_1_and_3(void **state)
{
    (void)state;
    pulse(3);
    pulse(15);
    pulse(8);
    assert_int_equal(ack(), 0x28);
    outb(SLAVE, EOI);
    outb(MASTER, EOI);
    assert_int_equal(ack(), 0x2F);
    outb(SLAVE, EOI);
    outb(MASTER, EOI);
    assert_int_equal(ack(), 0x23);
}

static void mask_holds_back_and_keeps(void **state)
{
    (void)state;
    outb(MASTER + 1, 0x10);
    pulse(4);
    assert_false(wire);
    assert_int_equal(irr(MASTER), 0x10);
    assert_int_equal(inb(MASTER + 1), 0x10);
    outb(MASTER + 1, 0);
    assert_true(wire);
    outb(MASTER + 1, 0x10);
    assert_false(wire);
}

static void an_edge_counts_once_a_level_as_long_as_it_stands(void **state)
{
    (void)state;
    pulse(4);
    assert_int_equal(ack(), 0x24);
    outb(MASTER, EOI);
    assert_int_equal(ack(), NONE); /* still high, no new edge */
    outb(0x4D1, 0x04);             /* pin 10 by level */
    vpic_set_pin(&pic, 10, true);
    for (u32 i = 0; i < 3; i++) {
        assert_int_equal(ack(), 0x2A);
        outb(SLAVE, EOI);
        outb(MASTER, EOI);
    }
    assert_true(wire);
    vpic_set_pin(&pic, 10, false);
    assert_false(wire);
}

static void elcr_refuses_the_edge_only_pins(void **state)
{
    (void)state;
    outb(0x4D0, 0xFF);
    outb(0x4D1, 0xFF);
    assert_int_equal(inb(0x4D0), 0xF8);
    assert_int_equal(inb(0x4D1), 0xDE);
}

static void a_level_that_went_away_is_spurious(void **state)
{
    u8 vector = 0;

    (void)state;
    outb(0x4D0, 0x20);
    vpic_set_pin(&pic, 5, true);
    pic.chip[0].irr = 0; /* between INTR and INTA */
    assert_true(vpic_acknowledge(&pic, &vector));
    assert_int_equal(vector, 0x27);
    assert_int_equal(isr(MASTER), 0);
}

static void automatic_eoi_and_rotation(void **state)
{
    (void)state;
    program(0x03);
    outb(MASTER, 0x80); /* rotate in automatic EOI mode */
    pulse(3);
    pulse(4);
    assert_int_equal(ack(), 0x23);
    assert_int_equal(isr(MASTER), 0);
    assert_int_equal(ack(), 0x24);
    pulse(3);
    pulse(5);
    assert_int_equal(ack(), 0x25); /* 4 is the lowest now, so 5 is the highest */
    assert_int_equal(ack(), 0x23);
}

static void rotation_by_command(void **state)
{
    (void)state;
    outb(MASTER, 0xC3); /* 3 is the lowest */
    pulse(0);
    pulse(4);
    assert_int_equal(ack(), 0x24);
    outb(MASTER, 0xA0); /* rotate on non-specific EOI: 4 becomes the lowest */
    pulse(4);
    pulse(5);
    assert_int_equal(ack(), 0x25);
    outb(MASTER, 0xE5); /* rotate on specific EOI */
    assert_int_equal(ack(), 0x20);
}

static void special_mask_mode(void **state)
{
    (void)state;
    pulse(1);
    assert_int_equal(ack(), 0x21);
    pulse(6);
    assert_false(wire);
    outb(MASTER, 0x68);
    outb(MASTER + 1, 0x02); /* masking the one in service lets lower ones through */
    assert_int_equal(ack(), 0x26);
    outb(MASTER, 0x48);
    pulse(7);
    assert_false(wire);
}

static void poll_command(void **state)
{
    (void)state;
    outb(MASTER, 0x0C);
    assert_int_equal(inb(MASTER), 0); /* nothing */
    pulse(6);
    outb(MASTER, 0x0C);
    assert_int_equal(inb(MASTER), 0x86);
    assert_false(wire);
    assert_int_equal(isr(MASTER), 0x40);
}

static void icw1_starts_afresh(void **state)
{
    (void)state;
    outb(MASTER + 1, 0xFF);
    pulse(4);
    outb(MASTER, 0x10); /* no ICW4 */
    outb(MASTER + 1, 0x47);
    outb(MASTER + 1, 0x04);
    assert_int_equal(inb(MASTER + 1), 0); /* mask cleared, and back in operation */
    assert_int_equal(irr(MASTER), 0);
    pulse(4);
    assert_int_equal(ack(), 0x44); /* low three bits of ICW2 are the pin's */
}

static void special_fully_nested(void **state)
{
    (void)state;
    program(0x11);
    pulse(12);
    assert_int_equal(ack(), 0x2C);
    pulse(9);
    assert_int_equal(ack(), 0x29);
    program(0x01);
    pulse(12);
    assert_int_equal(ack(), 0x2C);
    pulse(9);
    assert_int_equal(ack(), NONE);
}

static void every_byte_in_any_state_is_survived(void **state)
{
    static const u16 ports[] = {0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1};
    u32 random = 12345;

    (void)state;
    for (u32 i = 0; i < 200000; i++) {
        random = random * 1664525U + 1013904223U;
        u16 port = ports[random >> 8 & 7 ? (random >> 8 & 7) % 6 : 0];
        switch (random >> 28) {
        case 0: (void)ack(); break;
        case 1: case 2: vpic_set_pin(&pic, random >> 12 & 15, (random >> 16 & 1) != 0); break;
        case 3: (void)inb(port); break;
        default: outb(port, (u8)(random >> 20)); break;
        }
        assert_true(wire == pic.output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(masked_before_it_is_programmed, setup),
        cmocka_unit_test_setup(every_pin_has_its_vector, setup),
        cmocka_unit_test_setup(priorities_nest, setup),
        cmocka_unit_test_setup(the_slave_stands_between_1_and_3, setup),
        cmocka_unit_test_setup(mask_holds_back_and_keeps, setup),
        cmocka_unit_test_setup(an_edge_counts_once_a_level_as_long_as_it_stands, setup),
        cmocka_unit_test_setup(elcr_refuses_the_edge_only_pins, setup),
        cmocka_unit_test_setup(a_level_that_went_away_is_spurious, setup),
        cmocka_unit_test_setup(automatic_eoi_and_rotation, setup),
        cmocka_unit_test_setup(rotation_by_command, setup),
        cmocka_unit_test_setup(special_mask_mode, setup),
        cmocka_unit_test_setup(poll_command, setup),
        cmocka_unit_test_setup(icw1_starts_afresh, setup),
        cmocka_unit_test_setup(special_fully_nested, setup),
        cmocka_unit_test_setup(every_byte_in_any_state_is_survived, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
