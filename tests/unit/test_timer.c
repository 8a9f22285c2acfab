/* units: kernel/timer.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include "kernel/base/percpu.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include <arch/cpu.h>

#define TIMERS 200U
#define NEVER UINT64_MAX

static struct percpu cpus[2] = {{.self = &cpus[0], .id = 0}, {.self = &cpus[1], .id = 1}};
static u64 now;
static u64 programmed[2];
static u32 program_calls;
static struct timer timers[TIMERS];
static u64 last_fired;
static u32 fired;
static jmp_buf out;

u64 time_now_ns(void)
{
    return now;
}

u32 percpu_count(void)
{
    return 2;
}

static void program(u64 deadline_ns)
{
    programmed[percpu()->id] = deadline_ns;
    program_calls++;
}

static const struct timer_hw hw = {.name = "fake", .program = program};

static void note(struct timer *timer)
{
    assert_true(timer->deadline_ns <= now);
    assert_true(timer->deadline_ns >= last_fired);
    assert_false(timer->armed);
    last_fired = timer->deadline_ns;
    fired++;
}

static int start(void **state)
{
    (void)state;
    timer_set_hw(&hw);
    host_percpu = &cpus[0];
    host_on_relax = NULL;
    now = 0;
    last_fired = 0;
    fired = 0;
    for (u32 i = 0; i < TIMERS; i++) {
        timer_init(&timers[i], note, NULL);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (u32 i = 0; i < TIMERS; i++) {
        timer_cancel(&timers[i]);
    }
    return 0;
}

static void programs_the_earliest_only(void **state)
{
    (void)state;
    timer_arm(&timers[0], 100);
    assert_int_equal(programmed[0], 100);
    u32 calls = program_calls;
    timer_arm(&timers[1], 200);
    assert_int_equal(program_calls, calls);
    timer_arm(&timers[2], 50);
    assert_int_equal(programmed[0], 50);
    now = 100;
    u64 ticks = percpu()->ticks;
    timer_interrupt();
    assert_int_equal(fired, 2);
    assert_int_equal(percpu()->ticks, ticks + 1);
    assert_int_equal(programmed[0], 200);
    now = 300;
    timer_interrupt();
    assert_int_equal(programmed[0], NEVER);
}

static void a_lost_interrupt_is_asked_for_again(void **state)
{
    (void)state;
    timer_arm(&timers[0], 1000000);
    u32 calls = program_calls;
    timer_recover(1000000); /* it comes now */
    assert_int_equal(program_calls, calls);
    timer_recover(1000001);
    assert_int_equal(program_calls, calls + 1);
    assert_int_equal(programmed[0], 1000000);
    now = 1200000;
    timer_interrupt();
    assert_int_equal(fired, 1);
    calls = program_calls;
    timer_recover(UINT64_MAX - 1); /* nothing is due */
    assert_int_equal(program_calls, calls);
}

static void early_interrupt_fires_nothing(void **state)
{
    (void)state;
    timer_arm(&timers[0], 100);
    now = 99;
    timer_interrupt();
    assert_int_equal(fired, 0);
    assert_int_equal(programmed[0], 100);
}

/* Random arms, moves and cancels against a model: what fires is what is armed, in order. */
static void heap_matches_a_model(void **state)
{
    u64 model[TIMERS] = {0}; /* 0: not armed */

    (void)state;
    srand(1);
    for (u32 step = 0; step < 20000; step++) {
        u32 i = (u32)rand() % TIMERS;
        if (rand() % 4 == 0) {
            timer_cancel(&timers[i]);
            model[i] = 0;
        } else {
            model[i] = now + 1 + (u64)rand() % 500;
            timer_arm(&timers[i], model[i]);
        }
        if (rand() % 50 == 0) {
            u32 due = 0;
            now += (u64)rand() % 100;
            for (u32 t = 0; t < TIMERS; t++) {
                due += model[t] != 0 && model[t] <= now ? 1 : 0;
                model[t] = model[t] <= now ? 0 : model[t];
            }
            fired = 0;
            last_fired = 0;
            for (u32 rounds = 0; rounds < 10; rounds++) {
                timer_interrupt();
            }
            assert_int_equal(fired, due);
        }
        assert_int_equal(timers[i].armed, model[i] != 0);
    }
}

static void rearm_in_the_past(struct timer *timer)
{
    fired++;
    timer_arm(timer, 0);
}

static void a_greedy_timer_cannot_hold_the_cpu(void **state)
{
    (void)state;
    timer_init(&timers[0], rearm_in_the_past, NULL);
    timer_arm(&timers[0], 0);
    timer_interrupt();
    assert_true(fired >= 1 && fired <= 64);
    assert_true(timers[0].armed);
    assert_int_equal(programmed[0], 0);
}

static void arming_elsewhere_moves_it(void **state)
{
    (void)state;
    timer_arm(&timers[0], 100);
    timer_arm(&timers[1], 150);
    host_percpu = &cpus[1];
    timer_arm(&timers[0], 120);
    assert_int_equal(timers[0].cpu, 1);
    assert_int_equal(programmed[1], 120);
    host_percpu = &cpus[0];
    now = 130;
    timer_interrupt();
    assert_int_equal(fired, 0);
    timer_cancel(&timers[0]); /* from a CPU that does not own it */
    host_percpu = &cpus[1];
    timer_interrupt();
    assert_int_equal(fired, 0);
}

static void leave(void)
{
    longjmp(out, 1);
}

static void cancel_while_firing(struct timer *timer)
{
    host_percpu = &cpus[1];
    host_on_relax = leave;
    if (setjmp(out) == 0) {
        timer_cancel(timer);
        fail_msg("timer_cancel() returned while fire() ran");
    }
    host_on_relax = NULL;
    host_percpu = &cpus[0];
    fired++;
}

static void cancel_waits_for_fire(void **state)
{
    (void)state;
    timer_init(&timers[0], cancel_while_firing, NULL);
    timer_arm(&timers[0], 10);
    now = 10;
    timer_interrupt();
    assert_int_equal(fired, 1);
    timer_cancel(&timers[0]);
}

/* The same when the other CPU has armed it meanwhile: it sits in a queue where nothing fires. */
static void arm_and_cancel_while_firing(struct timer *timer)
{
    host_percpu = &cpus[1];
    timer_arm(timer, 1000);
    host_on_relax = leave;
    if (setjmp(out) == 0) {
        timer_cancel(timer);
        fail_msg("timer_cancel() returned while fire() ran");
    }
    host_on_relax = NULL;
    host_percpu = &cpus[0];
    fired++;
}

static void cancel_waits_after_a_move(void **state)
{
    (void)state;
    timer_init(&timers[0], arm_and_cancel_while_firing, NULL);
    timer_arm(&timers[0], 10);
    now = 10;
    timer_interrupt();
    assert_int_equal(fired, 1);
    assert_false(timers[0].armed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(programs_the_earliest_only, start, end),
        cmocka_unit_test_setup_teardown(a_lost_interrupt_is_asked_for_again, start, end),
        cmocka_unit_test_setup_teardown(early_interrupt_fires_nothing, start, end),
        cmocka_unit_test_setup_teardown(heap_matches_a_model, start, end),
        cmocka_unit_test_setup_teardown(a_greedy_timer_cannot_hold_the_cpu, start, end),
        cmocka_unit_test_setup_teardown(arming_elsewhere_moves_it, start, end),
        cmocka_unit_test_setup_teardown(cancel_waits_for_fire, start, end),
        cmocka_unit_test_setup_teardown(cancel_waits_after_a_move, start, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
