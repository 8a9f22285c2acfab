#include "vm/board/x86_64/acpi.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"
#include "vm/abi.h"
#include "vm/board/x86_64/acpi_dsdt.h"
#include "vm/board/x86_64/irqchip.h"
#include "vm/dev/x86_64/acpipm.h"

/* ACPI 6.5, 5.2.6 "System Description Table Header". */
struct PACKED sdt_header {
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
_Static_assert(sizeof(struct sdt_header) == 36, "ACPI 6.5 table 5.4");

/* 5.2.5.3 "Root System Description Pointer (RSDP) Structure". */
struct PACKED rsdp {
    char signature[8];
    u8 checksum;
    char oem_id[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
    u8 extended_checksum;
    u8 reserved[3];
};
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6.5 table 5.3");

/* 5.2.3.2 "Generic Address Structure". */
struct PACKED gas {
    u8 space; /* 1 = system I/O */
    u8 bit_width;
    u8 bit_offset;
    u8 access_size;
    u64 address;
};
_Static_assert(sizeof(struct gas) == 12, "ACPI 6.5 table 5.1");

/* 5.2.9 "Fixed ACPI Description Table (FADT)", revision 6. */
struct PACKED fadt {
    struct sdt_header header;
    u32 firmware_ctrl, dsdt;
    u8 reserved0, preferred_pm_profile;
    u16 sci_int;
    u32 smi_cmd;
    u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
    u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst_cnt;
    u16 p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
    u8 duty_offset, duty_width, day_alarm, month_alarm, century;
    u16 iapc_boot_arch;
    u8 reserved1;
    u32 flags;
    struct gas reset_reg;
    u8 reset_value;
    u16 arm_boot_arch;
    u8 minor_version;
    u64 x_firmware_ctrl, x_dsdt;
    struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
    struct gas sleep_control, sleep_status;
    u64 hypervisor_vendor;
};
_Static_assert(offsetof(struct fadt, flags) == 112, "ACPI 6.5 table 5.9");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "ACPI 6.5 table 5.9");
_Static_assert(sizeof(struct fadt) == 276, "ACPI 6.5 table 5.9");

/* 5.2.10 "Firmware ACPI Control Structure (FACS)". */
struct PACKED facs {
    char signature[4];
    u32 length;
    u8 rest[56];
};
_Static_assert(sizeof(struct facs) == 64, "ACPI 6.5 table 5.12");

/* 5.2.12 "Multiple APIC Description Table (MADT)" and its entries' types 0, 1, 2, 4. */
struct PACKED madt_lapic {
    u8 type, length, processor, apic_id;
    u32 flags;
};
_Static_assert(sizeof(struct madt_lapic) == 8, "ACPI 6.5 table 5.21");

struct PACKED madt_fixed {
    struct sdt_header header;
    u32 lapic_address, flags;
    struct PACKED {
        u8 type, length, id, reserved;
        u32 address, gsi_base;
    } ioapic;
    struct PACKED madt_override {
        u8 type, length, bus, source;
        u32 gsi;
        u16 flags;
    } pit, sci;
    struct PACKED {
        u8 type, length, processor;
        u16 flags;
        u8 lint;
    } nmi;
};
_Static_assert(sizeof(struct madt_fixed) == 82, "ACPI 6.5 tables 5.19, 5.24, 5.26, 5.30");

struct PACKED madt {
    struct madt_fixed fixed;
    struct madt_lapic lapic[VM_VCPUS_MAX];
};

/* "Hardware Watchdog Timers Design Specification" (Microsoft, 2006), the table WDAT: what to write and read for each action. */
struct PACKED wdat_action {
    u8 action, instruction;
    u16 reserved;
    struct gas at;
    u32 value, mask;
};
_Static_assert(sizeof(struct wdat_action) == 24, "WDAT, watchdog instruction entry");

enum { WDAT_RESET = 1, WDAT_CURRENT_COUNTDOWN = 4, WDAT_COUNTDOWN = 5, WDAT_SET_COUNTDOWN = 6,
       WDAT_IS_RUNNING = 8, WDAT_SET_RUNNING = 9 };
enum { WDAT_READ_VALUE = 0, WDAT_READ_COUNTDOWN = 1, WDAT_WRITE_VALUE = 2, WDAT_WRITE_COUNTDOWN = 3 };
#define WDAT_ACTIONS 6U
#define WDAT_ENABLED 0x01U
#define WDAT_NO_PCI 0xFFU

struct PACKED wdat {
    struct sdt_header header;
    u32 header_length;
    u16 pci_segment;
    u8 pci_bus, pci_device, pci_function, reserved0[3];
    u32 period_ms, max_count, min_count;
    u8 flags, reserved1[3];
    u32 count;
    struct wdat_action actions[WDAT_ACTIONS];
};
_Static_assert(offsetof(struct wdat, actions) == 68, "WDAT, header");

#define MADT_LAPIC 0U
#define MADT_IOAPIC 1U
#define MADT_OVERRIDE 2U
#define MADT_LAPIC_NMI 4U
#define MADT_PCAT_COMPAT BIT32(0)
#define MADT_ENABLED BIT32(0)
#define MADT_ALL_PROCESSORS 0xFFU
#define MADT_REVISION 5U
#define INTI_ACTIVE_HIGH 0x1U
#define INTI_LEVEL 0xCU
#define LINT_NMI 1U
#define GAS_IO 1U
#define FADT_REVISION 6U
#define FLAG_WBINVD BIT32(0)
#define FLAG_PROC_C1 BIT32(2)
#define FLAG_SLP_BUTTON BIT32(5) /* no fixed sleep button */
#define FLAG_TMR_VAL_EXT BIT32(8)
#define FLAG_RESET_REG_SUP BIT32(10)
#define BOOT_ARCH_LEGACY_DEVICES BIT32(0)
#define BOOT_ARCH_NO_VGA BIT32(2)
#define RESET_PORT 0xCF9U
#define RESET_VALUE 0x06U
#define CMOS_CENTURY 50U
#define UNSUPPORTED_C2 101U
#define UNSUPPORTED_C3 1001U

enum { RSDP_AT = 0, XSDT_AT = 64, FADT_AT = 128, FACS_AT = 448, MADT_AT = 512, WDAT_AT = 1024, DSDT_AT = 1280 };
_Static_assert(MADT_AT + sizeof(struct madt) <= WDAT_AT && WDAT_AT + sizeof(struct wdat) <= DSDT_AT, "the tables do not overlap");

static u8 checksum(const void *data, size_t len)
{
    const u8 *bytes = data;
    u8 sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum = (u8)(sum + bytes[i]);
    }
    return (u8)-sum;
}

