/* units: drivers/x86_64/acpi_parse.c */
#include "tests/unit/host.h"
#include <string.h>
#include "drivers/x86_64/acpi_parse.h"
#include "kernel/lib/errno.h"

#define AT_XSDT 0x100U
#define AT_RSDT 0x200U
#define AT_MADT 0x400U
#define AT_FADT 0x4000U
#define AT_HPET 0x5000U

static u8 ram[0x8000];
static struct acpi_info info;
static u32 bad;

static const void *map(void *ctx, u64 pa, u64 len)
{
    (void)ctx;
    return range_contains(0, sizeof(ram), pa, len) ? ram + pa : NULL;
}

static const struct acpi_memory memory = {.map = map};

static void fix_checksum(u8 *bytes, size_t len, size_t at)
{
    bytes[at] = 0;
    for (size_t i = 0; i < len; i++) {
        bytes[at] = (u8)(bytes[at] - (i == at ? 0 : bytes[i]));
    }
}

static void finish(u32 at, const char *signature, u32 len)
{
    memcpy(ram + at, signature, 4);
    memcpy(ram + at + 4, &len, 4);
    fix_checksum(ram + at, len, offsetof(struct acpi_header, checksum));
}

static void append(u32 *at, const void *bytes, size_t len)
{
    memcpy(ram + *at, bytes, len);
    *at += (u32)len;
}

static u32 madt_end;

static void add_entry(const void *bytes, size_t len)
{
    append(&madt_end, bytes, len);
    finish(AT_MADT, "APIC", madt_end - AT_MADT);
}

static void add_lapic(u8 id, u32 flags)
{
    struct acpi_madt_lapic e = {{ACPI_MADT_LAPIC, sizeof(e)}, 0, id, flags};
    add_entry(&e, sizeof(e));
}

static void add_x2apic(u32 id, u32 flags)
{
    struct acpi_madt_x2apic e = {{ACPI_MADT_X2APIC, sizeof(e)}, 0, id, flags, 0};
    add_entry(&e, sizeof(e));
}

static struct acpi_rsdp rsdp;

static void fix_rsdp(void)
{
    fix_checksum((u8 *)&rsdp, ACPI_RSDP_V1_LEN, offsetof(struct acpi_rsdp, checksum));
    fix_checksum((u8 *)&rsdp, sizeof(rsdp), offsetof(struct acpi_rsdp, extended_checksum));
}

static void set_roots(void)
{
    u64 wide[] = {AT_MADT, AT_FADT, AT_HPET};
    u32 narrow[] = {AT_MADT, AT_HPET};

    memcpy(ram + AT_XSDT + sizeof(struct acpi_header), wide, sizeof(wide));
    finish(AT_XSDT, "XSDT", sizeof(struct acpi_header) + sizeof(wide));
    memcpy(ram + AT_RSDT + sizeof(struct acpi_header), narrow, sizeof(narrow));
    finish(AT_RSDT, "RSDT", sizeof(struct acpi_header) + sizeof(narrow));
    rsdp = (struct acpi_rsdp){.signature = "RSD PTR ", .revision = 2, .rsdt = AT_RSDT, .length = sizeof(rsdp), .xsdt = AT_XSDT};
    fix_rsdp();
}

static void set_fadt(u32 len)
{
    struct acpi_fadt fadt = {
        .dsdt = 0x111, .smi_cmd = 0xB2, .acpi_enable = 2, .pm1a_cnt_blk = 0x604, .pm_tmr_blk = 0x608, .century = 0x32,
        .flags = (u32)(ACPI_FADT_TMR_VAL_EXT | ACPI_FADT_RESET_REG_SUP), .reset_reg = {ACPI_SPACE_IO, 8, 0, 0, 0xCF9},
        .reset_value = 6, .x_dsdt = 0x222, .x_pm_tmr_blk = {ACPI_SPACE_IO, 32, 0, 0, 0x708},
    };

    memcpy(ram + AT_FADT, &fadt, sizeof(fadt));
    finish(AT_FADT, "FACP", len);
}

static int start(void **state)
{
    struct acpi_madt madt = {.lapic_address = 0xFEE00000, .flags = 1};
    struct acpi_hpet hpet = {.base = {ACPI_SPACE_MEMORY, 64, 0, 0, 0xFED00000}};

    (void)state;
    memset(ram, 0, sizeof(ram));
    memcpy(ram + AT_MADT, &madt, sizeof(madt));
    madt_end = AT_MADT + sizeof(madt);
    add_lapic(0, 1);
    set_fadt(sizeof(struct acpi_fadt));
    memcpy(ram + AT_HPET, &hpet, sizeof(hpet));
    finish(AT_HPET, "HPET", sizeof(hpet));
    set_roots();
    acpi_info_default(&info);
    return 0;
}

