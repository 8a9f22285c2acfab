/* The worst guest: CPU 0 builds random scenes, in which CPUs 1 to 3 execute random instructions in every mode, with page tables,
 * descriptors and stacks in device memory and holes, while CPU 0 sends them all kinds of messages and takes rights from the pages
 * they live in. The VM's number is the seed. It often dies of it; what counts is that nothing else does. */
#include "tests/guests/kit/apic.h"
#include "tests/guests/hostile/hostile.h"

#ifndef HUNT
#define SEED hypercall(MOTE_HC_VM_ID, 0, 0, 0, 0, 0, 0)
#define SCENES 60U
#else
#define SEED (time_ns() * 16 + hypercall(MOTE_HC_VM_ID, 0, 0, 0, 0, 0, 0))
#define SCENES 4000U
#endif
#define STEPS 128U /* of a victim in a scene; each is a stream of one to four instructions */
#define SCENE_NS 20000000ULL

static u64 state;
static u64 steps, scenes;
static bool restricted[VICTIMS + 1];

u64 hostile_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545F4914F6CDD1DULL >> 16;
}

u32 hostile_below(u32 n)
{
    return (u32)(hostile_random() % n);
}

bool hostile_one_in(u32 n)
{
    return hostile_below(n) == 0;
}

/* --- what CPU 0 does meanwhile ---------------------------------------------------------------------------------------- */

static void send_message(void)
{
    static const u32 modes[] = {0, 0, ICR_LOWEST, 2U << 8, 3U << 8, ICR_NMI, ICR_NMI, ICR_INIT, ICR_STARTUP, 7U << 8};
    u32 victim = 1 + hostile_below(VICTIMS);
    u32 icr = modes[hostile_below(ARRAY_SIZE(modes))] | hostile_below(256);

    if (hostile_one_in(4)) {
        icr |= ICR_OTHERS;
    } else if (hostile_one_in(4)) {
        icr |= ICR_LOGICAL;
    }
    if ((icr & (7U << 8)) == ICR_STARTUP) {
        icr = (icr & ~0xFFU) | (u32)(BLOCK(victim) >> 12);
    }
    apic_send(victim, icr);
}

static void take_rights(void)
{
    static const u64 rights[] = {0, MOTE_RIGHT_READ, MOTE_RIGHT_READ | MOTE_RIGHT_EXEC, MOTE_RIGHT_READ | MOTE_RIGHT_WRITE, 7, 2};
    static const u64 others[] = {APIC_PAGE, IOAPIC_PAGE, 0xE0000, 0xF0000, 0xA0000, 0x3F000000, 0, 0x3FF000, 0x400000, ~0xFFFULL};
    u32 victim = 1 + hostile_below(VICTIMS);
    u64 at = BLOCK(victim) + 0x1000 * hostile_below(16);

    if (hostile_one_in(4)) {
        at = others[hostile_below(ARRAY_SIZE(others))];
    } else {
        restricted[victim] = true;
    }
    (void)hypercall(MOTE_HC_RIGHTS, at, 0x1000, rights[hostile_below(ARRAY_SIZE(rights))], 0, 0, 0);
}

static void give_rights_back(u32 victim)
{
    if (restricted[victim]) {
        (void)hypercall(MOTE_HC_RIGHTS, BLOCK(victim), BLOCK_BYTES, 7, 0, 0, 0);
        restricted[victim] = false;
    }
}

static void write_msr(void)
{
    u32 msr = hostile_msr();

    if (msr != 0xC0000080 && msr != MSR_APIC_BASE && msr - MSR_X2APIC > 0xFF) {
        (void)try_wrmsr(msr, hostile_value());
    }
}

static void use_apics(void)
{
    volatile u32 *apic = (volatile u32 *)(APIC_PAGE + 16 * hostile_below(64));

    if (hostile_one_in(2)) {
        ioapic_set(hostile_below(0x44), (u32)hostile_value());
    } else if (((u64)apic & 0xFFF) < 0x300 || ((u64)apic & 0xFFF) > 0x310) {
        *apic = hostile_one_in(2) ? *apic : (u32)hostile_value();
        apic_set(APIC_SVR, 0x1FF);
    }
}

static void call(void)
{
    u64 number = hostile_one_in(2) ? hostile_below(12) : MOTE_HC_FIRST + 2 + hostile_below(14);

    if (number != MOTE_HC_PUTC && number != MOTE_HC_RIGHTS && number != MOTE_HC_BREAK) {
        (void)hypercall(number, hostile_value(), hostile_value(), hostile_value(), hostile_value(), hostile_value(), hostile_value());
    }
}

static void change_tables(void)
{
    u64 *table = (u64 *)(BLOCK(1 + hostile_below(VICTIMS)) + 0x8000 + 0x1000 * hostile_below(7));

    table[hostile_below(512)] = hostile_one_in(4) ? hostile_random() : hostile_value() | 7;
}

static void (*const deeds[])(void) = {send_message, send_message, take_rights, write_msr, use_apics, call, change_tables};

/* --- scenes ------------------------------------------------------------------------------------------------------------- */

static volatile struct hostile_params *params_of(u32 victim)
{
    return (volatile struct hostile_params *)(BLOCK(victim) + PARAMS);
}

static void start(u32 victim)
{
    apic_send(victim, ICR_INIT);
    apic_send(victim, ICR_STARTUP | (u32)(BLOCK(victim) >> 12));
}

static bool all_done(void)
{
    for (u32 i = 1; i <= VICTIMS; i++) {
        if (params_of(i)->count < STEPS) {
            return false;
        }
    }
    return true;
}

static void play(void)
{
    bool quiet = hostile_one_in(3);

    for (u32 i = 1; i <= VICTIMS; i++) {
        apic_send(i, ICR_INIT);
    }
    for (u32 i = 1; i <= VICTIMS; i++) {
        give_rights_back(i);
        hostile_build(i);
        start(i);
    }
    u64 end = time_ns() + SCENE_NS;
    while (time_ns() < end && !all_done()) {
        if (!quiet && hostile_one_in(4)) {
            deeds[hostile_below(ARRAY_SIZE(deeds))]();
        }
        __asm__ volatile("pause");
    }
    for (u32 i = 1; i <= VICTIMS; i++) {
        u32 count = params_of(i)->count;
        steps += count <= 100 * STEPS ? count : 0; /* its memory may be anything */
    }
    scenes++;
}

static void on_nmi(u32 vector)
{
    (void)vector;
}

void guest_main(void)
{
    u64 seed = SEED;

    state = seed * 0x9E3779B97F4A7C15ULL + 1;
    print("seed 0x%lx\n", seed);
    set_handler(2, on_nmi);
    apic_enable(false);
    for (u32 i = 0; i < SCENES; i++) {
        play();
        (void)hypercall(MOTE_HC_WATCHDOG, 0, 0, 0, 0, 0, 0);
    }
    for (u32 i = 1; i <= VICTIMS; i++) {
        apic_send(i, ICR_INIT);
    }
    print("survived scenes=%lu steps=%lu\n", scenes, steps);
}
