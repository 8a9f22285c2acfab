/* Four CPUs and every way to name the destination of an interrupt; INIT and SIPI to CPUs that run. Wants vcpus=4. */
#include "tests/guests/kit/apic.h"

#define CPUS 4U
#define VECTOR 0x51U
#define GO_X2 0x52U
#define GRACE_US 2000U
#define EVERYBODY 0xFU

static volatile u32 got[CPUS], nmis[CPUS], ready, restarts[CPUS], spins[CPUS];
static volatile bool wanted_x2;
static u32 wrong, sent;

static void on_vector(u32 vector)
{
    (void)vector;
    __atomic_fetch_add(&got[cpu_index()], 1, __ATOMIC_SEQ_CST);
    apic_set(APIC_EOI, 0);
}

static void on_nmi(u32 vector)
{
    (void)vector;
    __atomic_fetch_add(&nmis[cpu_index()], 1, __ATOMIC_SEQ_CST);
}

static void on_go_x2(u32 vector)
{
    (void)vector;
    apic_set(APIC_EOI, 0);
    apic_enable(true);
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
}

static void other_cpu(void)
{
    u32 me = cpu_index();

    restarts[me]++;
    apic_enable(wanted_x2);
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        __asm__ volatile("sti; hlt" ::: "memory");
    }
}

static void spinning_cpu(void)
{
    u32 me = cpu_index();

    restarts[me]++;
    for (;;) { /* in Bochs, a CPU entered with interrupts off is not interrupted until it turns them on */
        spins[me]++;
        __asm__ volatile("sti; nop; cli" ::: "memory");
    }
}

static u32 bits(u32 mask)
{
    u32 count = 0;

    for (; mask != 0; mask &= mask - 1) {
        count++;
    }
    return count;
}

static u32 total(const volatile u32 *counts)
{
    u32 sum = 0;

    for (u32 i = 0; i < CPUS; i++) {
        sum += counts[i];
    }
    return sum;
}

/* Send and see who got it, once each: one bit per CPU, bit 31 when somebody got it twice. */
static u32 reached(volatile u32 *counts, u32 destination, u32 icr, u32 expected_total)
{
    u32 who = 0;
    u64 end = time_ns() + 500000000;

    for (u32 i = 0; i < CPUS; i++) {
        counts[i] = 0;
    }
    apic_send(destination, icr);
    sti();
    while (total(counts) < expected_total && time_ns() < end) {
        __asm__ volatile("pause");
    }
    if (expected_total == 0) {
        wait_us(GRACE_US);
    }
    cli();
    for (u32 i = 0; i < CPUS; i++) {
        who |= (counts[i] != 0) << i | (counts[i] > 1 ? 1U << 31 : 0);
    }
    return who;
}

static void expect(u32 destination, u32 icr, u32 who)
{
    u32 seen = reached(got, destination, icr | VECTOR, bits(who));

    sent++;
    if (seen != who) {
        wrong++;
        print("destination=0x%x icr=0x%x reached=0x%x expected=0x%x\n", destination, icr | VECTOR, seen, who);
    }
}

static void report(const char *name)
{
    check(wrong == 0, name, "sent=%u wrong=%u", sent, wrong);
    wrong = sent = 0;
}

static void test_physical(const char *name, u32 broadcast)
{
    for (u32 i = 0; i < CPUS; i++) {
        expect(i, 0, 1U << i);
    }
    expect(CPUS, 0, 0);
    expect(broadcast - 1, 0, 0);
    expect(broadcast, 0, EVERYBODY);
    report(name);
}

static void test_shorthands(const char *name)
{
    expect(3, ICR_SELF, 1);
    expect(3, ICR_ALL, EVERYBODY);
    expect(3, ICR_OTHERS, EVERYBODY & ~1U);
    report(name);
}

static void test_logical(const char *name, u32 broadcast)
{
    for (u32 mask = 0; mask <= EVERYBODY; mask++) {
        expect(mask, ICR_LOGICAL, mask);
    }
    expect(broadcast, ICR_LOGICAL, EVERYBODY);
    report(name);
}

static void test_lowest(const char *name)
{
    u32 seen = 0;

    for (u32 i = 0; i < 8; i++) {
        u32 who = reached(got, 0xE, ICR_LOWEST | ICR_LOGICAL | VECTOR, 1);
        seen |= who;
        wrong += bits(who) != 1 || (who & ~0xEU) != 0;
        sent++;
    }
    check(wrong == 0, name, "sent=%u wrong=%u who=0x%x", sent, wrong, seen);
    wrong = sent = 0;
}

static void test_nmi(const char *name)
{
    u32 each = 0;

    for (u32 i = 1; i < CPUS; i++) {
        each |= reached(nmis, i, ICR_NMI, 1) & 1U << i;
    }
    u32 others = reached(nmis, 0, ICR_NMI | ICR_OTHERS, CPUS - 1);
    check(each == 0xE && others == 0xE, name, "each=0x%x others=0x%x", each, others);
}

