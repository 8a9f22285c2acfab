/* The scheduler: round robin per CPU, turns by share. A task stays where sched_add() put it, until its turn ends with others
 * waiting behind it while another CPU of its affinity has less to do: then its own CPU hands it over. */
#include "kernel/sched.h"
#include "kernel/base/lock.h"
#include "kernel/base/percpu.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/sched_share.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include <arch/cpu.h>

#define NO_LIMIT UINT64_MAX

/* GONE: not added yet, or no more: zero, so that a wake-up may come before sched_add(). PAUSED: runnable, but its share is used up;
 * its timer queues it. */
enum { STATE_GONE, STATE_BLOCKED, STATE_QUEUED, STATE_RUNNING, STATE_PAUSED };

struct run_queue {
    struct spinlock lock; /* protects everything here, and state and wake_pending of its tasks */
    struct list tasks;    /* runnable, next to run first */
    struct timer slice;   /* armed on this CPU only while somebody waits for the running task, or its share is limited */
    u64 slice_end_ns;
    u64 limit_ns;         /* when the running task had to stop, or NO_LIMIT */
    u32 assigned;         /* shares of the tasks that live here, blocked ones included, services not */
    bool ready;           /* list and slice are initialised */
};

static struct run_queue queues[CPU_MAX];

static void slice_over(struct timer *timer)
{
    (void)timer;
    percpu()->resched = true;
}

/* Call with the lock held. */
static void prepare_locked(struct run_queue *queue)
{
    if (!queue->ready) {
        list_init(&queue->tasks);
        timer_init(&queue->slice, slice_over, NULL);
        queue->ready = true;
    }
}

/* What the task counts when CPUs are chosen. */
static u32 load_of(const struct task *task)
{
    return task->service ? 0 : sched_share_of(task);
}

/* To the tail. Lock held. */
static void enqueue(struct run_queue *queue, struct task *task)
{
    task->state = STATE_QUEUED;
    task->queued_ns = time_now_ns();
    list_insert_before(&queue->tasks, &task->link);
}

/* This CPU was kicked: somebody may have become runnable while a task that thought itself alone runs, or wants it moved. */
static void limit_running_task(void)
{
    struct run_queue *queue = &queues[percpu()->id];
    u64 flags = spin_lock(&queue->lock);
    const struct task *task = percpu()->current_task;

    prepare_locked(queue);
    if (task != NULL && task->target != CPU_MAX) {
        percpu()->resched = true;
    } else if (task != NULL && !list_empty(&queue->tasks) && !queue->slice.armed) {
        queue->limit_ns = MAX(queue->slice_end_ns, time_now_ns());
        timer_arm(&queue->slice, queue->slice_end_ns);
    }
    spin_unlock(&queue->lock, flags);
}

/* Make the CPU of a queue look at it. */
static void notify(u32 cpu)
{
    if (cpu == percpu()->id) {
        limit_running_task();
    } else {
        irq_kick(cpu);
    }
}

static bool cpu_usable(u32 cpu, const struct cpuset *affinity)
{
    const struct percpu *target = percpu_of(cpu);

    return cpuset_has(affinity, cpu) && target != NULL && READ_ONCE(target->online);
}

/* The online CPU of the set with the least load, or CPU_MAX. */
static u32 least_loaded(const struct cpuset *affinity)
{
    u32 best = CPU_MAX;

    for (u32 cpu = 0; cpu < percpu_count(); cpu++) {
        if (cpu_usable(cpu, affinity) &&
            (best == CPU_MAX || READ_ONCE(queues[cpu].assigned) < READ_ONCE(queues[best].assigned))) {
            best = cpu;
        }
    }
    return best;
}

/* Lock the queue that the task belongs to. */
static struct run_queue *lock_queue_of(struct task *task, u64 *flags)
{
    for (;;) {
        u32 cpu = READ_ONCE(task->cpu);
        *flags = spin_lock(&queues[cpu].lock);
        if (task->cpu == cpu) {
            return &queues[cpu];
        }
        spin_unlock(&queues[cpu].lock, *flags);
    }
}

