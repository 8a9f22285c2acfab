/* Reading ACPI tables: pure, bounded, never trusting a length or a pointer. Unit-tested and fuzzed on the host. */
#pragma once
#include "drivers/x86_64/acpi_tables.h"
#include "kernel/lib/cpuset.h"
#include "kernel/lib/types.h"

#define ACPI_IOAPICS_MAX 16U
#define ACPI_ISA_IRQS 16U
#define ACPI_TABLE_MAX MIB(1)

struct acpi_irq {
    u32 gsi;
    bool level, active_low;
};

struct acpi_ioapic_info {
    u32 id;
    u64 address;
    u32 gsi_base;
};

struct acpi_info {
    u32 cpu_ids[CPU_MAX]; /* local APIC ids of enabled CPUs, each once, in table order */
    u32 cpu_count;
    u32 cpus_disabled;
    u32 cpus_dropped; /* enabled, but beyond CPU_MAX */
    struct acpi_ioapic_info ioapics[ACPI_IOAPICS_MAX];
    u32 ioapic_count;
    struct acpi_irq isa[ACPI_ISA_IRQS];
    u64 lapic_address; /* 0: the tables gave none */
    bool has_pic;      /* an 8259 pair exists */
    u16 pm_timer_port; /* 0: none */
    bool pm_timer_32;  /* 32 bits wide, else 24 */
    u16 pm1a_cnt, pm1b_cnt;
    u16 smi_cmd;
    u8 acpi_enable;
    bool reset_supported;
    struct acpi_gas reset_reg;
    u8 reset_value;
    u8 century_index; /* CMOS index, 0: none */
    u64 dsdt;         /* physical, 0: none */
    u64 hpet;         /* physical, 0: none */
};

/* How the parser reaches physical memory: len bytes at pa, readable for ever, or NULL. */
struct acpi_memory {
    const void *(*map)(void *ctx, u64 pa, u64 len);
    void *ctx;
};

/* Set what holds without any table: ISA lines identity-mapped, an 8259 present. */
void acpi_info_default(struct acpi_info *info);

/* Is this a valid RSDP (signature, checksums)? len bytes are readable. */
bool acpi_rsdp_valid(const void *rsdp, size_t len);

/* Walk from a valid RSDP through XSDT or RSDT; fill info from MADT, FADT and HPET. Returns the number of tables among
 * these that were used; bad ones are passed over and counted in *bad. */
u32 acpi_parse(const void *rsdp, size_t len, const struct acpi_memory *memory, struct acpi_info *info, u32 *bad);

/* SLP_TYPa and SLP_TYPb of S5 from the DSDT's bytes (the _S5 package, ACPI 7.4.2; AML encoding 20.2.4, 20.2.5).
 * Returns 0 or -E_NOENT. */
MUST_CHECK int acpi_find_s5(const u8 *aml, size_t len, u8 *typ_a, u8 *typ_b);