static u32 sum_of_logical_ids; /* set up by each CPU for itself */

static void set_logical(u32 vector)
{
    (void)vector;
    apic_set(APIC_DFR, ~0U);
    apic_set(APIC_LDR, 1U << (24 + cpu_index()));
    __atomic_fetch_add(&sum_of_logical_ids, 1, __ATOMIC_SEQ_CST);
    apic_set(APIC_EOI, 0);
}

static void set_cluster(u32 vector)
{
    u32 me = cpu_index();

    (void)vector;
    apic_set(APIC_DFR, 0x0FFFFFFF);
    apic_set(APIC_LDR, (me / 2 << 4 | 1U << me % 2) << 24);
    __atomic_fetch_add(&sum_of_logical_ids, 1, __ATOMIC_SEQ_CST);
    apic_set(APIC_EOI, 0);
}

static void on_every_cpu(u32 vector, irq_fn fn)
{
    set_handler(vector, fn);
    sum_of_logical_ids = 0;
    apic_send(0, ICR_ALL | vector);
    sti();
    (void)wait_count(&sum_of_logical_ids, CPUS, 1000);
    cli();
}

static void test_cluster(void)
{
    on_every_cpu(0x54, set_cluster);
    for (u32 to = 0; to < 0x40; to++) {
        u32 members = (to & 0xC) != 0 && (to & 3) == 0 ? 0 : to >> 4 < 2 ? (to & 3) << (to >> 4) * 2 : 0;
        expect(to, ICR_LOGICAL, members);
    }
    expect(0xFF, ICR_LOGICAL, EVERYBODY);
    report("xapic-cluster");
}

static void start_all(void)
{
    u32 up = 0;

    ready = 0;
    for (u32 i = 1; i < CPUS; i++) {
        up += start_cpu(i, other_cpu);
    }
    (void)wait_count(&ready, CPUS - 1, 1000);
    check(up == CPUS - 1 && ready == up, "start-cpus", "up=%u ready=%u", up, ready);
}

static void to_x2apic(void)
{
    ready = 0;
    wanted_x2 = true;
    set_handler(GO_X2, on_go_x2);
    apic_send(0, ICR_OTHERS | GO_X2);
    (void)wait_count(&ready, CPUS - 1, 1000);
    apic_enable(true);
    check(ready == CPUS - 1, "to-x2apic", "ready=%u", ready);
}

/* Soon, on a machine whose threads wait for each other, too. */
static bool comes_to_rest(const volatile u32 *counter)
{
    u32 before = 0;

    for (u32 i = 0; i < 100 && *counter != before; i++) {
        before = *counter;
        wait_us(5 * GRACE_US);
    }
    return *counter == before;
}

/* SIPI to a CPU that runs is ignored; INIT stops it; then SIPI starts it anew, once. */
static void test_init_and_startup(void)
{
    restarts[2] = 0;
    bool up = start_cpu(2, spinning_cpu);
    u32 first = wait_count(&spins[2], 1000, 1000);
    apic_send(2, ICR_STARTUP | 8);
    wait_us(GRACE_US);
    u32 before = spins[2], after = wait_count(&spins[2], before + 1, 1000);
    check(up && first >= 1000 && restarts[2] == 1 && after > before, "sipi-to-running", "restarts=%u", restarts[2]);
    apic_send(2, ICR_INIT);
    check(comes_to_rest(&spins[2]), "init-stops", "spins=%u", spins[2]);
    ready = 0;
    up = start_cpu(2, other_cpu) && wait_count(&ready, 1, 1000) == 1; /* its APIC takes interrupts */
    expect(2, 0, 1U << 2);
    check(up && restarts[2] == 2 && wrong == 0, "init-then-sipi", "restarts=%u wrong=%u", restarts[2], wrong);
}

static void test_latency(void)
{
    u64 begin = time_ns(), worst = 0;

    for (u32 i = 0; i < 50; i++) {
        u64 at = time_ns();
        expect(3, 0, 1U << 3);
        u64 took = time_ns() - at;
        worst = took > worst ? took : worst;
    }
    print("LATENCY ipi mean-ns=%lu worst-ns=%lu\n", (time_ns() - begin) / 50, worst);
    report("ipi-round-trips");
}

void guest_main(void)
{
    pic_setup(32);
    set_handler(VECTOR, on_vector);
    set_handler(2, on_nmi);
    apic_enable(false);
    start_all();
    test_physical("xapic-physical", 0xFF);
    test_shorthands("xapic-shorthands");
    on_every_cpu(0x53, set_logical);
    test_logical("xapic-flat", 0xFF);
    test_lowest("xapic-lowest");
    test_cluster();
    test_nmi("xapic-nmi");
    to_x2apic();
    test_physical("x2apic-physical", ~0U);
    test_shorthands("x2apic-shorthands");
    test_logical("x2apic-cluster", ~0U);
    test_lowest("x2apic-lowest");
    test_nmi("x2apic-nmi");
    test_latency();
    test_init_and_startup();
}
