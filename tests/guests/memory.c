/* All of the VM's memory is there, and every page is its own: writes each page's address into it, reads all back. Sizes
 * are the CMOS's, as a BIOS tells them. */
#include "tests/guests/kit/kit.h"

#define PAGE 4096ULL
#define FIRST 0x400000ULL /* above this payload */
#define HIGH_START 0x100000000ULL
#define WINDOW 0xC0000000ULL /* an address to map high pages at */
#define WINDOW_STEPS 32

static u32 cmos(u8 index)
{
    outb(0x70, index);
    return inb(0x71);
}

static u64 low_bytes(void)
{
    return 0x1000000ULL + ((u64)(cmos(0x35) << 8 | cmos(0x34)) << 16);
}

static u64 high_bytes(void)
{
    return (u64)(cmos(0x5D) << 16 | cmos(0x5C) << 8 | cmos(0x5B)) << 16;
}

static void test_low(u64 end)
{
    u64 bad = 0;

    for (u64 at = FIRST; at < end; at += PAGE) {
        *(volatile u64 *)at = ~at;
    }
    for (u64 at = FIRST; at < end; at += PAGE) {
        bad += *(volatile u64 *)at != ~at || *(volatile u64 *)(at + PAGE / 2) != 0;
    }
    check(bad == 0, "low-pages", "bytes=%lu bad=%lu", end, bad);
    check(*(volatile u64 *)end == ~0ULL, "low-end", "0x%lx", *(volatile u64 *)end);
}

/* The kit maps 4 GiB: a window of one page moves over samples of what lies above. */
static void test_high(u64 bytes)
{
    u64 bad = 0;

    for (u64 i = 0; i < WINDOW_STEPS; i++) {
        map_page(WINDOW, HIGH_START + ((bytes / WINDOW_STEPS * i) & ~(PAGE - 1)), PAGE_PRESENT | PAGE_WRITE);
        *(volatile u64 *)WINDOW = ~i;
    }
    for (u64 i = 0; i < WINDOW_STEPS; i++) {
        map_page(WINDOW, HIGH_START + ((bytes / WINDOW_STEPS * i) & ~(PAGE - 1)), PAGE_PRESENT | PAGE_WRITE);
        bad += *(volatile u64 *)WINDOW != ~i;
    }
    check(bad == 0, "high-pages", "bytes=%lu bad=%lu", bytes, bad);
}

void guest_main(void)
{
    u64 high = high_bytes();

    test_low(low_bytes());
    if (high != 0) {
        test_high(high);
    }
}