static struct sdt_header header(const char *signature, size_t length, u8 revision)
{
    struct sdt_header h = {.length = (u32)length, .revision = revision, .oem_revision = 1, .creator_revision = 1};

    memcpy(h.signature, signature, sizeof(h.signature));
    memcpy(h.oem_id, "MOTE  ", sizeof(h.oem_id));
    memcpy(h.oem_table_id, "MOTE-PC ", sizeof(h.oem_table_id));
    memcpy(h.creator_id, "MOTE", sizeof(h.creator_id));
    return h;
}

static struct gas io_register(u64 port, u8 bits)
{
    return (struct gas){.space = GAS_IO, .bit_width = bits, .access_size = bits == 8 ? 1 : bits == 16 ? 2 : 3, .address = port};
}

static struct fadt build_fadt(u64 base)
{
    struct fadt f = {
        .header = header("FACP", sizeof(f), FADT_REVISION),
        .firmware_ctrl = (u32)base + FACS_AT,
        .dsdt = (u32)base + DSDT_AT,
        .sci_int = ACPIPM_SCI,
        .pm1a_evt = ACPIPM_BASE + ACPIPM_EVENT,
        .pm1a_cnt = ACPIPM_BASE + ACPIPM_CONTROL,
        .pm_tmr = ACPIPM_BASE + ACPIPM_TIMER,
        .pm1_evt_len = 4,
        .pm1_cnt_len = 2,
        .pm_tmr_len = 4,
        .p_lvl2_lat = UNSUPPORTED_C2,
        .p_lvl3_lat = UNSUPPORTED_C3,
        .century = CMOS_CENTURY,
        .iapc_boot_arch = BOOT_ARCH_LEGACY_DEVICES | BOOT_ARCH_NO_VGA,
        .flags = FLAG_WBINVD | FLAG_PROC_C1 | FLAG_SLP_BUTTON | FLAG_TMR_VAL_EXT | FLAG_RESET_REG_SUP,
        .reset_reg = io_register(RESET_PORT, 8),
        .reset_value = RESET_VALUE,
        .x_dsdt = base + DSDT_AT,
        .x_pm1a_evt = io_register(ACPIPM_BASE + ACPIPM_EVENT, 32),
        .x_pm1a_cnt = io_register(ACPIPM_BASE + ACPIPM_CONTROL, 16),
        .x_pm_tmr = io_register(ACPIPM_BASE + ACPIPM_TIMER, 32),
    };

