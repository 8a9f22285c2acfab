/* units: kernel/sched.c kernel/sched_share.c kernel/timer.c */
#include "tests/unit/host.h"
#include <string.h>
#include "kernel/base/percpu.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/sched.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include <arch/cpu.h>

#define CPUS 3U

static struct percpu cpus[CPUS];
static u64 now;
static u64 programmed;
static void (*kick_handler)(void);
static u32 kicks[CPUS];
static char story[256]; /* what ran, in order */
static jmp_buf out;

u64 time_now_ns(void)
{
    return now;
}

struct percpu *percpu_of(u32 id)
{
    return id < CPUS ? &cpus[id] : NULL;
}

u32 percpu_count(void)
{
    return CPUS;
}

void irq_add_kick_handler(void (*fn)(void))
{
    kick_handler = fn;
}

void irq_kick(u32 cpu)
{
    kicks[cpu]++;
}

static void program(u64 deadline_ns)
{
    programmed = deadline_ns;
}

static const struct timer_hw hw = {.name = "fake", .program = program};

/* A task that plays a script: one action per run. */
struct actor {
    struct task task;
    const char *verdicts; /* a again, b block, e exit */
    void (*during)(struct actor *actor);
    u32 runs, exits;
};

static enum task_verdict act(struct task *task, u64 slice_end_ns)
{
    struct actor *actor = task->arg;
    char verdict = actor->verdicts[actor->runs++];

    assert_true(host_irqs_on);
    assert_ptr_equal(percpu()->current_task, task);
    assert_int_equal(slice_end_ns, now + SCHED_SLICE_NS);
    assert_false(percpu()->resched);
    strcat(story, task->name);
    if (actor->during != NULL) {
        actor->during(actor);
    }
    return verdict == 'a' ? TASK_AGAIN : verdict == 'b' ? TASK_BLOCK : TASK_EXIT;
}

static void gone(struct task *task)
{
    struct actor *actor = task->arg;

    assert_null(percpu()->current_task);
    actor->exits++;
}

static struct actor x, y;
static void (*on_idle)(void);

static void idle_hook(void)
{
    void (*hook)(void) = on_idle;

    if (hook == NULL) {
        longjmp(out, 1);
    }
    on_idle = NULL;
    hook();
}

/* The loop of a CPU until it waits with nothing left to happen. */
static void run_cpu_until_idle(u32 cpu)
{
    host_percpu = &cpus[cpu];
    if (setjmp(out) == 0) {
        sched_loop();
    }
}

static void run_until_idle(void)
{
    run_cpu_until_idle(0);
}

static struct actor make(const char *name, const char *verdicts)
{
    struct actor actor = {.verdicts = verdicts};

    actor.task = (struct task){.name = name, .run = act, .exited = gone};
    cpuset_add(&actor.task.affinity, 0);
    return actor;
}

static void add(struct actor *actor)
{
    actor->task.arg = actor;
    assert_int_equal(sched_add(&actor->task), 0);
}

static int start(void **state)
{
    (void)state;
    for (u32 i = 0; i < CPUS; i++) {
        cpus[i] = (struct percpu){.self = &cpus[i], .id = i, .online = i != 2};
        kicks[i] = 0;
    }
    host_percpu = &cpus[0];
    host_on_wait = idle_hook;
    timer_set_hw(&hw);
    sched_init();
    programmed = 0;
    story[0] = '\0';
    on_idle = NULL;
    return 0;
}

static void round_robin_until_exit(void **state)
{
    (void)state;
    x = make("x", "aae");
    y = make("y", "ae");
    add(&x);
    add(&y);
    run_until_idle();
    assert_string_equal(story, "xyxyx");
    assert_int_equal(x.exits, 1);
    assert_int_equal(y.exits, 1);
    sched_wake(&x.task); /* gone: nothing happens */
    run_until_idle();
    assert_int_equal(x.runs, 3);
}

static void wake_before_add(struct actor *actor)
{
    sched_wake(actor == &x ? &y.task : &x.task);
}