static u32 parse(void)
{
    assert_true(acpi_rsdp_valid(&rsdp, sizeof(rsdp)));
    return acpi_parse(&rsdp, sizeof(rsdp), &memory, &info, &bad);
}

static void reads_a_good_machine(void **state)
{
    struct acpi_madt_ioapic io = {{ACPI_MADT_IOAPIC, sizeof(io)}, 2, 0, 0xFEC00000, 24};
    struct acpi_madt_override timer = {{ACPI_MADT_OVERRIDE, sizeof(timer)}, 0, 0, 2, 0};
    struct acpi_madt_override sci = {{ACPI_MADT_OVERRIDE, sizeof(sci)}, 0, 9, 9, 0xF};
    struct acpi_madt_lapic_address base = {{ACPI_MADT_LAPIC_ADDRESS, sizeof(base)}, 0, 0xFEE10000};

    (void)state;
    add_lapic(1, 1);
    add_lapic(2, 0);    /* disabled */
    add_x2apic(1, 1);   /* the same CPU again */
    add_x2apic(300, 1);
    add_entry(&io, sizeof(io));
    add_entry(&timer, sizeof(timer));
    add_entry(&sci, sizeof(sci));
    add_entry(&base, sizeof(base));
    assert_int_equal(parse(), 3);
    assert_int_equal(bad, 0);
    assert_int_equal(info.cpu_count, 3);
    assert_int_equal(info.cpu_ids[1], 1);
    assert_int_equal(info.cpu_ids[2], 300);
    assert_int_equal(info.cpus_disabled, 1);
    assert_int_equal(info.ioapic_count, 1);
    assert_int_equal(info.ioapics[0].gsi_base, 24);
    assert_int_equal(info.isa[0].gsi, 2);
    assert_false(info.isa[0].level);
    assert_true(info.isa[9].level && info.isa[9].active_low);
    assert_int_equal(info.isa[4].gsi, 4);
    assert_int_equal(info.lapic_address, 0xFEE10000);
    assert_int_equal(info.hpet, 0xFED00000);
    assert_int_equal(info.pm_timer_port, 0x708);
    assert_true(info.pm_timer_32 && info.reset_supported && info.has_pic);
    assert_int_equal(info.pm1a_cnt, 0x604);
    assert_int_equal(info.dsdt, 0x222);
    assert_int_equal(info.century_index, 0x32);
}

static void falls_back_to_the_rsdt(void **state)
{
    (void)state;
    ram[AT_XSDT + 10] ^= 1;
    assert_int_equal(parse(), 2);
    assert_int_equal(info.pm_timer_port, 0);
    ram[AT_RSDT + 10] ^= 1;
    assert_int_equal(parse(), 0);
    assert_int_equal(bad, 1);
}

static void short_fadt_reads_as_zeroes_beyond(void **state)
{
    (void)state;
    set_fadt(ACPI_FADT_V1_LEN);
    assert_int_equal(parse(), 3);
    assert_int_equal(info.pm_timer_port, 0x608);
    assert_int_equal(info.dsdt, 0x111);
    assert_false(info.reset_supported);
    set_fadt(ACPI_FADT_V1_LEN - 1);
    acpi_info_default(&info);
    assert_int_equal(parse(), 2);
    assert_int_equal(bad, 1);
    assert_int_equal(info.pm_timer_port, 0);
}

static void bad_checksum_drops_the_table_only(void **state)
{
    (void)state;
    ram[AT_MADT + 45] ^= 1;
    assert_int_equal(parse(), 2);
    assert_int_equal(bad, 1);
    assert_int_equal(info.cpu_count, 0);
    assert_int_equal(info.hpet, 0xFED00000);
}

static void absurd_lengths_are_survived(void **state)
{
    static const u32 lengths[] = {0, 8, 35, 0x80000000, 0xFFFFFFFF, ACPI_TABLE_MAX + 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        memcpy(ram + AT_MADT + 4, &lengths[i], 4);
        assert_int_equal(parse(), 2);
        assert_int_equal(bad, 1);
    }
}