    f.header.checksum = checksum(&f, sizeof(f));
    return f;
}

static int write_rsdp_and_xsdt(struct gmem *mem, u64 base, const struct vm_config *config)
{
    struct PACKED {
        struct sdt_header header;
        u64 entries[3];
    } xsdt = {.entries = {base + FADT_AT, base + MADT_AT, base + WDAT_AT}};
    size_t length = sizeof(xsdt) - (acpi_has_watchdog(config) ? 0 : sizeof(xsdt.entries[0]));
    struct rsdp rsdp = {.revision = 2, .length = sizeof(rsdp), .xsdt = base + XSDT_AT};

    xsdt.header = header("XSDT", length, 1);
    xsdt.header.checksum = checksum(&xsdt, length);
    memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
    memcpy(rsdp.oem_id, "MOTE  ", sizeof(rsdp.oem_id));
    rsdp.checksum = checksum(&rsdp, offsetof(struct rsdp, length));
    rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
    int rc = gmem_load(mem, GPA(base + RSDP_AT), &rsdp, sizeof(rsdp));
    return rc != 0 ? rc : gmem_load(mem, GPA(base + XSDT_AT), &xsdt, length);
}

static int write_dsdt(struct gmem *mem, u64 base, const struct vm_uarts *uarts)
{
    size_t length = sizeof(struct sdt_header) + ACPI_DSDT_SIZE + uarts->count * ACPI_DSDT_UART_SIZE;
    struct PACKED {
        struct sdt_header header;
        u8 body[ACPI_DSDT_SIZE];
        u8 uarts[UART_PORTS][ACPI_DSDT_UART_SIZE];
    } dsdt = {.header = header("DSDT", length, 2)};

    memcpy(dsdt.body, acpi_dsdt, sizeof(acpi_dsdt));
    for (u32 i = 0; i < uarts->count; i++) {
        memcpy(dsdt.uarts[i], acpi_dsdt_uart[uarts->number[i]], ACPI_DSDT_UART_SIZE);
    }
    dsdt.header.checksum = checksum(&dsdt, length);
    return gmem_load(mem, GPA(base + DSDT_AT), &dsdt, length);
}

static struct madt_fixed build_madt_fixed(size_t length)
{
    return (struct madt_fixed){
        .header = header("APIC", length, MADT_REVISION),
        .lapic_address = LAPIC_BASE_DEFAULT,
        .flags = MADT_PCAT_COMPAT,
        .ioapic = {MADT_IOAPIC, sizeof(((struct madt_fixed *)0)->ioapic), IOAPIC_ID, 0, IOAPIC_BASE, 0},
        .pit = {MADT_OVERRIDE, sizeof(struct madt_override), 0, 0, GSI_PIT, 0},
        .sci = {MADT_OVERRIDE, sizeof(struct madt_override), 0, ACPIPM_SCI, ACPIPM_SCI, INTI_ACTIVE_HIGH | INTI_LEVEL},
        .nmi = {MADT_LAPIC_NMI, sizeof(((struct madt_fixed *)0)->nmi), MADT_ALL_PROCESSORS, 0, LINT_NMI},
    };
}