/* Siblings of a VM wake each other as soon as the first of them runs. */
static void one_that_is_not_added_yet_is_not_woken(void **state)
{
    (void)state;
    x = make("x", "ae");
    y = make("y", "e");
    x.during = wake_before_add;
    sched_wake(&y.task);
    add(&x);
    run_until_idle();
    assert_string_equal(story, "xx");
    assert_int_equal(y.runs, 0);
    add(&y);
    sched_wake(&y.task);
    run_until_idle();
    assert_string_equal(story, "xxy");
    assert_int_equal(y.exits, 1);
}

static void expect_no_slice(struct actor *actor)
{
    (void)actor;
    assert_int_equal(programmed, 0);
}

static void alone_there_is_no_tick(void **state)
{
    (void)state;
    x = make("x", "ae");
    x.during = expect_no_slice;
    add(&x);
    run_until_idle();
    assert_int_equal(x.runs, 2);
}

static void slice_ends_the_run(struct actor *actor)
{
    (void)actor;
    if (y.runs == 0) {
        assert_int_equal(programmed, now + SCHED_SLICE_NS);
        now += SCHED_SLICE_NS;
        timer_interrupt();
        assert_true(percpu()->resched);
    }
}

static void in_company_the_slice_is_limited(void **state)
{
    (void)state;
    x = make("x", "ae");
    y = make("y", "e");
    x.during = slice_ends_the_run;
    add(&x);
    add(&y);
    run_until_idle();
    assert_string_equal(story, "xyx");
}

static void company_comes(struct actor *actor)
{
    if (actor->runs > 1) {
        return;
    }
    assert_int_equal(programmed, 0);
    now += 3 * SCHED_SLICE_NS; /* alone, it had all the time of the world */
    host_percpu = &cpus[1];
    add(&y);
    assert_int_equal(kicks[0], 1);
    host_percpu = &cpus[0];
    kick_handler();
    assert_int_equal(programmed, SCHED_SLICE_NS); /* over already */
    timer_interrupt();
    assert_true(percpu()->resched);
}

static void a_newcomer_ends_a_long_run(void **state)
{
    (void)state;
    now = 0;
    x = make("x", "ae");
    y = make("y", "e");
    x.during = company_comes;
    add(&x);
    kicks[0] = 0;
    run_until_idle();
    assert_string_equal(story, "xyx");
}

static void wake_self(struct actor *actor)
{
    if (actor->runs == 1) {
        host_percpu = &cpus[1]; /* another CPU, while this one decides to block */
        sched_wake(&actor->task);
        host_percpu = &cpus[0];
        assert_int_equal(kicks[0], 1);
    }
}

static void wake_during_run_is_kept(void **state)
{
    (void)state;
    x = make("x", "be");
    x.during = wake_self;
    add(&x);
    run_until_idle();
    assert_string_equal(story, "xx");
    assert_int_equal(x.exits, 1);
}

static void wake_x(void)
{
    sched_wake(&x.task);
    sched_wake(&x.task); /* queued already: once is enough */
}

static void wake_from_interrupt_ends_the_wait(void **state)
{
    (void)state;
    x = make("x", "be");
    add(&x);
    on_idle = wake_x;
    run_until_idle();
    assert_string_equal(story, "xx");
}

/* The wake-up comes after TASK_BLOCK took effect and before the wait: the kick must be there to end it. */
static void wake_from_elsewhere_kicks(void **state)
{
    (void)state;
    x = make("x", "be");
    add(&x);
    run_until_idle();
    host_percpu = &cpus[1];
    sched_wake(&x.task);
    assert_int_equal(kicks[0], 1);
    sched_wake(&x.task);
    assert_int_equal(kicks[0], 1);
    run_until_idle();
    assert_string_equal(story, "xx");
}

