/* What lies at the ports (rows 23, 24, 26): nothing where no device is, and devices of this VM's own where one is. */
#include "tests/guests/kit/kit.h"

#define PORT_SCRATCH (PORT_COM1 + 7)
#define MCR (PORT_COM1 + 4)
#define MCR_LOOP 0x10
#define CF8 0xCF8
#define PATTERN 0x1122334455667788ULL

static const struct { u16 first, last; } claimed[] = {
    {0x20, 0x21}, {0x40, 0x43}, {0x60, 0x61}, {0x64, 0x64}, {0x70, 0x71}, {0x92, 0x92}, {0xA0, 0xA1}, {0xE9, 0xE9}, {0xF4, 0xF4},
    {0x3F8, 0x3FF}, {0x402, 0x402}, {0x4D0, 0x4D1}, {0x600, 0x60B}, {0xCF8, 0xCFF},
};

static bool is_claimed(u32 port, u32 size)
{
    for (u32 i = 0; i < ARRAY_SIZE(claimed); i++) {
        if (port <= claimed[i].last && port + size > claimed[i].first) {
            return true;
        }
    }
    return false;
}

/* Row 23: every port that no device has, at three widths, written with zero first. */
static void unclaimed(void)
{
    u32 wrong = 0, tried = 0;

    for (u32 port = 0; port < 0x10000; port++) {
        if (!is_claimed(port, 1)) {
            outb((u16)port, 0);
            wrong += inb((u16)port) != 0xFF;
            tried++;
        }
        if ((port & 0xFF) < 4 && !is_claimed(port, 4)) { /* unaligned ones, too */
            outl((u16)port, 0);
            outw((u16)port, 0);
            wrong += inw((u16)port) != 0xFFFF;
            wrong += inl((u16)port) != 0xFFFFFFFF;
            tried++;
        }
    }
    check(wrong == 0 && tried > 65000, "unclaimed-ones", "wrong=%u", wrong);
    u64 rax = PATTERN;
    __asm__ volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(0xFFFF)); /* beyond the last port */
    bool narrow = (rax & ~0xFFFFULL) == (PATTERN & ~0xFFFFULL);
    __asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(0xFFFD));
    check(narrow && rax == 0xFFFFFFFF, "port-wrap", "rax=0x%lx", rax);
}

/* Row 24: both halves of the space and the seams of bitmaps; the host's trace shows each. */
static void traps(void)
{
    static const u16 ports[] = {0, 0x1FFF, 0x2000, 0x7FFF, 0x8000, 0xA000, 0xFFFF};
    u32 wrong = 0;

    print("trace begins\n");
    for (u32 i = 0; i < ARRAY_SIZE(ports); i++) {
        outb(ports[i], (u8)(0x41 + i));
        wrong += inb(ports[i]) != 0xFF;
    }
    print("trace ends\n");
    check(wrong == 0, "trap-seams", "wrong=%u", wrong);
}

/* Row 23: registers of the PC's own that keep what this VM wrote, and writes that must stay without effect. */
static void system_ports(void)
{
    outl(CF8, 0x80001234);
    u32 address = inl(CF8);
    outb(CF8 + 3, 0x55); /* bytes pass by */
    check(address == 0x80001234 && inl(CF8) == address && inl(CF8 + 4) == 0xFFFFFFFF, "pci-config", "address=0x%x", address);
    outl(CF8, 0x80FFF800); /* the last device of the last bus */
    outl(CF8 + 4, 0x12345678);
    check(inl(CF8 + 4) == 0xFFFFFFFF && inw(CF8 + 4) == 0xFFFF, "pci-nothing", "id=0x%x", inl(CF8 + 4));
    outb(0xCF9, 0x02);
    check(inb(0xCF9) == 0x02, "reset-type", "cf9=0x%x", inb(0xCF9));
    outb(0x92, 0x00);
    static volatile u8 mark; /* above 1 MiB: without A20 the same as a megabyte below */
    volatile u8 *high = &mark, *low = (volatile u8 *)((u64)&mark ^ 1 << 20);
    u8 before = *high;
    *low = (u8)~before;
    check((inb(0x92) & 2) != 0 && *high == before, "a20-stays", "port92=0x%x", inb(0x92));
    outb(0x64, 0xAA);
    u32 waiting = inb(0x64) & 1;
    check(waiting == 1 && inb(0x60) == 0x55 && (inb(0x64) & 1) == 0, "keyboard-self-test", "status=0x%x", inb(0x64));
    outb(0x64, 0xD1);
    outb(0x60, 0xFD); /* output port: A20 off, reset line high */
    *low = (u8)~before;
    check(*high == before, "keyboard-a20", "high=0x%x", *high);
    pic_setup(0x20);
    outb(0x21, 0xA5);
    outb(0xA1, 0x5A);
    check(inb(0x21) == 0xA5 && inb(0xA1) == 0x5A, "pic-masks", "0x%x 0x%x", inb(0x21), inb(0xA1));
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
    check(inb(0xE9) == 0xE9, "debug-port", "0x%x", inb(0xE9));
}

/* Row 26: sixteen bytes through the UART's loopback and back, across a page boundary in the middle of memory. */
static void string_loopback(void)
{
    static u8 pages[4][4096] __attribute__((aligned(4096)));
    u64 from_va = 0xC0000000, to_va = 0xC0010000, n = 16;

    map_page(from_va, (u64)pages[2], PAGE_PRESENT | PAGE_WRITE);
    map_page(from_va + 4096, (u64)pages[0], PAGE_PRESENT | PAGE_WRITE);
    map_page(to_va, (u64)pages[3], PAGE_PRESENT | PAGE_WRITE);
    map_page(to_va + 4096, (u64)pages[1], PAGE_PRESENT | PAGE_WRITE);
    u64 from = from_va + 4096 - 7, to = to_va + 4096 - 5;
    for (u32 i = 0; i < n; i++) {
        ((u8 *)from)[i] = (u8)(0x30 + i * 5);
    }
    outb(PORT_COM1 + 2, 0x07); /* FIFOs on and empty */
    outb(MCR, MCR_LOOP);
    u64 si = from, di = to, out = n, in = n;
    __asm__ volatile("rep outsb" : "+S"(si), "+c"(out) : "d"(PORT_COM1) : "memory");
    __asm__ volatile("rep insb" : "+D"(di), "+c"(in) : "d"(PORT_COM1) : "memory");
    outb(MCR, 0x0B);
    bool same = memcmp((void *)from, (void *)to, n) == 0 && memcmp(&pages[3][4091], &pages[2][4089], 5) == 0;
    check(same && si == from + n && di == to + n && out == 0 && in == 0, "rep-loopback", "si=0x%lx di=0x%lx", si, di);
    u32 words[3] = {0x80000004, 0x80000008, 0x8000000C}, back[3] = {0, 0, 0};
    si = (u64)words;
    di = (u64)back;
    out = in = 3;
    __asm__ volatile("rep outsl" : "+S"(si), "+c"(out) : "d"(CF8) : "memory");
    __asm__ volatile("rep insl" : "+D"(di), "+c"(in) : "d"(CF8) : "memory");
    check(back[0] == words[2] && back[2] == words[2] && si == (u64)(words + 3), "rep-dwords", "0x%x", back[0]);
    u64 kept = PATTERN;
    __asm__ volatile("mov $0, %%ecx; rep insb" : "+D"(kept) : "d"(PORT_SCRATCH) : "rcx", "memory");
    check(kept == PATTERN, "rep-zero-count", "rdi=0x%lx", kept);
}

void guest_main(void)
{
    traps();
    unclaimed();
    system_ports();
    string_loopback();
}