static int write_madt(struct gmem *mem, u64 base, u32 cpus)
{
    size_t length = sizeof(struct madt_fixed) + cpus * sizeof(struct madt_lapic);
    struct madt madt = {.fixed = build_madt_fixed(length)};

    for (u32 i = 0; i < cpus; i++) {
        madt.lapic[i] = (struct madt_lapic){MADT_LAPIC, sizeof(struct madt_lapic), (u8)i, (u8)i, MADT_ENABLED};
    }
    madt.fixed.header.checksum = checksum(&madt, length);
    return gmem_load(mem, GPA(base + MADT_AT), &madt, length);
}

static struct wdat_action watchdog_action(u8 action, u8 instruction, u64 port, u32 value, u32 mask)
{
    return (struct wdat_action){action, instruction, 0, io_register(port, 32), value, mask};
}

/* Nothing stops it. */
static int write_wdat(struct gmem *mem, u64 base, u64 period_ms)
{
    const u32 runs = MOTE_WATCHDOG_RUNS, count = ~runs;
    struct wdat wdat = {
        .header = header("WDAT", sizeof(wdat), 1),
        .header_length = offsetof(struct wdat, actions) - sizeof(struct sdt_header),
        .pci_segment = WDAT_NO_PCI,
        .pci_bus = WDAT_NO_PCI,
        .pci_device = WDAT_NO_PCI,
        .pci_function = WDAT_NO_PCI,
        .period_ms = 1,
        .max_count = (u32)MIN(period_ms, count),
        .min_count = 1,
        .flags = WDAT_ENABLED,
        .count = WDAT_ACTIONS,
        .actions = {watchdog_action(WDAT_RESET, WDAT_WRITE_VALUE, MOTE_PORT_WATCHDOG, 1, count),
                    watchdog_action(WDAT_CURRENT_COUNTDOWN, WDAT_READ_COUNTDOWN, MOTE_PORT_WATCHDOG, 0, count),
                    watchdog_action(WDAT_COUNTDOWN, WDAT_READ_COUNTDOWN, MOTE_PORT_WATCHDOG_PERIOD, 0, count),
                    watchdog_action(WDAT_SET_COUNTDOWN, WDAT_WRITE_COUNTDOWN, MOTE_PORT_WATCHDOG_PERIOD, 0, count),
                    watchdog_action(WDAT_IS_RUNNING, WDAT_READ_VALUE, MOTE_PORT_WATCHDOG, runs, runs),
                    watchdog_action(WDAT_SET_RUNNING, WDAT_WRITE_VALUE, MOTE_PORT_WATCHDOG, 1, count)},
    };

    wdat.header.checksum = checksum(&wdat, sizeof(wdat));
    return gmem_load(mem, GPA(base + WDAT_AT), &wdat, sizeof(wdat));
}

bool acpi_has_watchdog(const struct vm_config *config)
{
    return config->watchdog_ns != 0 && !vm_config_firmware(config);
}

int acpi_build(struct gmem *mem, u64 base, const struct vm_config *config)
{
    struct fadt fadt = build_fadt(base);
    struct facs facs = {.length = sizeof(facs)};
    int rc = write_rsdp_and_xsdt(mem, base, config);

    memcpy(facs.signature, "FACS", sizeof(facs.signature));
    if (rc == 0) {
        rc = gmem_load(mem, GPA(base + FADT_AT), &fadt, sizeof(fadt));
    }
    if (rc == 0) {
        rc = gmem_load(mem, GPA(base + FACS_AT), &facs, sizeof(facs));
    }
    if (rc == 0) {
        rc = write_madt(mem, base, config->vcpus);
    }
    if (rc == 0 && acpi_has_watchdog(config)) {
        rc = write_wdat(mem, base, config->watchdog_ns / NS_PER_MS);
    }
    return rc != 0 ? rc : write_dsdt(mem, base, &config->uarts);
}
