/* The machine as its ACPI tables describe it (row 77), against what is there: CPUs, interrupt chips, timer, memory; and what
 * is not described is not there. */
#include "tests/guests/kit/apic.h"

#define SEARCH_FROM 0xE0000ULL /* ACPI 6.5, 5.2.5.1 "Finding the RSDP on IA-PC Systems" */
#define SEARCH_TO 0x100000ULL
#define HEADER 36U
#define PIN_PIT 2U
#define HPET_PAGE 0xFED00000ULL
#define ECAM_PAGE 0xE0000000ULL
#define PCI_NONE 0xFFFFFFFFU
#define VGA_PAGE 0xA0000ULL
#define MIB 0x100000ULL

static u32 tables_wrong, tables_seen;

static u32 u32_at(u64 at)
{
    u32 value;

    memcpy(&value, (const void *)at, sizeof(value));
    return value;
}

static u64 u64_at(u64 at)
{
    return (u64)u32_at(at + 4) << 32 | u32_at(at);
}

static u8 u8_at(u64 at)
{
    return *(const volatile u8 *)at;
}

static bool sums_to_zero(u64 at, u32 len)
{
    u8 sum = 0;

    for (u32 i = 0; i < len; i++) {
        sum = (u8)(sum + u8_at(at + i));
    }
    return sum == 0;
}

static u64 find_rsdp(void)
{
    for (u64 at = SEARCH_FROM; at < SEARCH_TO; at += 16) {
        if (memcmp((const void *)at, "RSD PTR ", 8) == 0 && sums_to_zero(at, 20) && sums_to_zero(at, u32_at(at + 20))) {
            return at;
        }
    }
    return 0;
}

static u64 find_table(u64 xsdt, const char *signature)
{
    u64 found = 0;

    for (u64 entry = xsdt + HEADER; entry < xsdt + u32_at(xsdt + 4); entry += 8) {
        u64 table = u64_at(entry);
        tables_seen++;
        tables_wrong += !sums_to_zero(table, u32_at(table + 4));
        if (memcmp((const void *)table, signature, 4) == 0) {
            found = table;
        }
    }
    return found;
}

static volatile u32 alive;

static void say_alive(void)
{
    __atomic_fetch_add(&alive, 1, __ATOMIC_SEQ_CST);
}

/* Each CPU of the table is started by the id that stands there. */
static void test_madt(u64 madt)
{
    u32 cpus = 0, started = 0, overrides = 0, others = 0, pit_gsi = 0, sci_flags = 0, r[4];
    u64 ioapic = 0;

    for (u64 at = madt + HEADER + 8; at < madt + u32_at(madt + 4) && u8_at(at + 1) != 0; at += u8_at(at + 1)) {
        u8 type = u8_at(at);
        if (type == 0 && (u32_at(at + 4) & 1) != 0) {
            cpus++;
            started += u8_at(at + 3) != 0 && start_cpu(u8_at(at + 3), say_alive);
        } else if (type == 1) {
            ioapic = u32_at(at + 4);
        } else if (type == 2) {
            overrides++;
            pit_gsi = u8_at(at + 3) == 0 ? u32_at(at + 4) : pit_gsi;
            sci_flags = u8_at(at + 3) == 9 ? u8_at(at + 8) : sci_flags;
        } else if (type != 4) {
            others++;
        }
    }
    (void)wait_count(&alive, cpus - 1, 2000);
    cpuid(1, 0, r);
    u32 by_cpuid = (r[3] >> 28 & 1) != 0 ? r[1] >> 16 & 0xFF : 1;
    print("cpus %u\n", cpus);
    check(started == cpus - 1 && alive == cpus - 1 && by_cpuid == cpus, "madt-cpus", "madt=%u started=%u cpuid=%u", cpus, started + 1,
          by_cpuid);
    check(u32_at(madt + HEADER) == APIC_PAGE && ioapic == IOAPIC_PAGE && (ioapic_get(1) >> 16 & 0xFF) == 23, "madt-chips",
          "lapic=0x%x ioapic=0x%lx pins=%u", u32_at(madt + HEADER), ioapic, (ioapic_get(1) >> 16 & 0xFF) + 1);
    check(overrides == 2 && pit_gsi == PIN_PIT && sci_flags == 0xD && others == 0, "madt-overrides", "n=%u pit=%u sci=0x%x others=%u",
          overrides, pit_gsi, sci_flags, others);
}

