/* Looks for others' memory (row 49): what this VM was given is zero, whoever had it before; nothing that another VM writes ever
 * shows anywhere in its guest-physical space; and what it wrote itself stays. */
#include "tests/guests/kit/apic.h"

#define PAGE 4096ULL
#define FIRST 0x400000ULL /* above this payload */
#define STEP 0x1000000ULL /* between samples of what is no memory */
#define HIGH_START 0x100000000ULL
#define WINDOW 0xC0000000ULL /* an address to map high pages at */
#define MARKS 8U             /* in each page */
#define LOOKS 2U
#define PAUSE_US 5000U

static u64 mine;
static volatile u64 tag_inverted = ~0x5CA7ULL; /* so that the payload's own bytes are no mark */

static u64 low_bytes(void)
{
    outb(0x70, 0x35);
    u64 high = inb(0x71);
    outb(0x70, 0x34);
    return 0x1000000ULL + ((high << 8 | inb(0x71)) << 16);
}

static bool is_foreign(u64 word)
{
    return word >> 48 == (u16)~tag_inverted && word >> 40 != mine >> 40;
}

/* Bytes from the first that is not zero; 0: all are. */
static u64 first_nonzero(u64 start, u64 end)
{
    u64 left = (end - start) / 8;
    bool zero;

    __asm__ volatile("repe scasq" : "+D"(start), "+c"(left), "=@ccz"(zero) : "a"(0ULL) : "memory");
    return zero ? 0 : start - 8;
}

static void mark(u64 end)
{
    for (u64 at = FIRST; at < end; at += PAGE / MARKS) {
        *(volatile u64 *)at = mine | at;
    }
}

static u64 marks_lost(u64 end)
{
    u64 lost = 0;

    for (u64 at = FIRST; at < end; at += PAGE / MARKS) {
        lost += *(volatile u64 *)at != (mine | at);
    }
    return lost;
}

static u64 foreign_below(u64 end)
{
    u64 found = 0;

    for (u64 at = PAGE; at < end; at += 8) {
        found += is_foreign(*(volatile u64 *)at);
    }
    return found;
}

/* What is no memory: all ones, but for devices. */
static void look_outside(u64 end)
{
    u32 r[4];
    u64 foreign = 0, ones = 0, samples = 0;

    for (u64 at = end; at < HIGH_START; at += STEP, samples++) {
        u64 word = *(volatile u64 *)at;
        foreign += is_foreign(word);
        ones += word == ~0ULL;
    }
    cpuid(0x80000008, 0, r);
    for (u32 bit = 32; bit < (r[0] & 0xFF); bit++, samples++) {
        map_page(WINDOW, 1ULL << bit, PAGE_PRESENT | PAGE_WRITE);
        u64 word = *(volatile u64 *)WINDOW;
        foreign += is_foreign(word);
        ones += word == ~0ULL;
    }
    check(foreign == 0 && samples - ones < 8, "outside", "foreign=%lu samples=%lu ones=%lu", foreign, samples, ones);
}

void guest_main(void)
{
    u64 end = low_bytes(), lost = 0;
    u64 nonzero = first_nonzero(FIRST, end);

    mine = ~tag_inverted << 48 | (hypercall(MOTE_HC_VM_ID, 0, 0, 0, 0, 0, 0) & 0xFF) << 40;
    check(nonzero == 0, "zero-at-start", "at=0x%lx bytes=%llu", nonzero, end - FIRST);
    mark(end);
    for (u32 i = 0; i < LOOKS; i++) {
        wait_us(PAUSE_US);
        lost += marks_lost(end);
    }
    u64 foreign = foreign_below(FIRST);
    check(lost == 0, "own-marks", "lost=%lu", lost);
    check(foreign == 0, "no-foreign-marks", "found=%lu", foreign);
    look_outside(end);
}
