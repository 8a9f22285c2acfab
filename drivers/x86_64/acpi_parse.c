#include "drivers/x86_64/acpi_parse.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

#define ROOT_ENTRIES_MAX 256U
#define REVISION_XSDT 2U
#define PORT_MAX 0xFFFFU

static bool checksum_ok(const void *table, size_t len)
{
    const u8 *bytes = table;
    u8 sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum = (u8)(sum + bytes[i]);
    }
    return sum == 0;
}

void acpi_info_default(struct acpi_info *info)
{
    *info = (struct acpi_info){.has_pic = true};
    for (u32 irq = 0; irq < ACPI_ISA_IRQS; irq++) {
        info->isa[irq].gsi = irq;
    }
}

/* --- MADT ---------------------------------------------------------------------------------------------------------- */

static void add_cpu(struct acpi_info *info, u32 id, u32 flags)
{
    if ((flags & ACPI_MADT_ENABLED) == 0) {
        info->cpus_disabled++;
        return;
    }
    for (u32 i = 0; i < info->cpu_count; i++) {
        if (info->cpu_ids[i] == id) {
            return;
        }
    }
    if (info->cpu_count == CPU_MAX) {
        info->cpus_dropped++;
        return;
    }
    info->cpu_ids[info->cpu_count++] = id;
}

/* Copy an entry of the type of *out when it is long enough. */
#define COPY_ENTRY(out, bytes, len) ((len) >= sizeof(*(out)) && memcpy((out), (bytes), sizeof(*(out))) != NULL)

static void madt_lapic(struct acpi_info *info, const u8 *bytes, size_t len)
{
    struct acpi_madt_lapic lapic;

    if (COPY_ENTRY(&lapic, bytes, len)) {
        add_cpu(info, lapic.id, lapic.flags);
    }
}

static void madt_x2apic(struct acpi_info *info, const u8 *bytes, size_t len)
{
    struct acpi_madt_x2apic x2apic;

    if (COPY_ENTRY(&x2apic, bytes, len)) {
        add_cpu(info, x2apic.id, x2apic.flags);
    }
}

static void madt_ioapic(struct acpi_info *info, const u8 *bytes, size_t len)
{
    struct acpi_madt_ioapic ioapic;

    if (COPY_ENTRY(&ioapic, bytes, len) && info->ioapic_count < ACPI_IOAPICS_MAX) {
        info->ioapics[info->ioapic_count++] =
            (struct acpi_ioapic_info){.id = ioapic.id, .address = ioapic.address, .gsi_base = ioapic.gsi_base};
    }
}

static void madt_override(struct acpi_info *info, const u8 *bytes, size_t len)
{
    struct acpi_madt_override o;

    if (COPY_ENTRY(&o, bytes, len) && o.source < ACPI_ISA_IRQS) {
        info->isa[o.source] = (struct acpi_irq){
            .gsi = o.gsi,
            .level = FIELD_GET(ACPI_MPS_TRIGGER, o.flags) == ACPI_MPS_LEVEL,
            .active_low = FIELD_GET(ACPI_MPS_POLARITY, o.flags) == ACPI_MPS_ACTIVE_LOW,
        };
    }
}

static void madt_lapic_address(struct acpi_info *info, const u8 *bytes, size_t len)
{
    struct acpi_madt_lapic_address a;

    if (COPY_ENTRY(&a, bytes, len)) {
        info->lapic_address = a.address;
    }
}

static void madt_entry(struct acpi_info *info, const u8 *bytes, size_t len)
{
    static const struct {
        u8 type;
        void (*parse)(struct acpi_info *info, const u8 *bytes, size_t len);
    } entries[] = {
        {ACPI_MADT_LAPIC, madt_lapic},       {ACPI_MADT_X2APIC, madt_x2apic},
        {ACPI_MADT_IOAPIC, madt_ioapic},     {ACPI_MADT_OVERRIDE, madt_override},
        {ACPI_MADT_LAPIC_ADDRESS, madt_lapic_address},
    };

    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        if (entries[i].type == bytes[0]) {
            entries[i].parse(info, bytes, len);
        }
    }
}

static bool parse_madt(struct acpi_info *info, const u8 *table, size_t len)
{
    struct acpi_madt madt;

    if (!COPY_ENTRY(&madt, table, len)) {
        return false;
    }
    info->lapic_address = madt.lapic_address;
    info->has_pic = (madt.flags & ACPI_MADT_PCAT_COMPAT) != 0;
    for (size_t at = sizeof(madt); at + sizeof(struct acpi_madt_entry) <= len;) {
        size_t entry_len = table[at + offsetof(struct acpi_madt_entry, length)];
        if (entry_len < sizeof(struct acpi_madt_entry) || entry_len > len - at) {
            break;
        }
        madt_entry(info, table + at, entry_len);
        at += entry_len;
    }
    return info->cpu_count != 0;
}

