/* What a broken or hostile guest does, one deed for each VM: the VM's number chooses it, so a test starts the VMs in the
 * order of the table. Deeds that the VM survives are reported as checks. Wants selftest=on for "fail-entry". */
#include "tests/guests/kit/kit.h"

#define HOLE 0x3F000000ULL   /* no memory and no device there */
#define ROM 0xE0000ULL       /* the ACPI tables: neither written nor executed */
#define ROM_CODE 0xE8000ULL
#define PORT_LAST 0xFFFFU

static void triple_fault(void)
{
    struct __attribute__((packed)) { u16 limit; u64 base; } none = {0, 0};

    __asm__ volatile("lidt %0; ud2" ::"m"(none));
}

static void fetch_from_hole(void)
{
    ((void (*)(void))HOLE)();
}

static void tables_in_hole(void)
{
    WRITE_REG(cr3, HOLE);
}

static void run_rom(void)
{
    volatile u32 *rom = (volatile u32 *)ROM;
    u32 before = *rom;

    *rom = ~before;
    check(before == 0x20445352, "rom-holds-tables", "0x%x", before); /* "RSD " */
    check(*rom == before, "rom-write-dropped", "0x%x", *rom);
    ((void (*)(void))ROM_CODE)();
}

static void fail_entry(void)
{
    (void)hypercall(MOTE_HC_BREAK, 0, 0, 0, 0, 0, 0);
}

static void spin(void)
{
    __asm__ volatile("cli; 1: jmp 1b");
}

/* Ports whose purpose is to end the VM or to print, with room for wide writes that begin before them. */
static bool ends_vm(u32 port)
{
    static const struct { u32 first, last; } ranges[] = {
        {0xF4, 0xF7}, {0xE9, 0xE9}, {0x64, 0x64}, {0x92, 0x92}, {0xCF8, 0xCFF}, {0x600, 0x60F}, {0x2000, 0x2001},
        {PORT_COM1, PORT_COM1 + 7},
    };

    for (u32 i = 0; i < ARRAY_SIZE(ranges); i++) {
        if (port + 3 >= ranges[i].first && port <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

static void write_ports(u32 value)
{
    for (u32 port = 0; port <= PORT_LAST; port++) {
        if (!ends_vm(port)) {
            outb((u16)port, (u8)value);
            outw((u16)port, (u16)value);
            outl((u16)port, value);
        }
    }
}

static void every_port(void)
{
    u32 ones = 0;

    write_ports(0);
    write_ports(~0U);
    for (u32 port = 0x8000; port < 0x8100; port++) {
        ones += inb((u16)port) == 0xFF && inw((u16)port) == 0xFFFF && inl((u16)port) == ~0U;
    }
    print("\n"); /* the UART's data port was among them */
    check(ones == 0x100, "unclaimed-ports-read-ones", "%u", ones);
}

/* Write the value read, 0 and all ones: the guest's own CPU must survive what is accepted, so EFER stays. */
static u32 try_msr(u32 msr)
{
    u64 value;
    u32 listed = try_rdmsr(msr, &value) == NO_FAULT;

    if (msr == 0xC0000080) {
        return listed;
    }
    (void)try_wrmsr(msr, listed ? value : 0);
    (void)try_wrmsr(msr, ~0ULL);
    (void)try_wrmsr(msr, listed ? value : 0x5A5A);
    return listed;
}

static void every_msr(void)
{
    static const u32 bases[] = {0, 0xC0000000, 0xC0010000, 0x40000000};
    u32 listed = 0;

    for (u32 i = 0; i < ARRAY_SIZE(bases); i++) {
        for (u32 n = 0; n < 0x2000; n++) {
            listed += try_msr(bases[i] + n);
        }
    }
    check(listed > 20 && listed < 120, "msrs-listed", "%u", listed);
}

static void use_hole(void)
{
    volatile u8 *hole = (volatile u8 *)HOLE;

    check(*(volatile u8 *)hole == 0xFF, "hole-byte", "0x%x", *(volatile u8 *)hole);
    check(*(volatile u16 *)hole == 0xFFFF, "hole-word", "0x%x", *(volatile u16 *)hole);
    check(*(volatile u32 *)hole == ~0U, "hole-dword", "0x%x", *(volatile u32 *)hole);
    check(*(volatile u64 *)hole == ~0ULL, "hole-qword", "0x%lx", *(volatile u64 *)hole);
    check(*(volatile u64 *)(hole + 0xFFD) == ~0ULL, "hole-page-crossing", "%u", 1);
    for (u32 i = 0; i < 64; i++) {
        hole[i * 61] = (u8)i;
    }
    check(hole[61] == 0xFF, "hole-write-ignored", "0x%x", hole[61]);
}

static void reset(void)
{
    outb(0xCF9, 0x02);
    outb(0xCF9, 0x06);
    for (;;) {
    }
}

static void halt(void)
{
    __asm__ volatile("cli; hlt");
}

static void (*const deeds[])(void) = {
    triple_fault, fetch_from_hole, tables_in_hole, run_rom, fail_entry, spin, every_port, every_msr, use_hole, reset, halt,
};

void guest_main(void)
{
    u64 id = hypercall(MOTE_HC_VM_ID, 0, 0, 0, 0, 0, 0);

    if (id >= ARRAY_SIZE(deeds)) {
        check(false, "vm-id", "%lu", id);
        return;
    }
    print("deed %lu\n", id);
    deeds[id]();
}
