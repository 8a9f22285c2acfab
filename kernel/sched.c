/* The scheduler: round robin per CPU. A task stays where sched_add() put it, until its slice ends with others waiting
 * behind it while another CPU of its affinity has nothing to do: then its own CPU hands it over. */
#include "kernel/sched.h"
#include "kernel/base/lock.h"
#include "kernel/base/percpu.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include <arch/cpu.h>

enum { STATE_BLOCKED, STATE_QUEUED, STATE_RUNNING, STATE_GONE };

struct run_queue {
    struct spinlock lock; /* protects everything here, and state and wake_pending of its tasks */
    struct list tasks;    /* runnable, next to run first */
    struct timer slice;   /* armed on this CPU only while somebody waits for the running task */
    u64 slice_end_ns;
    u32 assigned;         /* tasks that live here, blocked ones included, services not */
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

/* To the tail. Lock held. */
static void enqueue(struct run_queue *queue, struct task *task)
{
    task->state = STATE_QUEUED;
    task->queued_ns = time_now_ns();
    list_insert_before(&queue->tasks, &task->link);
}

/* This CPU was kicked: somebody may have become runnable while a task that thought itself alone runs. */
static void limit_running_task(void)
{
    struct run_queue *queue = &queues[percpu()->id];
    u64 flags = spin_lock(&queue->lock);

    prepare_locked(queue);
    if (percpu()->current_task != NULL && !list_empty(&queue->tasks) && !queue->slice.armed) {
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

/* The online CPU of the set with the fewest tasks, or CPU_MAX. */
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

int sched_add(struct task *task)
{
    u32 cpu = least_loaded(&task->affinity);

    if (cpu == CPU_MAX) {
        return -E_INVAL;
    }
    struct run_queue *queue = &queues[cpu];
    u64 flags = spin_lock(&queue->lock);
    prepare_locked(queue);
    task->cpu = cpu;
    task->wake_pending = false;
    task->run_ns = 0;
    task->wait_ns = 0;
    queue->assigned += task->service ? 0 : 1;
    enqueue(queue, task);
    spin_unlock(&queue->lock, flags);
    notify(cpu);
    return 0;
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

/* Take the next task, or NULL. The slice timer runs only when another one waits behind it. */
static struct task *begin_next(struct run_queue *queue)
{
    struct task *task = NULL;
    u64 flags = spin_lock(&queue->lock);

    percpu()->resched = false;
    if (!list_empty(&queue->tasks)) {
        task = CONTAINER_OF(queue->tasks.next, struct task, link);
        list_remove(&task->link);
        task->state = STATE_RUNNING;
        task->wake_pending = false;
        percpu()->current_task = task;
        u64 now = time_now_ns();
        task->wait_ns += now - task->queued_ns;
        queue->slice_end_ns = now + SCHED_SLICE_NS;
        if (!list_empty(&queue->tasks)) {
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
        queue->assigned -= task->service ? 0 : 1;
    } else if (verdict == TASK_AGAIN || task->wake_pending) {
        enqueue(queue, task);
    } else {
        task->state = STATE_BLOCKED;
    }
    spin_unlock(&queue->lock, flags);
}

/* A CPU of the task's affinity that has nothing to run, when others wait here; else CPU_MAX. A hint: no lock is held. */
static u32 better_cpu(struct run_queue *queue, const struct task *task)
{
    if (task->moves == NULL || READ_ONCE(queue->tasks.next) == &queue->tasks) {
        return CPU_MAX;
    }
    for (u32 cpu = 0; cpu < percpu_count(); cpu++) {
        const struct run_queue *other = &queues[cpu];
        if (other != queue && cpu_usable(cpu, &task->affinity) && READ_ONCE(other->ready) &&
            READ_ONCE(percpu_of(cpu)->current_task) == NULL && READ_ONCE(other->tasks.next) == &other->tasks) {
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
    u64 flags = spin_lock(&queue->lock);
    percpu()->current_task = NULL;
    queue->assigned -= task->service ? 0 : 1;
    WRITE_ONCE(task->cpu, cpu);
    spin_unlock(&queue->lock, flags);
    flags = spin_lock(&target->lock);
    target->assigned += task->service ? 0 : 1;
    task->state = STATE_QUEUED;
    list_insert_before(&target->tasks, &task->link);
    spin_unlock(&target->lock, flags);
    notify(cpu);
}

/* Run one task for a slice. false when there was none. */
static bool run_one(struct run_queue *queue)
{
    struct task *task = begin_next(queue);

    if (task == NULL) {
        return false;
    }
    u64 start = time_now_ns();
    enum task_verdict verdict = task->run(task, queue->slice_end_ns);
    task->run_ns += time_now_ns() - start;
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