/* The PM timer runs at 3.579545 MHz by the host's clock. */
static void test_fadt(u64 fadt)
{
    u16 timer = (u16)u32_at(fadt + 76);
    u64 outer = time_ns();
    u32 first = inl(timer);
    u64 inner = time_ns();
    wait_us(20000);
    u64 inner_end = time_ns();
    u32 counted = inl(timer) - first;
    u64 outer_end = time_ns();
    u64 least = (inner_end - inner) * 3579 / 1000000, most = (outer_end - outer) * 3580 / 1000000 + 2;

    check(counted + 2 >= least && counted <= most, "fadt-pm-timer", "port=0x%x counted=%u of %lu..%lu", timer, counted, least, most);
    u64 dsdt = u64_at(fadt + 140);
    tables_wrong += !sums_to_zero(dsdt, u32_at(dsdt + 4)) || memcmp((const void *)dsdt, "DSDT", 4) != 0;
    check((u32_at(fadt + 112) & 1U << 10) != 0 && u64_at(fadt + 120) == 0xCF9 && u32_at(fadt + 46) % 0x10000 == 9, "fadt-reset-and-sci",
          "flags=0x%x reset=0x%lx sci=%u", u32_at(fadt + 112), u64_at(fadt + 120), u32_at(fadt + 46) % 0x10000);
    check((u32_at(fadt + 109) & 4) != 0 && u32_at(VGA_PAGE) == ~0U, "no-vga", "boot-arch=0x%x", u32_at(fadt + 109) & 0xFFFF);
}

/* The DSDT's serial ports, by their names and their ports' descriptors, are those that answer. */
static void test_uarts(u64 dsdt)
{
    static const u16 ports[] = {0x3F8, 0x2F8, 0x3E8, 0x2E8};
    u32 wrong = 0, described = 0;

    for (u32 n = 0; n < ARRAY_SIZE(ports); n++) {
        const u8 name[] = {'C', 'O', 'M', (u8)('1' + n)}, io[] = {0x47, 1, (u8)ports[n], (u8)(ports[n] >> 8)};
        u32 names = 0, ios = 0;
        for (u64 at = dsdt + HEADER; at + 4 <= dsdt + u32_at(dsdt + 4); at++) {
            names += memcmp((const void *)at, name, sizeof(name)) == 0;
            ios += memcmp((const void *)at, io, sizeof(io)) == 0;
        }
        outb(ports[n] + 7, 0xA5);
        bool there = inb(ports[n] + 7) == 0xA5;
        wrong += names != there || ios != there;
        described += names;
    }
    check(wrong == 0, "dsdt-uarts", "described=%u wrong=%u", described, wrong);
}

