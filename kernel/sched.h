/* The scheduler: a run queue of tasks per CPU. A task is a function that runs for at most a slice and returns; there are
 * no kernel threads and nothing is preempted but guests. */
#pragma once
#include "kernel/lib/cpuset.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/timer.h"

enum task_verdict {
    TASK_AGAIN, /* runnable: back to the tail of the queue */
    TASK_BLOCK, /* sleep until sched_wake(); a wake-up that came during run() is not lost */
    TASK_EXIT,  /* never run again; sched forgets the task before run() of another begins */
};

#define SCHED_SLICE_NS 1000000ULL

struct task {
    const char *name;
    enum task_verdict (*run)(struct task *task, u64 slice_end_ns); /* IRQs on; return when percpu()->resched is set */
    void (*exited)(struct task *task); /* called once after TASK_EXIT, on the task's CPU; may free the task; may be NULL */
    void (*moves)(struct task *task);  /* called on its CPU before another CPU runs it; NULL: it never moves */
    void *arg;
    struct cpuset affinity; /* CPUs that may run it */
    u32 share;              /* percent of a CPU, 1..100 (0: 100): the most that it gets, and its weight among others */
    bool service;           /* sleeps nearly always: does not count as load when CPUs are chosen */
    u32 cpu;                /* the CPU whose queue holds it; changes under that queue's lock */
    u32 state;              /* sched.c's */
    bool wake_pending;
    u64 run_ns;             /* time it ran, without the turn that goes on */
    u64 started_ns;         /* when its last turn began */
    u64 wait_ns;            /* time it was runnable while another ran */
    u64 queued_ns;          /* when it became runnable last */
    u64 moved;              /* how often it went to another CPU */
    u32 target;             /* sched_move()'s wish, or CPU_MAX; changes under the lock of its queue */
    u64 debt_ns;            /* sched_share.c's: it ran beyond its turns */
    u64 paid_until_ns;      /* sched_share.c's: it may not run before */
    struct timer refill;    /* armed while it waits for paid_until_ns */
    struct list link;
};

/* Put a new task, runnable, on the least loaded online CPU of its affinity. Returns 0 or -E_INVAL (no such CPU). The task
 * was all zeros before its fields were set, or is gone. */
MUST_CHECK int sched_add(struct task *task);

/* Make a blocked task runnable and kick its CPU when that is needed; for a running task, note the wake-up and kick.
 * Any context but NMI. Wake-ups may be spurious. A task that was not added yet, or is gone, is not woken. */
void sched_wake(struct task *task);

/* Send a task to a CPU of its affinity: one that runs is stopped for it, another goes there when its turn comes.
 * Returns 0, or -E_RANGE: the task never moves, or that CPU is not online or not in its affinity. Any context but NMI. */
MUST_CHECK int sched_move(struct task *task, u32 cpu);

/* Time that the task ran so far, its turn that goes on included; an estimate when it runs elsewhere. Any CPU. */
u64 sched_run_ns(const struct task *task);

/* Before the first sched_add(). Boot CPU. */
void sched_init(void);

/* The idle and run loop of the calling CPU; waits with interrupts on when nothing is runnable. */
NORETURN void sched_loop(void);
