/* How long an interrupt takes from one CPU to another: to one that sleeps, and to one that spins. Every CPU of the VM sits on a
 * host CPU of its own. Then everybody sleeps but CPU 0, until something is typed. With selftest=on, vcpus=3. */
#include "tests/guests/kit/apic.h"

#define VECTOR 0x51U
#define ROUNDS 100U
#define SLEEPER 1U
#define SPINNER 2U
#define LSR_DATA 1U

static volatile u32 up, taken[3];
static volatile u64 came[3]; /* TSC in the handler */

static void on_vector(u32 vector)
{
    u32 me = cpu_index();

    (void)vector;
    came[me] = rdtsc();
    __atomic_fetch_add(&taken[me], 1, __ATOMIC_SEQ_CST);
    apic_set(APIC_EOI, 0);
}

static void settle(void)
{
    apic_enable(false);
    (void)hypercall(MOTE_HC_MOVE, cpu_index(), 0, 0, 0, 0, 0); /* refused when there are fewer CPUs than that */
    sti();
    __atomic_fetch_add(&up, 1, __ATOMIC_SEQ_CST);
}

static void sleep_for_good(void)
{
    settle();
    for (;;) {
        __asm__ volatile("hlt" ::: "memory");
    }
}

static void spin(void)
{
    volatile u64 turns = 0;

    settle();
    while (taken[SPINNER] < ROUNDS) {
        turns++;
    }
    for (;;) {
        __asm__ volatile("hlt" ::: "memory");
    }
}

/* Send ROUNDS interrupts, one at a time. */
static void measure(const char *name, u32 cpu)
{
    u64 ns = time_ns(), tsc = rdtsc(), worst = 0, sum = 0;
    u32 answered = 0;

    for (u32 i = 0; i < ROUNDS; i++) {
        wait_us(200); /* it falls asleep again */
        u64 sent = rdtsc();
        apic_send(cpu, VECTOR);
        answered += wait_count(&taken[cpu], i + 1, 5000) == i + 1;
        u64 late = came[cpu] - sent;
        worst = late > worst ? late : worst;
        sum += late;
    }
    u64 per_us = (rdtsc() - tsc) * 1000 / (time_ns() - ns);
    check(answered == ROUNDS, name, "answered=%u mean-us=%lu worst-us=%lu", answered, sum / ROUNDS / per_us, worst / per_us);
}

void guest_main(void)
{
    pic_setup(32);
    set_handler(VECTOR, on_vector);
    settle();
    bool started = start_cpu(SLEEPER, sleep_for_good) && start_cpu(SPINNER, spin);
    u32 there = wait_count(&up, 3, 5000);
    check(started && there == 3, "up", "up=%u", there);
    measure("to-a-sleeper", SLEEPER);
    measure("to-a-spinner", SPINNER);
    print("asleep\n");
    while ((inb(PORT_LSR) & LSR_DATA) == 0) {
    }
    apic_send(SLEEPER, VECTOR);
    u32 n = wait_count(&taken[SLEEPER], ROUNDS + 1, 5000);
    check(n == ROUNDS + 1, "woken", "taken=%u", n);
}
