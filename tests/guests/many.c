/* As many CPUs as vcpus= says (the kit's limit is 32): each starts, prints its id, counts, and takes an interrupt. Then a
 * million are sent to CPUs that take none, and each vector comes to each CPU once. */
#include "tests/guests/kit/apic.h"

#define VECTOR 0x51U
#define ROUNDS 1000000U
#define FIRST 32U
#define VECTORS (256U - FIRST)
#define FLOOD 1000000U
#define FLOOD_SLOW 30000U /* on Intel's CPUs, which are Bochs' */

#define RSDP_FIRST 0xE0000UL
#define RSDP_END 0x100000UL
#define XSDT_HEADER 36U
#define MADT_HEADER 44U

static volatile u32 done, answers, lock, agreed, gathers, gathered;
static volatile u32 counts[256];

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

/* The id is the same wherever the CPU says it. */
static void compare_ids(void)
{
    u32 leaf_1[4], leaf_b[4];

    cpuid(1, 0, leaf_1);
    cpuid(0xB, 0, leaf_b);
    if (leaf_1[1] >> 24 == leaf_b[3] && leaf_b[3] == apic_get(APIC_ID)) {
        __atomic_fetch_add(&agreed, 1, __ATOMIC_SEQ_CST);
    }
}

static const u8 *find_table(const char *signature)
{
    u64 rsdp = RSDP_FIRST;

    while (rsdp < RSDP_END && memcmp((void *)rsdp, "RSD PTR ", 8) != 0) {
        rsdp += 16;
    }
    if (rsdp == RSDP_END) {
        return NULL;
    }
    const u8 *xsdt = (const u8 *)*(const u64 *)(rsdp + 24);
    for (u32 at = XSDT_HEADER; at < *(const u32 *)(xsdt + 4); at += 8) {
        const u8 *table = (const u8 *)*(const u64 *)(xsdt + at);
        if (memcmp(table, signature, 4) == 0) {
            return table;
        }
    }
    return NULL;
}

/* The enabled CPUs that the firmware's table lists, as a mask of their ids. */
static u64 listed_cpus(void)
{
    const u8 *madt = find_table("APIC");
    u64 mask = 0;

    for (u32 at = MADT_HEADER; madt != NULL && at < *(const u32 *)(madt + 4); at += madt[at + 1]) {
        const u8 *entry = madt + at;
        if (entry[0] == 0 && (entry[4] & 1) != 0) {
            mask |= 1UL << entry[3];
        }
    }
    return mask;
}

static void work(void)
{
    volatile u32 sum = 0;

    apic_enable(true);
    compare_ids();
    for (u32 i = 0; i < ROUNDS; i++) {
        sum++;
    }
    say(cpu_index(), sum);
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        __asm__ volatile("sti; hlt" ::: "memory");
    }
}

/* --- a million pending ------------------------------------------------------------------------------------------------- */

static void on_count(u32 vector)
{
    __atomic_fetch_add(&counts[vector], 1, __ATOMIC_SEQ_CST);
    apic_set(APIC_EOI, 0);
}

static void on_nmi(u32 vector)
{
    (void)vector;
}

static bool something_waits(void)
{
    u32 any = 0;

    for (u32 i = 0; i < 8; i++) {
        any |= apic_get(APIC_IRR + i) | apic_get(APIC_ISR + i);
    }
    return any != 0;
}

static void take_all(void)
{
    sti();
    while (something_waits()) {
        __asm__ volatile("pause");
    }
    cli();
    __atomic_fetch_add(&gathered, 1, __ATOMIC_SEQ_CST);
}

/* Waits with interrupts off for an NMI, then takes what has gathered. */
static void gather(void)
{
    apic_enable(true);
    __atomic_fetch_add(&gathers, 1, __ATOMIC_SEQ_CST);
    __asm__ volatile("cli; hlt" ::: "memory");
    take_all();
}

static void test_million(u32 cpus)
{
    u32 flood = on_amd() ? FLOOD : FLOOD_SLOW, wrong = 0, up = 1, sent = 0;

    set_handler(2, on_nmi);
    for (u32 vector = FIRST; vector < 256; vector++) {
        set_handler(vector, on_count);
    }
    for (u32 i = 1; i < cpus; i++) {
        up += start_cpu(i, gather);
    }
    (void)wait_count(&gathers, cpus - 1, 10000);
    for (; sent < flood; sent += cpus) {
        apic_send(0, ICR_ALL | (FIRST + sent / cpus % VECTORS));
    }
    apic_send(0, ICR_OTHERS | ICR_NMI);
    take_all();
    u32 all = wait_count(&gathered, cpus, 60000);
    for (u32 vector = FIRST; vector < 256; vector++) {
        wrong += counts[vector] != cpus;
    }
    check(up == cpus && all == cpus && wrong == 0, "million-pending", "cpus=%u sent=%u vectors=%u wrong=%u", all, sent,
          VECTORS, wrong);
}

void guest_main(void)
{
    u32 up = 0, topology[4];

    pic_setup(32);
    set_handler(VECTOR, on_vector);
    apic_enable(true);
    compare_ids();
    cpuid(0xB, 1, topology);
    u32 cpus = topology[1];
    for (u32 i = 1; i < cpus; i++) {
        up += start_cpu(i, work);
    }
    u32 finished = wait_count(&done, cpus - 1, 60000);
    check(cpus >= 2 && up == cpus - 1 && finished == up, "many-cpus", "cpus=%u up=%u done=%u", cpus, up, finished);
    u64 listed = listed_cpus();
    check(agreed == cpus && listed == (1UL << cpus) - 1, "many-ids", "agreed=%u listed=0x%lx", agreed, listed);
    apic_send(0, ICR_OTHERS | VECTOR);
    u32 answered = wait_count(&answers, cpus - 1, 10000);
    check(answered == cpus - 1, "many-answers", "answers=%u", answered);
    test_million(cpus);
}