/* --- FADT and HPET ------------------------------------------------------------------------------------------------- */

/* A register block: the extended address when it is a port, else the old one; 0 when neither fits a port number. */
static u16 block_port(const struct acpi_gas *extended, u32 old)
{
    if (extended->space == ACPI_SPACE_IO && extended->address != 0 && extended->address <= PORT_MAX) {
        return (u16)extended->address;
    }
    return old <= PORT_MAX ? (u16)old : 0;
}

static bool parse_fadt(struct acpi_info *info, const u8 *table, size_t len)
{
    struct acpi_fadt fadt = {.flags = 0}; /* what a short table lacks reads as zero */

    if (len < ACPI_FADT_V1_LEN) {
        return false;
    }
    memcpy(&fadt, table, MIN(len, sizeof(fadt)));
    info->pm_timer_port = block_port(&fadt.x_pm_tmr_blk, fadt.pm_tmr_blk);
    info->pm_timer_32 = (fadt.flags & ACPI_FADT_TMR_VAL_EXT) != 0;
    info->pm1a_cnt = block_port(&fadt.x_pm1a_cnt_blk, fadt.pm1a_cnt_blk);
    info->pm1b_cnt = block_port(&fadt.x_pm1b_cnt_blk, fadt.pm1b_cnt_blk);
    info->smi_cmd = fadt.smi_cmd <= PORT_MAX ? (u16)fadt.smi_cmd : 0;
    info->acpi_enable = fadt.acpi_enable;
    info->reset_supported = (fadt.flags & ACPI_FADT_RESET_REG_SUP) != 0 && fadt.reset_reg.address != 0;
    info->reset_reg = fadt.reset_reg;
    info->reset_value = fadt.reset_value;
    info->century_index = fadt.century;
    info->dsdt = fadt.x_dsdt != 0 ? fadt.x_dsdt : fadt.dsdt;
    return true;
}

static bool parse_hpet(struct acpi_info *info, const u8 *table, size_t len)
{
    struct acpi_hpet hpet;

    if (!COPY_ENTRY(&hpet, table, len) || hpet.base.space != ACPI_SPACE_MEMORY) {
        return false;
    }
    info->hpet = hpet.base.address;
    return true;
}

/* --- the roots ----------------------------------------------------------------------------------------------------- */

/* Map a whole table and check its length; NULL when it is absurd. */
static const u8 *map_table(const struct acpi_memory *memory, u64 pa, size_t *len)
{
    struct acpi_header header;
    const void *bytes = memory->map(memory->ctx, pa, sizeof(header));

    if (bytes == NULL) {
        return NULL;
    }
    memcpy(&header, bytes, sizeof(header));
    if (header.length < sizeof(header) || header.length > ACPI_TABLE_MAX) {
        return NULL;
    }
    *len = header.length;
    return memory->map(memory->ctx, pa, header.length);
}

static const struct {
    char signature[5];
    bool (*parse)(struct acpi_info *info, const u8 *table, size_t len);
} known_tables[] = {{"APIC", parse_madt}, {"FACP", parse_fadt}, {"HPET", parse_hpet}};

enum table_result { TABLE_OTHER, TABLE_USED, TABLE_BAD };

static enum table_result parse_table(const struct acpi_memory *memory, u64 pa, struct acpi_info *info)
{
    const u8 *signature = memory->map(memory->ctx, pa, sizeof(struct acpi_header));

    for (size_t i = 0; signature != NULL && i < ARRAY_SIZE(known_tables); i++) {
        if (memcmp(signature, known_tables[i].signature, sizeof(((struct acpi_header *)0)->signature)) != 0) {
            continue;
        }
        size_t len;
        const u8 *table = map_table(memory, pa, &len);
        bool used = table != NULL && checksum_ok(table, len) && known_tables[i].parse(info, table, len);
        return used ? TABLE_USED : TABLE_BAD;
    }
    return signature != NULL ? TABLE_OTHER : TABLE_BAD;
}

