/* Registers that an exit must not disturb: RAX by the width of IN (row 25), the debug registers and single-stepping. */
#include "tests/guests/kit/kit.h"

#define DB 1
#define PORT_NOTHING 0x5A0

/* --- IN by width --- */

static void check_in(void)
{
    u64 al = 0x1122334455667788ULL, ax = al, eax = al;

    __asm__ volatile("inb %w1, %%al" : "+a"(al) : "d"(PORT_NOTHING));
    __asm__ volatile("inw %w1, %%ax" : "+a"(ax) : "d"(PORT_NOTHING));
    __asm__ volatile("inl %w1, %%eax" : "+a"(eax) : "d"(PORT_NOTHING));
    check(al == 0x11223344556677FFULL && ax == 0x112233445566FFFFULL && eax == 0xFFFFFFFFULL, "in-width",
          "al=0x%lx ax=0x%lx eax=0x%lx", al, ax, eax);
}

/* --- debug registers --- */

#define WATCHES 100U
#define SPIN 20000U

/* Again and again, and long enough for others to run between: where they have one too, theirs do not come in between. */
static void check_watch(void)
{
    static volatile u64 watched;
    u32 hits = 0, told = 0;

    WRITE_REG(dr0, (u64)&watched);
    for (u32 i = 0; i < WATCHES; i++) {
        WRITE_REG(dr6, 0ULL);
        WRITE_REG(dr7, 0x500ULL | 1 | 0xDULL << 16); /* write, 4 bytes */
        for (volatile u32 n = 0; n < SPIN; n++) {
        }
        hits += TRY("movl $1, %0\n\tnop", : "=m"(watched) :) == DB;
        told += (READ_REG(dr6) & 0xF) == 1;
        WRITE_REG(dr7, 0x400ULL);
    }
    check(hits == WATCHES && told == WATCHES, "data-breakpoint", "hits=%u by-number=%u", hits, told);
}

/* An address to execute, beyond 4 GiB: below, QEMU's CPU must not know of any. */
static void check_execute(void)
{
    static u8 code[4096] __attribute__((aligned(4096))) = {0x41, 0xFF, 0xE7}; /* JMP R15, which TRY has loaded */
    const u64 at = 0x8000000000ULL;

    map_page(at, (u64)code, PAGE_PRESENT);
    int before = TRY("jmp *%0", : : "r"(at));
    WRITE_REG(dr1, at);
    WRITE_REG(dr7, 0x400ULL | 8);
    int with = TRY("jmp *%0", : : "r"(at));
    bool there = fault_rip == at;
    WRITE_REG(dr7, 0x400ULL);
    int after = TRY("jmp *%0", : : "r"(at));
    check(before == NO_FAULT && with == DB && there && after == NO_FAULT, "code-breakpoint", "before=%d with=%d rip=0x%lx after=%d",
          before, with, (u64)fault_rip, after);
}

static u32 steps, step_dr6;

static void count_step(u32 vector)
{
    (void)vector;
    steps++;
    step_dr6 += (READ_REG(dr6) >> 14 & 1) != 0;
    WRITE_REG(dr6, 0ULL);
}

static void check_debug(void)
{
    WRITE_REG(dr0, 0x1111111111ULL);
    WRITE_REG(dr1, 0x2222222222ULL);
    WRITE_REG(dr2, 0x3333333333ULL);
    WRITE_REG(dr3, 0x4444444444ULL);
    WRITE_REG(dr7, 0x500ULL);
    bool kept = READ_REG(dr0) == 0x1111111111ULL && READ_REG(dr1) == 0x2222222222ULL &&
                READ_REG(dr2) == 0x3333333333ULL && READ_REG(dr3) == 0x4444444444ULL && READ_REG(dr7) == 0x500;
    check(kept, "debug-registers", "dr7=0x%lx", READ_REG(dr7));
    set_handler(DB, count_step);
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tcpuid\n\tnop\n\t"
                     "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" ::: "rax", "rbx", "rcx", "rdx", "memory", "cc");
    set_handler(DB, NULL);
    check(steps == 6 && step_dr6 == 6, /* an exit on the way, CPUID, counts like the others */
          "single-step", "steps=%u by-step=%u", steps, step_dr6);
}

void guest_main(void)
{
    check_in();
    check_debug();
    check_watch();
    check_execute();
}
