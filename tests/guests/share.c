/* Spins for a second together with its neighbours and says what it got of its CPU: iterations, the part of the time that it
 * ran, and how long its turns are. It sees that it was away when the TSC jumps. */
#include "tests/guests/kit/kit.h"

#define NS_PER_MS 1000000UL
#define BEGIN_NS (1500 * NS_PER_MS) /* of the host's clock: every guest is there by then */
#define LENGTH_NS (1000 * NS_PER_MS)
#define GRACE_NS (300 * NS_PER_MS) /* go on spinning while neighbours still measure */
#define AWAY_US 150UL             /* longer than an exit takes */
#define TURNS_MAX 4096U

static u64 turns[TURNS_MAX]; /* ticks */
static u32 turn_count;
static u64 loops, ran, ticks_per_us;

static void note_turn(u64 ticks)
{
    ran += ticks;
    if (turn_count < TURNS_MAX) {
        turns[turn_count++] = ticks;
    }
}

static u64 median_turn(void)
{
    for (u32 i = 1; i < turn_count; i++) {
        for (u32 j = i; j > 0 && turns[j - 1] > turns[j]; j--) {
            u64 swap = turns[j];
            turns[j] = turns[j - 1];
            turns[j - 1] = swap;
        }
    }
    return turn_count != 0 ? turns[turn_count / 2] : 0;
}

static void spin_until(u64 tsc)
{
    while (rdtsc() < tsc) {
    }
}

static void measure(u64 until)
{
    u64 last = rdtsc(), turn = last;

    for (u64 now = last; now < until; loops++) {
        now = rdtsc();
        if (now - last > AWAY_US * ticks_per_us) {
            note_turn(last - turn);
            turn = now;
        }
        last = now;
    }
    ran += last - turn;
}

void guest_main(void)
{
    u64 ns = time_ns(), tsc = rdtsc();

    check(ns < BEGIN_NS, "in-time", "at-ms=%lu", ns / NS_PER_MS);
    sti(); /* Bochs lets nothing interrupt a guest that it entered with IF=0 */
    while (time_ns() < BEGIN_NS) {
    }
    u64 start = rdtsc();
    ticks_per_us = (start - tsc) * 1000 / (BEGIN_NS - ns);
    measure(start + LENGTH_NS / 1000 * ticks_per_us);
    u64 total = rdtsc() - start;
    u32 cpu = (u32)hypercall(MOTE_HC_CPU, 0, 0, 0, 0, 0, 0);
    spin_until(start + (LENGTH_NS + GRACE_NS) / 1000 * ticks_per_us);
    check(true, "share", "cpu=%u loops=%lu permille=%lu turns=%u turn-us=%lu",
          cpu, loops, ran * 1000 / total, turn_count, median_turn() / ticks_per_us);
}