static void madt_entries_of_bad_length_end_the_list(void **state)
{
    static const u8 entries[][4] = {{0, 0, 9, 9}, {0, 1, 9, 9}, {0, 200, 9, 9}, {0, 4, 7, 7}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        (void)start(state);
        add_entry(entries[i], sizeof(entries[i]));
        add_lapic(5, 1);
        (void)parse();
        assert_int_equal(info.cpu_count, i == 3 ? 2 : 1); /* a short entry of good length is passed over */
    }
}

static void more_cpus_than_the_tables_hold(void **state)
{
    (void)state;
    for (u32 id = 1; id < CPU_MAX + 10; id++) {
        add_x2apic(id, 1);
    }
    assert_int_equal(parse(), 3);
    assert_int_equal(info.cpu_count, CPU_MAX);
    assert_int_equal(info.cpus_dropped, 10);
}

static void rsdp_is_checked(void **state)
{
    (void)state;
    assert_false(acpi_rsdp_valid(&rsdp, 19));
    assert_false(acpi_rsdp_valid(&rsdp, 35)); /* revision 2 says 36 */
    rsdp.length = 20;
    fix_rsdp();
    assert_false(acpi_rsdp_valid(&rsdp, sizeof(rsdp)));
    set_roots();
    rsdp.extended_checksum ^= 1;
    assert_false(acpi_rsdp_valid(&rsdp, sizeof(rsdp)));
    set_roots();
    rsdp.revision = 0;
    fix_rsdp();
    assert_true(acpi_rsdp_valid(&rsdp, ACPI_RSDP_V1_LEN));
    rsdp.signature[0] = 'X';
    fix_rsdp();
    assert_false(acpi_rsdp_valid(&rsdp, sizeof(rsdp)));
}

static void s5_is_found_in_its_encodings(void **state)
{
    static const u8 ones[] = {1, 2, 0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0x01, 0x00, 0, 0};
    static const u8 bytes[] = {0x08, '_', 'S', '5', '_', 0x12, 8, 4, 0x0A, 5, 0x0A, 7, 0, 0};
    static const u8 wide[] = {0x08, '_', 'S', '5', '_', 0x12, 0x48, 0, 4, 0x0A, 3, 0x0A, 3, 0, 0};
    static const u8 second[] = {'_', 'S', '5', '_', 0, 0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0, 0, 0, 0};
    u8 a = 9, b = 9;

    (void)state;
    assert_int_equal(acpi_find_s5(ones, sizeof(ones), &a, &b), 0);
    assert_true(a == 1 && b == 0);
    assert_int_equal(acpi_find_s5(bytes, sizeof(bytes), &a, &b), 0);
    assert_true(a == 5 && b == 7);
    assert_int_equal(acpi_find_s5(wide, sizeof(wide), &a, &b), 0);
    assert_true(a == 3 && b == 3);
    assert_int_equal(acpi_find_s5(second, sizeof(second), &a, &b), 0);
    assert_true(a == 0 && b == 0);
}

static void s5_is_refused_when_cut_or_absurd(void **state)
{
    static const u8 good[] = {0x08, '_', 'S', '5', '_', 0x12, 8, 4, 0x0A, 5, 0x0A, 7};
    static const u8 large[] = {0x08, '_', 'S', '5', '_', 0x12, 8, 4, 0x0A, 5, 0x0A, 8};
    static const u8 lead[] = {0x08, '_', 'S', '5', '_', 0x12, 0xC8, 4};
    u8 a, b;

    (void)state;
    for (size_t len = 0; len < sizeof(good); len++) {
        assert_int_equal(acpi_find_s5(good, len, &a, &b), -E_NOENT);
    }
    assert_int_equal(acpi_find_s5(large, sizeof(large), &a, &b), -E_NOENT);
    assert_int_equal(acpi_find_s5(lead, sizeof(lead), &a, &b), -E_NOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reads_a_good_machine, start),
        cmocka_unit_test_setup(falls_back_to_the_rsdt, start),
        cmocka_unit_test_setup(short_fadt_reads_as_zeroes_beyond, start),
        cmocka_unit_test_setup(bad_checksum_drops_the_table_only, start),
        cmocka_unit_test_setup(absurd_lengths_are_survived, start),
        cmocka_unit_test_setup(madt_entries_of_bad_length_end_the_list, start),
        cmocka_unit_test_setup(more_cpus_than_the_tables_hold, start),
        cmocka_unit_test_setup(rsdp_is_checked, start),
        cmocka_unit_test(s5_is_found_in_its_encodings),
        cmocka_unit_test(s5_is_refused_when_cut_or_absurd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