static void placement_follows_load_and_affinity(void **state)
{
    struct actor many[4];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(many); i++) {
        many[i] = make("m", "e");
        cpuset_fill(&many[i].task.affinity);
        add(&many[i]);
        assert_int_equal(many[i].task.cpu, i % 2); /* CPU 2 is not online */
    }
    run_until_idle();
    assert_string_equal(story, "mm");
    run_cpu_until_idle(1);
    assert_string_equal(story, "mmmm");
    host_percpu = &cpus[0];
    x = make("x", "e");
    x.task.affinity = (struct cpuset){{0}};
    assert_int_equal(sched_add(&x.task), -E_INVAL);
    cpuset_add(&x.task.affinity, 2);
    assert_int_equal(sched_add(&x.task), -E_INVAL);
}

static u32 moved; /* calls of moves() */

static void note_move(struct task *task)
{
    assert_ptr_equal(percpu()->current_task, task);
    moved++;
}

/* x's slice ends with y waiting behind it. CPU 1 has nothing to do: x goes there, if it may. */
static void make_two(bool x_may_move)
{
    x = make("x", "ae");
    y = make("y", "e");
    add(&x);
    add(&y);
    moved = 0;
    if (x_may_move) {
        cpuset_add(&x.task.affinity, 1);
    }
    x.task.moves = note_move;
}

static void an_idle_cpu_is_given_work(void **state)
{
    (void)state;
    run_cpu_until_idle(1);
    host_percpu = &cpus[0];
    make_two(true);
    run_until_idle();
    assert_string_equal(story, "xy");
    assert_int_equal(moved, 1);
    assert_int_equal(x.task.cpu, 1);
    assert_int_equal(kicks[1], 1);
    sched_wake(&x.task); /* queued there already */
    run_cpu_until_idle(1);
    assert_string_equal(story, "xyx");
    assert_int_equal(x.exits, 1);
}

static void work_stays_where_its_affinity_says(void **state)
{
    (void)state;
    make_two(false);
    run_until_idle();
    assert_string_equal(story, "xyx");
    assert_int_equal(moved, 0);
}

static void work_stays_when_the_others_are_busy(void **state)
{
    struct actor z = make("z", "e");

    (void)state;
    make_two(true);
    z.task.affinity = (struct cpuset){{BIT(1)}};
    add(&z);
    run_until_idle();
    assert_string_equal(story, "xyx");
    assert_int_equal(moved, 0);
    run_cpu_until_idle(1);
    assert_string_equal(story, "xyxz");
}

/* --- shares, in scripted time ------------------------------------------------------------------------------------- */

#define SECOND (1000 * SCHED_SLICE_NS)

static u64 end_of_time;
static u64 overrun; /* of each turn */

/* Wants the CPU always: runs until the slice timer says stop. */
static enum task_verdict spin(struct task *task, u64 slice_end_ns)
{
    (void)slice_end_ns;
    while (!percpu()->resched && now < end_of_time) {
        now = MIN(programmed, end_of_time);
        timer_interrupt();
    }
    now += overrun;
    (void)task;
    return now < end_of_time ? TASK_AGAIN : TASK_EXIT;
}

/* Nothing is runnable: time passes until the next timer. */
static void pass_time(void)
{
    if (programmed == UINT64_MAX || now >= end_of_time) {
        longjmp(out, 1);
    }
    on_idle = pass_time;
    now = MAX(now, programmed);
    timer_interrupt();
}

static struct task spinner(u32 share)
{
    struct task task = {.name = "s", .run = spin, .share = share};

    cpuset_add(&task.affinity, 0);
    return task;
}

/* Percent of a second, in tenths, that each of the tasks ran. */
static void share_cpu(struct task *tasks, u32 count, u32 *tenths)
{
    now = 0;
    end_of_time = SECOND;
    for (u32 i = 0; i < count; i++) {
        assert_int_equal(sched_add(&tasks[i]), 0);
    }
    on_idle = pass_time;
    run_until_idle();
    for (u32 i = 0; i < count; i++) {
        tenths[i] = (u32)(tasks[i].run_ns / SCHED_SLICE_NS);
    }
}

