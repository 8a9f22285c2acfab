/* units: tests/unit/dev_host.c vm/dev/x86_64/pciconf.c vm/dev/x86_64/reset.c vm/dev/x86_64/keyboard.c vm/bus.c */
/* PCI configuration mechanism 1, and the small system ports that can reset the machine. */
#include "tests/unit/dev_host.h"
#include "kernel/lib/errno.h"
#include "vm/dev/x86_64/pciconf.h"
#include "vm/dev/x86_64/reset.h"

static struct pciconf pci;
static struct reset_ports ports;
static unsigned resets;
static struct dev_wire wire;

static void reset(void *ctx)
{
    assert_ptr_equal(ctx, &resets);
    resets++;
}

static int setup(void **state)
{
    (void)dev_setup(state);
    resets = 0;
    wire = (struct dev_wire){0};
    const struct irqline irq = dev_line(&wire);
    reset_ports_init(&ports, &irq, reset, &resets);
    pciconf_init(&pci, reset_control_port, &ports);
    return reset_ports_attach(&ports, &dev_pio) != 0 ? -1 : pciconf_attach(&pci, &dev_pio);
}

static u32 config(u32 address, u16 offset, u8 size)
{
    dev_out(0xCF8, 4, address);
    return dev_in((u16)(0xCFC + offset), size);
}

static void address_register_keeps_what_is_defined(void **state)
{
    (void)state;
    dev_out(0xCF8, 4, 0xFFFFFFFF);
    assert_int_equal(dev_in(0xCF8, 4), 0x80FFFFFC);
    dev_out(0xCF8, 1, 0); /* bytes and words pass it by */
    dev_out(0xCFA, 2, 0);
    assert_int_equal(dev_in(0xCF8, 4), 0x80FFFFFC);
    assert_int_equal(dev_in(0xCF8, 1), 0xFF);
    dev_out(0xCF8, 4, 0x80000000);
    assert_int_equal(dev_in(0xCF8, 4), 0x80000000);
}

static void only_the_host_bridge_is_there(void **state)
{
    (void)state;
    assert_int_equal(config(0x80000000, 0, 4), 0x12378086);
    assert_int_equal(config(0x80000000, 0, 2), 0x8086);
    assert_int_equal(config(0x80000000, 2, 2), 0x1237);
    assert_int_equal(config(0x80000008, 0, 4), 0x06000002);
    assert_int_equal(config(0x80000008, 2, 2), 0x0600);
    assert_int_equal(config(0x80000008, 3, 1), 0x06);
    assert_int_equal(config(0x8000000C, 2, 1), 0); /* header type 0, one function */
    assert_int_equal(config(0x00000000, 0, 4), 0xFFFFFFFF); /* not enabled */
    for (u32 function = 1; function < 0x10000; function++) {
        if (config(0x80000000 | function << 8, 0, 4) != 0xFFFFFFFF) {
            fail_msg("function %x answers", function);
        }
    }
}

static void the_bridge_cannot_be_written(void **state)
{
    (void)state;
    for (u32 reg = 0; reg < 256; reg += 4) {
        u32 before = config(0x80000000 | reg, 0, 4);
        dev_out(0xCFC, 4, 0xFFFFFFFF);
        assert_int_equal(config(0x80000000 | reg, 0, 4), before);
    }
}

static void functions_that_were_added(void **state)
{
    static const struct pci_register more[] = {
        {PCI_FUNCTION(2, 1), 0x00, 0x00011234, 0}, {PCI_FUNCTION(2, 1), 0x40, 0xA0B0C0D0, 0x00FF0F00},
    };
    static const struct pci_register many[PCICONF_REGISTERS_MAX];

    (void)state;
    assert_int_equal(pciconf_add(&pci, more, 2), 0);
    assert_int_equal(config(0x80001100, 0, 4), 0x00011234);
    assert_int_equal(config(0x8000113C, 0, 4), 0);
    assert_int_equal(config(0x80001140, 0, 4), 0xA0B0C0D0);
    dev_out(0xCFC, 4, 0xFFFFFFFF);
    assert_int_equal(config(0x80001140, 0, 4), 0xA0FFCFD0);
    dev_out(0xCFE, 1, 0x12);
    assert_int_equal(config(0x80001140, 0, 4), 0xA012CFD0);
    dev_out(0xCFD, 2, 0x3400); /* bits of both bytes, of which one can change */
    assert_int_equal(config(0x80001140, 0, 4), 0xA034C0D0);
    assert_int_equal(config(0x80001140, 1, 2), 0x34C0);
    assert_int_equal(pciconf_read(&pci, PCI_FUNCTION(2, 1), 0x40), 0xA034C0D0);
    assert_int_equal(pciconf_read(&pci, PCI_FUNCTION(2, 1), 0x44), 0);
    assert_int_equal(pciconf_read(&pci, PCI_FUNCTION(2, 0), 0x40), 0xFFFFFFFF);
    dev_out(0xCF8, 4, 0x00001140); /* not enabled */
    dev_out(0xCFC, 4, 0);
    assert_int_equal(config(0x80001140, 0, 4), 0xA034C0D0);
    assert_int_equal(config(0x80001000, 0, 4), 0xFFFFFFFF);
    assert_int_equal(config(0x80000000, 0, 4), 0x12378086);
    assert_int_equal(pciconf_add(&pci, many, PCICONF_REGISTERS_MAX), -E_NOMEM);
}

