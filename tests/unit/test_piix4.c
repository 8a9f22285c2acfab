/* units: tests/unit/dev_host.c vm/dev/x86_64/piix4.c vm/dev/x86_64/pciconf.c vm/dev/x86_64/acpipm.c vm/bus.c */
/* The south bridge's functions, and power management where firmware puts it. */
#include "tests/unit/dev_host.h"
#include "vm/dev/x86_64/piix4.h"

#define ISA(reg) (0x80000800U | (reg))
#define PM(reg) (0x80000B00U | (reg))
#define OFF BIT32(13) /* of PM1 control: S5, now */

static struct pciconf pci;
static struct acpipm pm;
static struct piix4 piix4;
static struct dev_wire sci;
static unsigned offs;

static void power_off(void *ctx)
{
    assert_ptr_equal(ctx, &offs);
    offs++;
}

static void no_reset(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)device;
    (void)offset;
    (void)size;
    (void)write;
    (void)value;
    fail();
}

static void other_device(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)device;
    (void)size;
    (void)write;
    *value = 0x50 + offset;
}

static int setup(void **state)
{
    const struct bus_range other = {0x4008, 2, 1, other_device, NULL};

    (void)dev_setup(state);
    struct irqline line = dev_line(&sci);
    offs = 0;
    acpipm_init(&pm, &line, power_off, &offs);
    pciconf_init(&pci, no_reset, NULL);
    if (pciconf_attach(&pci, &dev_pio) != 0 || bus_add(&dev_pio, &other) != 0) {
        return -1;
    }
    return piix4_attach(&piix4, &pci, &pm, &dev_pio);
}

static u32 get(u32 address, u16 offset, u8 size)
{
    dev_out(0xCF8, 4, address);
    return dev_in((u16)(0xCFC + offset), size);
}

static void put(u32 address, u8 size, u32 value)
{
    dev_out(0xCF8, 4, address);
    dev_out(0xCFC, size, value);
}

static void functions_are_found(void **state)
{
    unsigned found = 0;

    (void)state;
    for (u32 function = 0; function < 0x10000; function++) {
        found += get(0x80000000 | function << 8, 0, 4) != 0xFFFFFFFF;
    }
    assert_int_equal(found, 3); /* the host bridge and these */
    assert_int_equal(get(ISA(0x00), 0, 4), 0x71108086);
    assert_int_equal(get(ISA(0x04), 0, 2) & 3, 3); /* I/O and memory are on */
    assert_int_equal(get(ISA(0x08), 2, 2), 0x0601);
    assert_int_equal(get(ISA(0x0C), 2, 1), 0x80); /* there are more functions */
    assert_int_equal(get(PM(0x00), 0, 4), 0x71138086);
    assert_int_equal(get(PM(0x08), 2, 2), 0x0680);
    assert_int_equal(get(PM(0x0C), 2, 1), 0);
    assert_int_equal(get(PM(0x58), 0, 4) & BIT32(25), BIT32(25)); /* nobody shall set up SMIs */
    for (u32 bar = 0x10; bar < 0x28; bar += 4) {
        put(ISA(bar), 4, 0xFFFFFFFF);
        put(PM(bar), 4, 0xFFFFFFFF);
        assert_int_equal(get(ISA(bar), 0, 4) | get(PM(bar), 0, 4), 0);
    }
}

static void what_can_be_written(void **state)
{
    (void)state;
    for (u32 reg = 0; reg < 256; reg += 4) {
        put(ISA(reg), 4, 0xFFFFFFFF);
        put(PM(reg), 4, 0xFFFFFFFF);
    }
    assert_int_equal(get(ISA(0x00), 0, 4), 0x71108086);
    assert_int_equal(get(ISA(0x60), 0, 4), 0x8F8F8F8F);
    assert_int_equal(get(PM(0x00), 0, 4), 0x71138086);
    assert_int_equal(get(PM(0x04), 0, 2), 1);
    assert_int_equal(get(PM(0x3C), 0, 2), 0x01FF);
    assert_int_equal(get(PM(0x40), 0, 4), 0xFFC1);
    assert_int_equal(get(PM(0x80), 0, 4), 1);
}

static void power_management_is_off_until_it_is_placed(void **state)
{
    (void)state;
    assert_int_equal(get(PM(0x40), 0, 4), 1);
    assert_int_equal(dev_in(ACPIPM_BASE + ACPIPM_TIMER, 4), 0xFFFFFFFF);
    assert_int_equal(dev_in(ACPIPM_TIMER, 4), 0xFFFFFFFF);
    put(PM(0x40), 4, 0xB001);
    assert_int_equal(dev_in(0xB008, 4), 0xFFFFFFFF);
    dev_out(0xB004, 2, OFF);
    assert_int_equal(offs, 0);
    put(PM(0x80), 1, 1);
    assert_int_equal(dev_in(0xB008, 4), 3579545); /* the tests begin at 1 s */
    assert_int_equal(dev_in(0xB009, 1), 3579545 >> 8 & 0xFF);
    assert_int_equal(dev_in(0xB00C, 4), 0xFFFFFFFF);
    assert_int_equal(dev_in(0xAFFF, 4), 0xFFFFFFFF);
    assert_int_equal(dev_in(0xB048, 4), 0xFFFFFFFF);
    dev_out(0xB002, 2, BIT32(8)); /* the power button's SCI */
    acpipm_press(&pm);
    assert_true(sci.level);
    assert_int_equal(dev_in(0xB000, 4), BIT32(8) | BIT32(8) << 16);
    dev_out(0xB004, 2, OFF);
    assert_int_equal(offs, 1);
}

static void it_moves(void **state)
{
    (void)state;
    put(PM(0x80), 1, 1);
    put(PM(0x40), 4, 0x4000);
    assert_int_equal(dev_in(0x4004, 2), 1); /* SCI_EN */
    assert_int_equal(dev_in(0x4008, 1), 0x50); /* another device's ports stay its own */
    put(PM(0x40), 2, 0xFFFF); /* the last block of all */
    assert_int_equal(dev_in(0x4004, 2), 0xFFFF);
    assert_int_equal(dev_in(0xFFC4, 2), 1);
    assert_int_equal(dev_in(0xFFC8, 4), 3579545);
    assert_int_equal(dev_in(0xFFFF, 1), 0xFF);
    put(PM(0x80), 1, 0);
    assert_int_equal(dev_in(0xFFC4, 2), 0xFFFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(functions_are_found, setup),
        cmocka_unit_test_setup(what_can_be_written, setup),
        cmocka_unit_test_setup(power_management_is_off_until_it_is_placed, setup),
        cmocka_unit_test_setup(it_moves, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