static void shares_are_weights(void **state)
{
    struct task tasks[] = {spinner(100), spinner(50), spinner(25)};
    u32 got[3];

    (void)state;
    overrun = 0;
    share_cpu(tasks, 3, got);
    assert_in_range(got[0], 565, 578); /* 4/7, 2/7, 1/7 */
    assert_in_range(got[1], 280, 291);
    assert_in_range(got[2], 138, 147);
}

/* Turns end late, all by the same time: the short ones must not gain by it. */
static void overruns_are_repaid(void **state)
{
    struct task tasks[] = {spinner(100), spinner(50)};
    u32 got[2];

    (void)state;
    overrun = SCHED_SLICE_NS / 5;
    share_cpu(tasks, 2, got);
    overrun = 0;
    assert_in_range(got[0], 655, 678);
    assert_in_range(got[1], 322, 345);
}

static void a_share_is_a_limit_on_an_idle_cpu(void **state)
{
    static const u32 shares[] = {1, 10, 50, 99};

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(shares); i++) {
        struct task task = spinner(shares[i]);
        u32 got;

        start(NULL);
        overrun = 0;
        share_cpu(&task, 1, &got);
        assert_in_range(got, 10 * shares[i], 10 * shares[i] + 10); /* the last turn is whole */
        assert_int_equal(sched_run_ns(&task), task.run_ns);
    }
}

/* Weights 10, 20 and 100 of 130 are what they get at least, their shares what they get at most. */
static void limits_hold_in_company(void **state)
{
    struct task tasks[] = {spinner(10), spinner(20), spinner(100)};
    u32 got[3];

    (void)state;
    share_cpu(tasks, 3, got);
    assert_in_range(got[0], 76, 102);
    assert_in_range(got[1], 150, 204);
    assert_in_range(got[2], 700, 770);
}

/* However long it ran over, it is heard of again within a second. */
static void the_wait_is_bounded(void **state)
{
    struct task task = spinner(1);

    (void)state;
    now = SECOND;
    end_of_time = 2 * SECOND;
    overrun = SECOND / 2;
    assert_int_equal(sched_add(&task), 0);
    run_until_idle();
    overrun = 0;
    assert_int_equal(task.paid_until_ns, now + NS_PER_SEC);
    assert_int_equal(programmed, task.paid_until_ns);
}

/* A wake-up does not let a task run that has used up its share. */
static void waking_does_not_help(void **state)
{
    (void)state;
    now = SECOND;
    x = make("x", "be");
    x.task.share = 50;
    x.during = NULL;
    x.task.run = act;
    add(&x);
    x.task.paid_until_ns = now + 3 * SCHED_SLICE_NS;
    run_until_idle();
    assert_string_equal(story, "");
    assert_int_equal(programmed, now + 3 * SCHED_SLICE_NS);
    sched_wake(&x.task);
    run_until_idle();
    assert_string_equal(story, "");
    now += 3 * SCHED_SLICE_NS;
    timer_interrupt();
    run_until_idle();
    assert_string_equal(story, "x");
}

/* The placement counts shares, not tasks. */
static void placement_weighs_shares(void **state)
{
    static const u32 shares[] = {100, 50, 50, 20, 30};
    static const u32 cpus_wanted[] = {0, 1, 1, 0, 1};
    struct task tasks[5];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(tasks); i++) {
        tasks[i] = spinner(shares[i]);
        cpuset_add(&tasks[i].affinity, 1);
        assert_int_equal(sched_add(&tasks[i]), 0);
        assert_int_equal(tasks[i].cpu, cpus_wanted[i]);
    }
    now = end_of_time = SECOND;
    run_until_idle();
    run_cpu_until_idle(1);
}

