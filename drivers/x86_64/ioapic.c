#include "drivers/x86_64/ioapic.h"
#include "drivers/x86_64/lapic.h"
#include "kernel/base/lock.h"
#include "kernel/base/log.h"
#include "kernel/lib/errno.h"
#include "mm/kmap.h"

#define IOAPIC_LEN KIB(4)
#define IOAPIC_REGSEL 0x00U
#define IOAPIC_WINDOW 0x10U
#define IOAPIC_VERSION 0x01U
#define IOAPIC_VERSION_MAX_ENTRY GENMASK(23, 16)
#define IOAPIC_VERSION_ABSENT 0xFFFFFFFFU
#define IOAPIC_ENTRY_LOW(line) (0x10U + 2 * (line))
#define IOAPIC_ENTRY_HIGH(line) (0x11U + 2 * (line))
#define ENTRY_ACTIVE_LOW BIT32(13)
#define ENTRY_LEVEL BIT32(15)
#define ENTRY_MASKED BIT32(16)
#define ENTRY_DESTINATION GENMASK(31, 24) /* of the high half: physical mode */
#define DESTINATION_MAX 0xFEU

struct ioapic {
    volatile u8 *regs;
    u32 gsi_base;
    u32 lines;
};

static struct ioapic chips[ACPI_IOAPICS_MAX];
static u32 chip_count;
static struct spinlock lock = SPINLOCK_INIT; /* protects the register window of all chips */

static u32 read_reg(const struct ioapic *chip, u32 reg)
{
    *(volatile u32 *)(volatile void *)(chip->regs + IOAPIC_REGSEL) = reg;
    return *(volatile u32 *)(volatile void *)(chip->regs + IOAPIC_WINDOW);
}

static void write_reg(const struct ioapic *chip, u32 reg, u32 value)
{
    *(volatile u32 *)(volatile void *)(chip->regs + IOAPIC_REGSEL) = reg;
    *(volatile u32 *)(volatile void *)(chip->regs + IOAPIC_WINDOW) = value;
}

static void add_chip(const struct acpi_ioapic_info *info)
{
    struct ioapic *chip = &chips[chip_count];

    chip->regs = (volatile u8 *)kmap_device(HPA(info->address), IOAPIC_LEN);
    chip->gsi_base = info->gsi_base;
    u32 version = chip->regs != NULL ? read_reg(chip, IOAPIC_VERSION) : IOAPIC_VERSION_ABSENT;
    if (version == IOAPIC_VERSION_ABSENT) {
        log_warn("ioapic=%u address=0x%llx unusable", info->id, (unsigned long long)info->address);
        return;
    }
    chip->lines = (u32)FIELD_GET(IOAPIC_VERSION_MAX_ENTRY, version) + 1;
    for (u32 line = 0; line < chip->lines; line++) {
        write_reg(chip, IOAPIC_ENTRY_LOW(line), ENTRY_MASKED);
    }
    chip_count++;
}

void ioapic_init(const struct acpi_info *info)
{
    for (u32 i = 0; i < info->ioapic_count; i++) {
        add_chip(&info->ioapics[i]);
    }
}

static const struct ioapic *chip_of(u32 gsi)
{
    for (u32 i = 0; i < chip_count; i++) {
        if (range_contains(chips[i].gsi_base, chips[i].lines, gsi, 1)) {
            return &chips[i];
        }
    }
    return NULL;
}

int ioapic_enable_line(u32 gsi, u32 vector, bool level, bool active_low)
{
    const struct ioapic *chip = chip_of(gsi);
    u32 destination = lapic_id();

    if (chip == NULL || destination > DESTINATION_MAX) {
        return -E_NOSYS;
    }
    u32 line = gsi - chip->gsi_base;
    u64 flags = spin_lock(&lock);
    write_reg(chip, IOAPIC_ENTRY_LOW(line), ENTRY_MASKED);
    write_reg(chip, IOAPIC_ENTRY_HIGH(line), (u32)FIELD_PREP(ENTRY_DESTINATION, destination));
    write_reg(chip, IOAPIC_ENTRY_LOW(line), vector | (level ? ENTRY_LEVEL : 0) | (active_low ? ENTRY_ACTIVE_LOW : 0));
    spin_unlock(&lock, flags);
    return 0;
}
