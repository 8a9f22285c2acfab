/* Soft-off and reset by ACPI 6.5 (4.8.3.2, 4.8.3.6, 7.4.2), then the older resets of the PC. */
#include "drivers/x86_64/power.h"
#include "kernel/lib/string.h"
#include "kernel/power.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/pio.h"
#include "mm/kmap.h"
#include <arch/cpu.h>

#define ENABLE_SPINS 1000000U
#define SETTLE_SPINS 10000000U
#define RESET_CONTROL_PORT 0xCF9U
#define RESET_CONTROL_HARD 0x02U
#define RESET_CONTROL_GO 0x06U
#define KBC_STATUS_PORT 0x64U
#define KBC_INPUT_FULL 0x02U
#define KBC_PULSE_RESET 0xFEU
#define KBC_SPINS 100000U

static const struct acpi_info *machine;

static void settle(void)
{
    for (u32 i = 0; i < SETTLE_SPINS; i++) {
        arch_cpu_relax();
    }
}

/* The DSDT is mapped and searched only when the machine is to be switched off: it is long. */
static int find_sleep_types(u8 *typ_a, u8 *typ_b)
{
    const struct acpi_header *dsdt = machine->dsdt != 0 ? kmap_firmware(HPA(machine->dsdt), sizeof(*dsdt)) : NULL;

    if (dsdt == NULL || memcmp(dsdt->signature, "DSDT", sizeof(dsdt->signature)) != 0 ||
        dsdt->length > ACPI_TABLE_MAX) {
        return -E_NOENT;
    }
    u32 length = dsdt->length;
    const u8 *aml = kmap_firmware(HPA(machine->dsdt), length);
    return aml != NULL ? acpi_find_s5(aml, length, typ_a, typ_b) : -E_NOENT;
}

/* Leave legacy mode: the sleep registers belong to the SMM code before. */
static void enable_acpi(void)
{
    if (machine->smi_cmd == 0 || machine->acpi_enable == 0 ||
        (pio_read16(machine->pm1a_cnt) & ACPI_PM1_SCI_EN) != 0) {
        return;
    }
    pio_write8(machine->smi_cmd, machine->acpi_enable);
    for (u32 i = 0; i < ENABLE_SPINS && (pio_read16(machine->pm1a_cnt) & ACPI_PM1_SCI_EN) == 0; i++) {
        arch_cpu_relax();
    }
}

static void sleep_s5(u16 port, u8 typ)
{
    u16 value = (u16)(pio_read16(port) & ~(ACPI_PM1_SLP_TYP | ACPI_PM1_SLP_EN));

    pio_write16(port, (u16)(value | FIELD_PREP(ACPI_PM1_SLP_TYP, typ) | ACPI_PM1_SLP_EN));
}

static void soft_off(enum power_action action, u32 code)
{
    u8 typ_a, typ_b;

    (void)code;
    if ((action != POWER_OFF && action != POWER_EXIT) || machine->pm1a_cnt == 0 ||
        find_sleep_types(&typ_a, &typ_b) != 0) {
        return;
    }
    enable_acpi();
    sleep_s5(machine->pm1a_cnt, typ_a);
    if (machine->pm1b_cnt != 0) {
        sleep_s5(machine->pm1b_cnt, typ_b);
    }
    settle();
}

static void reset_register(enum power_action action, u32 code)
{
    (void)code;
    if (action != POWER_REBOOT || !machine->reset_supported) {
        return;
    }
    if (machine->reset_reg.space == ACPI_SPACE_IO && machine->reset_reg.address <= UINT16_MAX) {
        pio_write8((u16)machine->reset_reg.address, machine->reset_value);
    } else if (machine->reset_reg.space == ACPI_SPACE_MEMORY) {
        volatile u8 *reg = (volatile u8 *)kmap_device(HPA(machine->reset_reg.address), 1);
        if (reg != NULL) {
            *reg = machine->reset_value;
        }
    }
    settle();
}

static void reset_chipset(enum power_action action, u32 code)
{
    (void)code;
    if (action == POWER_REBOOT) {
        pio_write8(RESET_CONTROL_PORT, RESET_CONTROL_HARD);
        pio_write8(RESET_CONTROL_PORT, RESET_CONTROL_GO);
        settle();
    }
}

static void reset_keyboard_controller(enum power_action action, u32 code)
{
    (void)code;
    if (action != POWER_REBOOT) {
        return;
    }
    for (u32 i = 0; i < KBC_SPINS && (pio_read8(KBC_STATUS_PORT) & KBC_INPUT_FULL) != 0; i++) {
        arch_cpu_relax();
    }
    pio_write8(KBC_STATUS_PORT, KBC_PULSE_RESET);
    settle();
}

/* An interrupt without an IDT shuts the CPU down, and chipsets answer that with a reset. */
static void reset_triple_fault(enum power_action action, u32 code)
{
    static const struct descriptor_ptr none = {0, 0};

    (void)code;
    if (action == POWER_REBOOT) {
        lidt(&none);
        __asm__ volatile("int3");
    }
}

void power_acpi_init(const struct acpi_info *info)
{
    static struct power_way ways[] = {
        {.name = "acpi-s5", .act = soft_off},
        {.name = "acpi-reset", .act = reset_register},
        {.name = "cf9", .act = reset_chipset},
        {.name = "keyboard-controller", .act = reset_keyboard_controller},
        {.name = "triple-fault", .act = reset_triple_fault},
    };

    machine = info;
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        power_add_way(&ways[i]);
    }
}