/* CPU 0 has three, CPU 1 has one, and both are busy: one goes over. */
static void load_is_levelled(void **state)
{
    struct task tasks[] = {spinner(100), spinner(100), spinner(100), spinner(100)};

    (void)state;
    tasks[3].affinity = (struct cpuset){{BIT(1)}};
    for (u32 i = 0; i < 3; i++) {
        tasks[i].moves = note_move;
    }
    cpuset_add(&tasks[0].affinity, 1);
    now = 0;
    end_of_time = 20 * SCHED_SLICE_NS;
    moved = 0;
    run_cpu_until_idle(1);
    host_percpu = &cpus[0];
    tasks[0].affinity = (struct cpuset){{BIT(0)}};
    for (u32 i = 0; i < 4; i++) {
        assert_int_equal(sched_add(&tasks[i]), 0);
    }
    cpuset_add(&tasks[0].affinity, 1);
    cpuset_add(&tasks[1].affinity, 1);
    run_until_idle();
    assert_int_equal(moved, 1);
    assert_int_equal(tasks[0].cpu, 1);
    run_cpu_until_idle(1);
}

/* --- moves on demand ------------------------------------------------------------------------------------------------- */

static void ask_for_cpu_1(struct actor *actor)
{
    if (actor->runs == 1) {
        assert_int_equal(sched_move(&actor->task, 1), 0);
        assert_true(percpu()->resched);
    }
}

static void a_task_is_moved_on_demand(void **state)
{
    (void)state;
    x = make("x", "abe");
    cpuset_add(&x.task.affinity, 1);
    cpuset_add(&x.task.affinity, 2);
    x.during = ask_for_cpu_1;
    assert_int_equal(x.task.moved, 0);
    add(&x);
    x.task.moves = NULL;
    assert_int_equal(sched_move(&x.task, 1), -E_RANGE);
    x.task.moves = note_move;
    assert_int_equal(sched_move(&x.task, 2), -E_RANGE); /* not online */
    assert_int_equal(sched_move(&x.task, CPUS), -E_RANGE);
    moved = 0;
    run_until_idle();
    assert_int_equal(moved, 1);
    assert_int_equal(x.task.cpu, 1);
    run_cpu_until_idle(1);
    assert_string_equal(story, "xx"); /* and sleeps there */

    host_percpu = &cpus[0];
    assert_int_equal(sched_move(&x.task, 0), 0);
    assert_int_equal(x.task.cpu, 1); /* goes when it is woken, without running there */
    sched_wake(&x.task);
    run_cpu_until_idle(1);
    assert_string_equal(story, "xx");
    run_until_idle();
    assert_string_equal(story, "xxx");
    assert_int_equal(x.task.cpu, 0);
    assert_int_equal(x.task.moved, 2);
    assert_int_equal(x.exits, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(round_robin_until_exit, start),
        cmocka_unit_test_setup(one_that_is_not_added_yet_is_not_woken, start),
        cmocka_unit_test_setup(alone_there_is_no_tick, start),
        cmocka_unit_test_setup(in_company_the_slice_is_limited, start),
        cmocka_unit_test_setup(a_newcomer_ends_a_long_run, start),
        cmocka_unit_test_setup(wake_during_run_is_kept, start),
        cmocka_unit_test_setup(wake_from_interrupt_ends_the_wait, start),
        cmocka_unit_test_setup(wake_from_elsewhere_kicks, start),
        cmocka_unit_test_setup(placement_follows_load_and_affinity, start),
        cmocka_unit_test_setup(an_idle_cpu_is_given_work, start),
        cmocka_unit_test_setup(work_stays_where_its_affinity_says, start),
        cmocka_unit_test_setup(work_stays_when_the_others_are_busy, start),
        cmocka_unit_test_setup(shares_are_weights, start),
        cmocka_unit_test_setup(overruns_are_repaid, start),
        cmocka_unit_test_setup(a_share_is_a_limit_on_an_idle_cpu, start),
        cmocka_unit_test_setup(limits_hold_in_company, start),
        cmocka_unit_test_setup(placement_weighs_shares, start),
        cmocka_unit_test_setup(load_is_levelled, start),
        cmocka_unit_test_setup(a_task_is_moved_on_demand, start),
        cmocka_unit_test_setup(waking_does_not_help, start),
        cmocka_unit_test_setup(the_wait_is_bounded, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