bool acpi_rsdp_valid(const void *rsdp, size_t len)
{
    struct acpi_rsdp copy = {.length = 0};

    if (len < ACPI_RSDP_V1_LEN) {
        return false;
    }
    memcpy(&copy, rsdp, MIN(len, sizeof(copy)));
    if (memcmp(copy.signature, "RSD PTR ", sizeof(copy.signature)) != 0 || !checksum_ok(rsdp, ACPI_RSDP_V1_LEN)) {
        return false;
    }
    return copy.revision < REVISION_XSDT || (copy.length >= sizeof(copy) && copy.length <= len &&
                                             checksum_ok(rsdp, copy.length));
}

/* The root table that a valid RSDP names, with the width of its entries. */
static const u8 *map_root(const void *rsdp, size_t len, const struct acpi_memory *memory, size_t *root_len, size_t *width)
{
    struct acpi_rsdp copy = {.xsdt = 0};
    const u8 *root = NULL;

    memcpy(&copy, rsdp, MIN(len, sizeof(copy)));
    if (copy.revision >= REVISION_XSDT && copy.xsdt != 0) {
        *width = sizeof(u64);
        root = map_table(memory, copy.xsdt, root_len);
        if (root != NULL && memcmp(root, "XSDT", 4) == 0 && checksum_ok(root, *root_len)) {
            return root;
        }
    }
    *width = sizeof(u32);
    root = copy.rsdt != 0 ? map_table(memory, copy.rsdt, root_len) : NULL;
    return root != NULL && memcmp(root, "RSDT", 4) == 0 && checksum_ok(root, *root_len) ? root : NULL;
}

u32 acpi_parse(const void *rsdp, size_t len, const struct acpi_memory *memory, struct acpi_info *info, u32 *bad)
{
    size_t root_len, width;
    const u8 *root = map_root(rsdp, len, memory, &root_len, &width);
    u32 used = 0;

    *bad = root == NULL ? 1 : 0;
    if (root == NULL) {
        return 0;
    }
    size_t count = MIN((root_len - sizeof(struct acpi_header)) / width, (size_t)ROOT_ENTRIES_MAX);
    for (size_t i = 0; i < count; i++) {
        u64 pa = 0; /* little-endian: a 32-bit entry fills the low half */
        memcpy(&pa, root + sizeof(struct acpi_header) + i * width, width);
        enum table_result result = pa != 0 ? parse_table(memory, pa, info) : TABLE_OTHER;
        used += result == TABLE_USED ? 1 : 0;
        *bad += result == TABLE_BAD ? 1 : 0;
    }
    return used;
}

/* --- the _S5 package ----------------------------------------------------------------------------------------------- */

#define AML_PACKAGE 0x12U
#define AML_ZERO 0x00U
#define AML_ONE 0x01U
#define AML_BYTE 0x0AU
#define AML_PKG_LEADS_SHIFT 6U /* bits 7:6 of a PkgLength: how many bytes follow the first */
#define SLP_TYP_MAX 7U

/* One small integer at aml[*at]; advances. */
static bool aml_small_int(const u8 *aml, size_t len, size_t *at, u8 *value)
{
    if (*at < len && (aml[*at] == AML_ZERO || aml[*at] == AML_ONE)) {
        *value = aml[*at];
        *at += 1;
        return true;
    }
    if (*at < len && len - *at >= 2 && aml[*at] == AML_BYTE) {
        *value = aml[*at + 1];
        *at += 2;
        return true;
    }
    return false;
}

/* The package that begins at aml[at]. */
static bool parse_s5_package(const u8 *aml, size_t len, size_t at, u8 *typ_a, u8 *typ_b)
{
    u8 a, b;

    if (len - at < 3 || aml[at] != AML_PACKAGE) {
        return false;
    }
    at += 2 + (size_t)(aml[at + 1] >> AML_PKG_LEADS_SHIFT) + 1; /* opcode, PkgLength, NumElements */
    if (!aml_small_int(aml, len, &at, &a) || !aml_small_int(aml, len, &at, &b) || a > SLP_TYP_MAX || b > SLP_TYP_MAX) {
        return false;
    }
    *typ_a = a;
    *typ_b = b;
    return true;
}

int acpi_find_s5(const u8 *aml, size_t len, u8 *typ_a, u8 *typ_b)
{
    static const char name[] = "_S5_";
    const size_t name_len = sizeof(name) - 1;

    for (size_t at = 0; at + name_len < len; at++) {
        if (memcmp(aml + at, name, name_len) == 0 && parse_s5_package(aml, len, at + name_len, typ_a, typ_b)) {
            return 0;
        }
    }
    return -E_NOENT;
}
