/* CPUs that pass a token round, each waiting for its turn with PAUSE: on fewer host CPUs they get on only if one that waits
 * gives way to one that has the token. */
#include "tests/guests/kit/apic.h"

#define ROUNDS 50U

static volatile u32 token, ready;
static u32 cpus;

static void play(void)
{
    u32 me = cpu_index();

    sti();
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    while (ready < cpus) {
        __asm__ volatile("pause");
    }
    for (u32 round = 0; round < ROUNDS; round++) {
        while (token != round * cpus + me) {
            __asm__ volatile("pause");
        }
        token = round * cpus + me + 1;
    }
}

void guest_main(void)
{
    u32 topology[4], up = 1;

    pic_setup(32);
    apic_enable(true);
    cpuid(0xB, 1, topology);
    cpus = topology[1];
    for (u32 i = 1; i < cpus; i++) {
        up += start_cpu(i, play);
    }
    check(up == cpus, "cpus", "up=%u", up);
    u64 start = time_ns();
    play();
    u32 passed = wait_count(&token, ROUNDS * cpus, 20000);
    check(passed == ROUNDS * cpus, "turns", "passed=%u us-each=%lu", passed, (time_ns() - start) / 1000 / passed);
}