/* The share's time has come. */
static void refill(struct timer *timer)
{
    struct task *task = timer->arg;
    u64 flags;
    struct run_queue *queue = lock_queue_of(task, &flags);

    u64 since = task->queued_ns;
    if (task->state == STATE_PAUSED) {
        enqueue(queue, task);
        task->queued_ns = since;
    }
    u32 cpu = task->cpu;
    spin_unlock(&queue->lock, flags);
    notify(cpu);
}

/* Account for nothing so far. */
static void reset_task(struct task *task)
{
    task->wake_pending = false;
    task->run_ns = 0;
    task->wait_ns = 0;
    task->moved = 0;
    task->debt_ns = 0;
    task->paid_until_ns = 0;
    task->target = CPU_MAX;
    timer_init(&task->refill, refill, task);
}

int sched_add(struct task *task)
{
    u32 cpu = least_loaded(&task->affinity);
    u64 flags;

    if (cpu == CPU_MAX) {
        return -E_INVAL;
    }
    /* Others may know it already: what wakes it looks at its state under the lock of the queue that cpu names. */
    struct run_queue *before = lock_queue_of(task, &flags);
    WRITE_ONCE(task->cpu, cpu);
    spin_unlock(&before->lock, flags);
    struct run_queue *queue = &queues[cpu];
    flags = spin_lock(&queue->lock);
    prepare_locked(queue);
    reset_task(task);
    queue->assigned += load_of(task);
    enqueue(queue, task);
    spin_unlock(&queue->lock, flags);
    notify(cpu);
    return 0;
}

void sched_wake(struct task *task)
{
    u64 flags;
    struct run_queue *queue = lock_queue_of(task, &flags);
    u32 cpu = task->cpu;
    bool tell = true;

    if (task->state == STATE_BLOCKED) {
        enqueue(queue, task);
    } else if (task->state == STATE_RUNNING) {
        task->wake_pending = true;
    } else {
        tell = false;
    }
    spin_unlock(&queue->lock, flags);
    if (tell) {
        notify(cpu);
    }
}

u64 sched_run_ns(const struct task *task)
{
    u64 past = READ_ONCE(task->run_ns);

    return READ_ONCE(task->state) == STATE_RUNNING ? past + (time_now_ns() - READ_ONCE(task->started_ns)) : past;
}

int sched_move(struct task *task, u32 cpu)
{
    u64 flags;

    if (task->moves == NULL || !cpu_usable(cpu, &task->affinity)) {
        return -E_RANGE;
    }
    struct run_queue *queue = lock_queue_of(task, &flags);
    u32 from = task->cpu;
    WRITE_ONCE(task->target, cpu != from ? cpu : CPU_MAX);
    spin_unlock(&queue->lock, flags);
    notify(from);
    return 0;
}

/* The first of the queue that may run now, taken off; those that have used up their share wait for it elsewhere. Lock held. */
static struct task *take_locked(struct run_queue *queue, u64 now)
{
    while (!list_empty(&queue->tasks)) {
        struct task *task = CONTAINER_OF(queue->tasks.next, struct task, link);

        list_remove(&task->link);
        if (task->paid_until_ns <= now) {
            return task;
        }
        task->state = STATE_PAUSED;
        timer_arm(&task->refill, task->paid_until_ns);
    }
    return NULL;
}

/* Take the next task, or NULL. The slice timer runs only when another one waits behind it, or its share is limited. */
static struct task *begin_next(struct run_queue *queue)
{
    u64 now = time_now_ns();

    timer_recover(now);
    u64 flags = spin_lock(&queue->lock);
    struct task *task = take_locked(queue, now);

    percpu()->resched = false;
    if (task != NULL) {
        task->state = STATE_RUNNING;
        task->wake_pending = false;
        percpu()->current_task = task;
        task->wait_ns += now - task->queued_ns;
        task->started_ns = now;
        bool alone = list_empty(&queue->tasks);
        queue->slice_end_ns = now + sched_share_turn_ns(task, alone);
        queue->limit_ns = NO_LIMIT;
        if (!alone || sched_share_capped(task)) {
            queue->limit_ns = queue->slice_end_ns;
            timer_arm(&queue->slice, queue->slice_end_ns);
        }
    }
    spin_unlock(&queue->lock, flags);
    return task;
}