static void each_reset_path_resets_once(void **state)
{
    static const struct { u16 port; u8 values[3]; u8 count; } rows[] = {
        {0x64, {0xFE}, 1}, {0x64, {0xF0}, 1}, {0x92, {0x00, 0x01}, 2}, {0xCF9, {0x02, 0x06}, 2}, {0xCF9, {0x00, 0x0E}, 2},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        (void)setup(state);
        for (u8 k = 0; k < rows[i].count; k++) {
            assert_int_equal(resets, 0);
            outb(rows[i].port, rows[i].values[k]);
        }
        if (resets != 1) {
            fail_msg("row %zu: %u resets", i, resets);
        }
    }
    (void)setup(state);
    outb(0x64, 0xD1); /* the controller's output port, bit 0 low */
    outb(0x60, 0xFE);
    assert_int_equal(resets, 1);
}

static void harmless_values_do_not_reset(void **state)
{
    (void)state;
    outb(0x64, 0xFF); /* pulses nothing */
    outb(0x64, 0xD1);
    outb(0x60, 0xDF); /* the A20 idiom */
    outb(0x92, 0x02);
    outb(0xCF9, 0x02);
    outb(0x60, 0xFE); /* a byte for the keyboard */
    assert_int_equal(resets, 0);
    assert_int_equal(inb(0x92) & 2, 2);
    assert_int_equal(inb(0xCF9), 2);
}

static u8 command(u8 value)
{
    outb(0x64, value);
    assert_int_equal(inb(0x64) & 1, 1);
    return inb(0x60);
}

static void keyboard_controller_answers(void **state)
{
    (void)state;
    assert_int_equal(inb(0x64) & 3, 0); /* nothing to read, ready for a command */
    assert_int_equal(command(0xAA), 0x55);
    assert_int_equal(inb(0x64) & 1, 0);
    assert_int_equal(command(0xAB), 0);
    assert_int_not_equal(command(0xA9), 0); /* no mouse port */
    assert_int_equal(command(0xD0) & 3, 3);
    outb(0x64, 0x60);
    outb(0x60, 0x47);
    assert_int_equal(command(0x20), 0x47);
    outb(0x64, 0xAD);
    assert_int_equal(command(0x20), 0x57);
    outb(0x64, 0xAE);
    assert_int_equal(command(0x20), 0x47);
}

/* A byte to the keyboard; its answer is these bytes and no more. */
static void keyboard_says(u8 byte, const char *answer, size_t len)
{
    outb(0x60, byte);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(inb(0x64) & 1, 1);
        assert_int_equal(inb(0x60), (u8)answer[i]);
    }
    assert_int_equal(inb(0x64) & 1, 0);
}

static void keyboard_answers(void **state)
{
    (void)state;
    keyboard_says(0xFF, "\xFA\xAA", 2);
    keyboard_says(0xF2, "\xFA\xAB\x83", 3);
    keyboard_says(0xEE, "\xEE", 1);
    keyboard_says(0xED, "\xFA", 1);
    keyboard_says(0x07, "\xFA", 1);
    keyboard_says(0xF0, "\xFA", 1);
    keyboard_says(0x00, "\xFA\x02", 2);
    keyboard_says(0xF4, "\xFA", 1);
    keyboard_says(0x07, "\xFE", 1); /* no command, and none that waits */
    keyboard_says(0xF3, "\xFA", 1);
    keyboard_says(0xF5, "\xFA", 1); /* a command instead of the parameter */
    keyboard_says(0x20, "\xFE", 1);
    outb(0x64, 0xD4); /* for the mouse, and there is none */
    keyboard_says(0xFF, "", 0);
}

static void each_byte_interrupts(void **state)
{
    (void)state;
    keyboard_says(0xF2, "\xFA\xAB\x83", 3);
    assert_int_equal(wire.rises, 0); /* not enabled */
    outb(0x64, 0x60);
    outb(0x60, 0x45);
    assert_int_equal(wire.rises, 0);
    keyboard_says(0xF2, "\xFA\xAB\x83", 3);
    assert_int_equal(wire.rises, 3);
    assert_false(wire.level);
}

static void every_value_is_survived(void **state)
{
    static const u16 all[] = {0x60, 0x64, 0x92, 0xCF8, 0xCF9, 0xCFA, 0xCFB, 0xCFC, 0xCFF};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        for (u32 value = 0; value < 256; value++) {
            outb(all[i], (u8)value);
            (void)inb(all[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(address_register_keeps_what_is_defined, setup),
        cmocka_unit_test_setup(only_the_host_bridge_is_there, setup),
        cmocka_unit_test_setup(the_bridge_cannot_be_written, setup),
        cmocka_unit_test_setup(functions_that_were_added, setup),
        cmocka_unit_test_setup(each_reset_path_resets_once, setup),
        cmocka_unit_test_setup(harmless_values_do_not_reset, setup),
        cmocka_unit_test_setup(keyboard_controller_answers, setup),
        cmocka_unit_test_setup(keyboard_answers, setup),
        cmocka_unit_test_setup(each_byte_interrupts, setup),
        cmocka_unit_test_setup(every_value_is_survived, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
