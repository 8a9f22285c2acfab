#include "drivers/x86_64/acpi.h"
#include "kernel/base/log.h"
#include "kernel/lib/string.h"
#include "mm/kmap.h"

/* Where a BIOS puts the RSDP: ACPI 6.5, 5.2.5.1. */
#define BIOS_EBDA_SEGMENT 0x40EU
#define BIOS_LOW_LEN KIB(4)
#define EBDA_SCAN_LEN KIB(1)
#define EBDA_LOWEST KIB(512)
#define EBDA_HIGHEST (KIB(640) - EBDA_SCAN_LEN)
#define BIOS_SCAN_BASE 0xE0000U
#define BIOS_SCAN_LEN KIB(128)
#define RSDP_ALIGN 16U
#define REAL_SEGMENT_SHIFT 4U

static struct acpi_info machine;

static const void *map_firmware(void *ctx, u64 pa, u64 len)
{
    (void)ctx;
    return pa + len >= pa ? kmap_firmware(HPA(pa), len) : NULL;
}

static const void *scan(u64 base, u64 len)
{
    const u8 *bytes = kmap_firmware(HPA(base), len);

    for (u64 at = 0; bytes != NULL && at + sizeof(struct acpi_rsdp) <= len; at += RSDP_ALIGN) {
        if (acpi_rsdp_valid(bytes + at, sizeof(struct acpi_rsdp))) {
            return bytes + at;
        }
    }
    return NULL;
}

static const void *scan_ebda(void)
{
    u16 segment;
    const u8 *low = kmap_firmware(HPA(0), BIOS_LOW_LEN);

    if (low == NULL) {
        return NULL;
    }
    memcpy(&segment, low + BIOS_EBDA_SEGMENT, sizeof(segment));
    u64 base = (u64)segment << REAL_SEGMENT_SHIFT;
    return base >= EBDA_LOWEST && base <= EBDA_HIGHEST ? scan(base, EBDA_SCAN_LEN) : NULL;
}

/* The RSDP and how many of its bytes can be read. */
static const void *find_rsdp(const struct boot_info *info, size_t *len)
{
    *len = MIN((size_t)info->rsdp_len, sizeof(info->rsdp));
    if (acpi_rsdp_valid(info->rsdp, *len)) {
        return info->rsdp;
    }
    if (info->efi) {
        return NULL;
    }
    *len = sizeof(struct acpi_rsdp);
    const void *found = scan_ebda();
    return found != NULL ? found : scan(BIOS_SCAN_BASE, BIOS_SCAN_LEN);
}

void acpi_init(const struct boot_info *info)
{
    const struct acpi_memory memory = {.map = map_firmware};
    size_t len;
    u32 bad = 0;

    acpi_info_default(&machine);
    const void *rsdp = find_rsdp(info, &len);
    if (rsdp == NULL) {
        log_warn("acpi=none: one CPU, no interrupt lines");
        return;
    }
    u32 used = acpi_parse(rsdp, len, &memory, &machine, &bad);
    if (bad != 0) {
        log_warn("acpi tables-used=%u tables-bad=%u", used, bad);
    }
    if (machine.cpu_count == 0) {
        log_warn("acpi madt=none: one CPU, no interrupt lines");
    }
    if (machine.cpus_dropped != 0) {
        log_warn("acpi cpus-dropped=%u max=%u", machine.cpus_dropped, CPU_MAX);
    }
    log_debug("acpi tables=%u cpus=%u disabled=%u ioapics=%u", used, machine.cpu_count, machine.cpus_disabled,
              machine.ioapic_count);
}

const struct acpi_info *acpi_info(void)
{
    return &machine;
}

struct acpi_irq acpi_isa_irq(u32 irq)
{
    return machine.isa[irq % ACPI_ISA_IRQS];
}
