/* units: kernel/sched.c kernel/timer.c */
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

static u32 moved;

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(round_robin_until_exit, start),
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