/* The task returned verdict: put it where it belongs. After TASK_EXIT the queue knows nothing of it. */
static void finish(struct run_queue *queue, struct task *task, enum task_verdict verdict)
{
    u64 flags = spin_lock(&queue->lock);

    percpu()->current_task = NULL;
    if (verdict == TASK_EXIT) {
        task->state = STATE_GONE;
        queue->assigned -= load_of(task);
    } else if (verdict == TASK_AGAIN || task->wake_pending) {
        enqueue(queue, task);
    } else {
        task->state = STATE_BLOCKED;
    }
    spin_unlock(&queue->lock, flags);
}

/* Would the task be better off there: nothing runs, or even with the task the CPU has less to do than this one now? */
static bool is_better(const struct run_queue *queue, u32 cpu, const struct task *task)
{
    const struct run_queue *other = &queues[cpu];

    if (other == queue || !cpu_usable(cpu, &task->affinity) || !READ_ONCE(other->ready)) {
        return false;
    }
    return (READ_ONCE(percpu_of(cpu)->current_task) == NULL && READ_ONCE(other->tasks.next) == &other->tasks) ||
           READ_ONCE(other->assigned) + load_of(task) < queue->assigned;
}

/* Where the task that just ran should go on, or CPU_MAX: here. A hint: no lock is held. */
static u32 better_cpu(const struct run_queue *queue, const struct task *task)
{
    u32 target = READ_ONCE(task->target);

    if (target != CPU_MAX || task->moves == NULL || READ_ONCE(queue->tasks.next) == &queue->tasks) {
        return target;
    }
    for (u32 cpu = 0; cpu < percpu_count(); cpu++) {
        if (is_better(queue, cpu, task)) {
            return cpu;
        }
    }
    return CPU_MAX;
}

/* The task that just ran, runnable, goes to another CPU. Between the locks it counts as running: a wake-up is a note. */
static void hand_over(struct run_queue *queue, struct task *task, u32 cpu)
{
    struct run_queue *target = &queues[cpu];

    task->moves(task);
    task->moved++;
    u64 flags = spin_lock(&queue->lock);
    percpu()->current_task = NULL;
    queue->assigned -= load_of(task);
    task->target = CPU_MAX;
    WRITE_ONCE(task->cpu, cpu);
    spin_unlock(&queue->lock, flags);
    flags = spin_lock(&target->lock);
    target->assigned += load_of(task);
    task->state = STATE_QUEUED;
    list_insert_before(&target->tasks, &task->link);
    spin_unlock(&target->lock, flags);
    notify(cpu);
}

/* Run one task for a turn, or take it to where it is wanted. false when there was none. */
static bool run_one(struct run_queue *queue)
{
    struct task *task = begin_next(queue);
    enum task_verdict verdict = TASK_AGAIN;

    if (task == NULL) {
        return false;
    }
    if (READ_ONCE(task->target) == CPU_MAX) {
        verdict = task->run(task, queue->slice_end_ns);
        sched_share_pay(task, time_now_ns(), queue->limit_ns);
    }
    u32 cpu = verdict == TASK_AGAIN ? better_cpu(queue, task) : CPU_MAX;
    if (cpu != CPU_MAX) {
        hand_over(queue, task, cpu);
    } else {
        finish(queue, task, verdict);
    }
    timer_cancel(&queue->slice);
    if (verdict == TASK_EXIT && task->exited != NULL) {
        task->exited(task);
    }
    return true;
}

/* Wait unless something is runnable. With IRQs off between the look and the wait no wake-up is missed: its kick stays
 * pending and ends the wait. */
static void idle(struct run_queue *queue)
{
    arch_irq_disable();
    u64 flags = spin_lock(&queue->lock);
    bool empty = list_empty(&queue->tasks);

    spin_unlock(&queue->lock, flags);
    if (empty) {
        arch_irq_wait();
    } else {
        arch_irq_enable();
    }
}

void sched_init(void)
{
    irq_add_kick_handler(limit_running_task);
}

void sched_loop(void)
{
    struct run_queue *queue = &queues[percpu()->id];
    u64 flags = spin_lock(&queue->lock);

    prepare_locked(queue);
    spin_unlock(&queue->lock, flags);
    arch_irq_enable();
    for (;;) {
        if (!run_one(queue)) {
            idle(queue);
        }
    }
}
