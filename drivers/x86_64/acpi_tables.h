/* The ACPI tables that Mote reads, as they lie in memory. ACPI 6.5, chapter 5; HPET: IA-PC HPET 1.0a, 3.2.4. */
#pragma once
#include "kernel/lib/types.h"

struct PACKED acpi_rsdp { /* 5.2.5.3 */
    char signature[8];
    u8 checksum;
    char oem_id[6];
    u8 revision;
    u32 rsdt;
    u32 length; /* from revision 2 on */
    u64 xsdt;
    u8 extended_checksum;
    u8 reserved[3];
};
#define ACPI_RSDP_V1_LEN 20U
_Static_assert(offsetof(struct acpi_rsdp, rsdt) == 16, "5.2.5.3");
_Static_assert(offsetof(struct acpi_rsdp, length) == ACPI_RSDP_V1_LEN, "5.2.5.3");
_Static_assert(offsetof(struct acpi_rsdp, xsdt) == 24, "5.2.5.3");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "5.2.5.3");

struct PACKED acpi_header { /* 5.2.6 */
    char signature[4];
    u32 length;
    u8 revision;
    u8 checksum;
    char oem_id[6];
    char oem_table_id[8];
    u32 oem_revision;
    char creator_id[4];
    u32 creator_revision;
};
_Static_assert(sizeof(struct acpi_header) == 36, "5.2.6");

struct PACKED acpi_gas { /* 5.2.3.2 */
    u8 space;
    u8 bit_width;
    u8 bit_offset;
    u8 access_size;
    u64 address;
};
_Static_assert(sizeof(struct acpi_gas) == 12, "5.2.3.2");
#define ACPI_SPACE_MEMORY 0U
#define ACPI_SPACE_IO 1U

struct PACKED acpi_fadt { /* 5.2.9 */
    struct acpi_header header;
    u32 firmware_ctrl;
    u32 dsdt;
    u8 reserved1;
    u8 preferred_pm_profile;
    u16 sci_int;
    u32 smi_cmd;
    u8 acpi_enable;
    u8 acpi_disable;
    u8 s4bios_req;
    u8 pstate_cnt;
    u32 pm1a_evt_blk, pm1b_evt_blk, pm1a_cnt_blk, pm1b_cnt_blk, pm2_cnt_blk, pm_tmr_blk, gpe0_blk, gpe1_blk;
    u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_blk_len, gpe1_blk_len, gpe1_base, cst_cnt;
    u16 p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
    u8 duty_offset, duty_width, day_alrm, mon_alrm, century;
    u16 iapc_boot_arch;
    u8 reserved2;
    u32 flags;
    struct acpi_gas reset_reg;
    u8 reset_value;
    u16 arm_boot_arch;
    u8 minor_version;
    u64 x_firmware_ctrl;
    u64 x_dsdt;
    struct acpi_gas x_pm1a_evt_blk, x_pm1b_evt_blk, x_pm1a_cnt_blk, x_pm1b_cnt_blk, x_pm2_cnt_blk, x_pm_tmr_blk;
};
_Static_assert(offsetof(struct acpi_fadt, smi_cmd) == 48, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, pm1a_cnt_blk) == 64, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, pm_tmr_blk) == 76, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, pm_tmr_len) == 91, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, century) == 108, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, reset_reg) == 116, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_pm1a_cnt_blk) == 172, "5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_pm_tmr_blk) == 208, "5.2.9");
#define ACPI_FADT_V1_LEN 116U
#define ACPI_FADT_TMR_VAL_EXT BIT32(8)
#define ACPI_FADT_RESET_REG_SUP BIT32(10)
#define ACPI_PM1_SCI_EN BIT32(0)
#define ACPI_PM1_SLP_TYP GENMASK(12, 10)
#define ACPI_PM1_SLP_EN BIT32(13)

struct PACKED acpi_madt { /* 5.2.12 */
    struct acpi_header header;
    u32 lapic_address;
    u32 flags;
};
_Static_assert(sizeof(struct acpi_madt) == 44, "5.2.12");
#define ACPI_MADT_PCAT_COMPAT BIT32(0)

enum { ACPI_MADT_LAPIC = 0, ACPI_MADT_IOAPIC = 1, ACPI_MADT_OVERRIDE = 2, ACPI_MADT_LAPIC_ADDRESS = 5,
       ACPI_MADT_X2APIC = 9 };

struct PACKED acpi_madt_entry {
    u8 type;
    u8 length;
};

struct PACKED acpi_madt_lapic { /* 5.2.12.2 */
    struct acpi_madt_entry entry;
    u8 uid;
    u8 id;
    u32 flags;
};
_Static_assert(sizeof(struct acpi_madt_lapic) == 8, "5.2.12.2");
#define ACPI_MADT_ENABLED BIT32(0)

struct PACKED acpi_madt_ioapic { /* 5.2.12.3 */
    struct acpi_madt_entry entry;
    u8 id;
    u8 reserved;
    u32 address;
    u32 gsi_base;
};
_Static_assert(sizeof(struct acpi_madt_ioapic) == 12, "5.2.12.3");

struct PACKED acpi_madt_override { /* 5.2.12.5 */
    struct acpi_madt_entry entry;
    u8 bus;
    u8 source;
    u32 gsi;
    u16 flags;
};
_Static_assert(sizeof(struct acpi_madt_override) == 10, "5.2.12.5");
#define ACPI_MPS_POLARITY GENMASK(1, 0)
#define ACPI_MPS_TRIGGER GENMASK(3, 2)
enum { ACPI_MPS_ACTIVE_LOW = 3, ACPI_MPS_LEVEL = 3 };

struct PACKED acpi_madt_lapic_address { /* 5.2.12.8 */
    struct acpi_madt_entry entry;
    u16 reserved;
    u64 address;
};
_Static_assert(sizeof(struct acpi_madt_lapic_address) == 12, "5.2.12.8");

struct PACKED acpi_madt_x2apic { /* 5.2.12.12 */
    struct acpi_madt_entry entry;
    u16 reserved;
    u32 id;
    u32 flags;
    u32 uid;
};
_Static_assert(sizeof(struct acpi_madt_x2apic) == 16, "5.2.12.12");

struct PACKED acpi_hpet {
    struct acpi_header header;
    u32 block_id;
    struct acpi_gas base;
    u8 number;
    u16 min_tick;
    u8 protection;
};
_Static_assert(sizeof(struct acpi_hpet) == 56, "HPET 3.2.4");