/* The watchdog's table, its port and the hypercall tell the same; without watchdog= there is nothing of it. */
static void test_watchdog(u64 wdat)
{
    u32 period = (u32)hypercall(MOTE_HC_WATCHDOG, 0, 0, 0, 0, 0, 0);

    if (wdat == 0) {
        check(period == 0 && inl(MOTE_PORT_WATCHDOG) == ~0U, "watchdog", "period=%u port=0x%x", period, inl(MOTE_PORT_WATCHDOG));
        check(inl(MOTE_PORT_WATCHDOG_PERIOD) == ~0U, "watchdog-period", "port=0x%x", inl(MOTE_PORT_WATCHDOG_PERIOD));
        return;
    }
    u16 port = (u16)u64_at(wdat + 68 + 8); /* of the first action */
    u32 before = inl(port), units = u32_at(wdat + 48), most = u32_at(wdat + 52);
    wait_us(20000);
    u32 silent = inl(port);
    outl(port, 1);
    u32 kicked = inl(port);
    outl(MOTE_PORT_WATCHDOG_PERIOD, 2 * most); /* not more than the owner gave */
    u32 longest = inl(MOTE_PORT_WATCHDOG_PERIOD);
    outl(MOTE_PORT_WATCHDOG_PERIOD, 500000);
    u32 shorter = inl(port);
    check(longest == most && shorter > (MOTE_WATCHDOG_RUNS | 490000U) && shorter <= (MOTE_WATCHDOG_RUNS | 500000U) &&
              hypercall(MOTE_HC_WATCHDOG, 0, 0, 0, 0, 0, 0) == 500000, "watchdog-period", "longest=%u shorter=0x%x", longest, shorter);
    bool runs = (before & silent & kicked & MOTE_WATCHDOG_RUNS) != 0 && (u8_at(wdat + 60) & 1) != 0;
    check(runs && units == 1 && most == period && silent + 19 <= before && kicked > silent && kicked <= (MOTE_WATCHDOG_RUNS | most),
          "watchdog", "period=%u of %u most=%u before=0x%x silent=0x%x kicked=0x%x", period, units, most, before, silent, kicked);
}

static void test_absent(u64 xsdt)
{
    u32 described = (find_table(xsdt, "HPET") != 0) + (find_table(xsdt, "MCFG") != 0) + (find_table(xsdt, "SRAT") != 0) +
                    (find_table(xsdt, "DMAR") != 0) + (find_table(xsdt, "IVRS") != 0);
    u32 devices = 0;

    for (u32 device = 0; device < 32; device++) {
        outl(0xCF8, 0x80000000U | device << 11);
        devices += inl(0xCFC) != PCI_NONE;
    }
    check(described == 0 && u32_at(HPET_PAGE) == ~0U && u32_at(ECAM_PAGE) == ~0U, "absent", "tables=%u hpet=0x%x ecam=0x%x", described,
          u32_at(HPET_PAGE), u32_at(ECAM_PAGE));
    print("pci-devices %u\n", devices);
}

static u32 cmos(u8 index)
{
    outb(0x70, index);
    return inb(0x71);
}

/* No BIOS tells a flat image of its memory but the CMOS; its last byte is memory, the next is not. */
static void test_memory(void)
{
    u64 end = 16 * MIB + ((u64)(cmos(0x35) << 8 | cmos(0x34)) << 16);

    *(volatile u64 *)(end - 8) = end;
    print("memory %u\n", (u32)(end / MIB));
    check(*(volatile u64 *)(end - 8) == end && *(volatile u64 *)end == ~0ULL, "memory-end", "end=%u MiB", (u32)(end / MIB));
}

void guest_main(void)
{
    u64 rsdp = find_rsdp(), xsdt = rsdp == 0 ? 0 : u64_at(rsdp + 24);

    pic_setup(32);
    apic_enable(false);
    check(rsdp != 0 && u8_at(rsdp + 15) >= 2 && sums_to_zero(xsdt, u32_at(xsdt + 4)), "rsdp", "at=0x%lx xsdt=0x%lx", rsdp, xsdt);
    if (xsdt == 0) {
        return;
    }
    test_madt(find_table(xsdt, "APIC"));
    u64 fadt = find_table(xsdt, "FACP");
    test_fadt(fadt);
    test_uarts(u64_at(fadt + 140));
    test_watchdog(find_table(xsdt, "WDAT"));
    check(tables_wrong == 0 && tables_seen != 0, "checksums", "seen=%u wrong=%u", tables_seen, tables_wrong);
    test_absent(xsdt);
    test_memory();
}
