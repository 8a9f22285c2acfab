/* As many CPUs as vcpus= says (the kit's limit is 32): each starts, prints its id, counts, and takes an interrupt. */
#include "tests/guests/kit/apic.h"

#define VECTOR 0x51U
#define ROUNDS 1000000U

static volatile u32 done, answers, lock;

static void on_vector(u32 vector)
{
    (void)vector;
    __atomic_fetch_add(&answers, 1, __ATOMIC_SEQ_CST);
    apic_set(APIC_EOI, 0);
}

static void say(u32 id, u32 sum)
{
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_SEQ_CST) != 0) {
        __asm__ volatile("pause");
    }
    print("cpu %u sum=%u\n", id, sum);
    __atomic_store_n(&lock, 0, __ATOMIC_SEQ_CST);
}

static void work(void)
{
    volatile u32 sum = 0;

    apic_enable(true);
    for (u32 i = 0; i < ROUNDS; i++) {
        sum++;
    }
    say(cpu_index(), sum);
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        __asm__ volatile("sti; hlt" ::: "memory");
    }
}

void guest_main(void)
{
    u32 up = 0, topology[4];

    pic_setup(32);
    set_handler(VECTOR, on_vector);
    apic_enable(true);
    cpuid(0xB, 1, topology);
    u32 cpus = topology[1];
    for (u32 i = 1; i < cpus; i++) {
        up += start_cpu(i, work);
    }
    u32 finished = wait_count(&done, cpus - 1, 60000);
    check(cpus >= 2 && up == cpus - 1 && finished == up, "many-cpus", "cpus=%u up=%u done=%u", cpus, up, finished);
    apic_send(0, ICR_OTHERS | VECTOR);
    u32 answered = wait_count(&answers, cpus - 1, 10000);
    check(answered == cpus - 1, "many-answers", "answers=%u", answered);
}
