/* On which of the host's CPUs it runs. VM 0 is moved from one to the next, a thousand times, and must not notice; the others
 * look where they are, ten thousand times. With selftest=on. */
#include "tests/guests/kit/kit.h"

#define MOVES 1000U
#define SAMPLES 10000U
#define STEPS 100U
#define TRIES 20U
#define WINDOW 0x600000ULL /* an address that is now one page, now the other */
#define PAGE_A 0x610000ULL
#define PAGE_B 0x611000ULL
#define CPUS_MAX 64U
#define CR4_OSFXSR 0x200ULL

static u32 here(void)
{
    return (u32)hypercall(MOTE_HC_CPU, 0, 0, 0, 0, 0, 0);
}

static bool go(u32 cpu)
{
    return hypercall(MOTE_HC_MOVE, cpu, 0, 0, 0, 0, 0) == 0;
}

/* Where others run as well, the host may send it on to an idle CPU before it can look. */
static bool arrive(u32 cpu)
{
    for (u32 tries = 0; tries < TRIES; tries++) {
        if (!go(cpu)) {
            return false;
        }
        if (here() == cpu) {
            return true;
        }
    }
    return false;
}

static u64 window(void)
{
    return *(volatile u64 *)WINDOW;
}

/* Vector registers are not the compiler's here. */
static void set_xmm(u64 value)
{
    __asm__ volatile("movq %0, %%xmm7" ::"r"(value));
}

static u64 get_xmm(void)
{
    u64 value;

    __asm__ volatile("movq %%xmm7, %0" : "=r"(value));
    return value;
}

static u32 count_cpus(void)
{
    u32 cpus = 0;

    while (cpus < CPUS_MAX && go(cpus)) {
        cpus++;
    }
    return cpus;
}

static void be_moved(void)
{
    u32 cpus = count_cpus(), astray = 0, stale = 0, lost = 0;
    volatile u64 sum = 0;
    u64 page = PAGE_A;

    WRITE_REG(cr4, READ_REG(cr4) | CR4_OSFXSR);
    *(volatile u64 *)PAGE_A = PAGE_A;
    *(volatile u64 *)PAGE_B = PAGE_B;
    map_page(WINDOW, page, PAGE_PRESENT | PAGE_WRITE);
    for (u32 i = 0; i < MOVES; i++) {
        u32 cpu = (here() + 1 + random32() % (cpus - 1)) % cpus;
        set_xmm(i);
        astray += !arrive(cpu);
        lost += get_xmm() != i;
        stale += window() != page; /* as the CPU before saw it, whatever this one saw last */
        page = page == PAGE_A ? PAGE_B : PAGE_A;
        map_page(WINDOW, page, PAGE_PRESENT | PAGE_WRITE);
        stale += window() != page;
        for (u32 step = 0; step < STEPS; step++) {
            sum += step;
        }
    }
    u64 want = (u64)MOVES * (STEPS * (STEPS - 1) / 2);
    check(cpus > 1 && astray == 0, "moved", "cpus=%u moves=%u astray=%u", cpus, MOVES, astray);
    check(sum == want, "sum", "sum=%lu", sum);
    check(stale == 0 && lost == 0, "state", "stale=%u lost=%u", stale, lost);
}

static void look(void)
{
    u64 mask = 0;

    for (u32 i = 0; i < SAMPLES; i++) {
        mask |= 1ULL << here();
    }
    check(true, "where", "mask=0x%lx samples=%u", mask, SAMPLES);
    u64 refused = 0;
    for (u32 cpu = 0; cpu < CPUS_MAX; cpu++) {
        refused |= go(cpu) ? 0 : 1ULL << cpu;
    }
    check(!go(1U << 20), "refused", "allowed=0x%lx", ~refused);
}

void guest_main(void)
{
    sti();
    if (hypercall(MOTE_HC_VM_ID, 0, 0, 0, 0, 0, 0) == 0) {
        be_moved();
    } else {
        look();
    }
}
