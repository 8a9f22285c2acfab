/* Timers: a pairing heap per CPU. A timer's cpu field names the queue whose lock protects it; the field changes only
 * under that lock, and a timer is put into a queue only under the lock of that queue while the field names it. */
#include "kernel/timer.h"
#include "kernel/base/lock.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/cpuset.h"
#include "kernel/time.h"
#include <arch/cpu.h>

#define NEVER UINT64_MAX
#define FIRE_MAX 64U /* per interrupt: a timer that re-arms itself in the past cannot hold the CPU */

struct timer_queue {
    struct spinlock lock; /* protects the heap and every timer in it */
    struct timer *root;   /* the earliest */
    struct timer *firing;
};

static struct timer_queue queues[CPU_MAX];
static const struct timer_hw *hardware;

/* --- the heap ------------------------------------------------------------------------------------------------------ */

/* Both are roots (no prev, no next). */
static struct timer *heap_meld(struct timer *a, struct timer *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    if (b->deadline_ns < a->deadline_ns) {
        struct timer *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    if (b->next != NULL) {
        b->next->prev = b;
    }
    b->prev = a;
    a->child = b;
    return a;
}

/* Meld a list of siblings into one root: pairs from left to right, then the pairs from right to left. */
static struct timer *heap_meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL; /* linked through prev */
    struct timer *root = NULL;

    while (first != NULL) {
        struct timer *a = first;
        struct timer *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->prev = a->next = NULL;
        if (b != NULL) {
            b->prev = b->next = NULL;
        }
        a = heap_meld(a, b);
        a->prev = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct timer *rest = pairs->prev;
        pairs->prev = NULL;
        root = heap_meld(root, pairs);
        pairs = rest;
    }
    return root;
}

static void queue_insert(struct timer_queue *queue, struct timer *timer)
{
    timer->child = timer->next = timer->prev = NULL;
    timer->armed = true;
    queue->root = heap_meld(queue->root, timer);
}

static void queue_remove(struct timer_queue *queue, struct timer *timer)
{
    struct timer *children = heap_meld_siblings(timer->child);

    if (timer == queue->root) {
        queue->root = children;
    } else {
        if (timer->prev->child == timer) {
            timer->prev->child = timer->next;
        } else {
            timer->prev->next = timer->next;
        }
        if (timer->next != NULL) {
            timer->next->prev = timer->prev;
        }
        queue->root = heap_meld(queue->root, children);
    }
    timer->child = timer->next = timer->prev = NULL;
    timer->armed = false;
}

/* --- the interface ------------------------------------------------------------------------------------------------- */

void timer_init(struct timer *timer, void (*fire)(struct timer *timer), void *arg)
{
    *timer = (struct timer){.fire = fire, .arg = arg};
}

void timer_set_hw(const struct timer_hw *hw)
{
    hardware = hw;
}

/* The queue is this CPU's. */
static void program(const struct timer_queue *queue)
{
    u64 deadline_ns = queue->root != NULL ? queue->root->deadline_ns : NEVER;

    percpu()->timer_ns = deadline_ns;
    if (hardware != NULL) {
        hardware->program(deadline_ns);
    }
}

/* Lock the queue that the timer belongs to. */
static struct timer_queue *lock_queue_of(struct timer *timer, u64 *flags)
{
    for (;;) {
        u32 cpu = READ_ONCE(timer->cpu);
        *flags = spin_lock(&queues[cpu].lock);
        if (timer->cpu == cpu) {
            return &queues[cpu];
        }
        spin_unlock(&queues[cpu].lock, *flags);
    }
}

void timer_arm(struct timer *timer, u64 deadline_ns)
{
    u32 me = percpu()->id;

    for (;;) {
        u64 flags;
        struct timer_queue *queue = lock_queue_of(timer, &flags);
        if (timer->armed) {
            queue_remove(queue, timer);
        }
        if (queue == &queues[me]) {
            timer->deadline_ns = deadline_ns;
            queue_insert(queue, timer);
            if (queue->root == timer) {
                program(queue);
            }
            spin_unlock(&queue->lock, flags);
            return;
        }
        WRITE_ONCE(timer->cpu, me);
        spin_unlock(&queue->lock, flags);
    }
}

/* On any CPU: a timer that fires on one may meanwhile have been armed by another. */
static bool is_firing(const struct timer *timer)
{
    for (u32 cpu = 0; cpu < percpu_count(); cpu++) {
        if (__atomic_load_n(&queues[cpu].firing, __ATOMIC_ACQUIRE) == timer) {
            return true;
        }
    }
    return false;
}

void timer_cancel(struct timer *timer)
{
    for (;;) {
        u64 flags;
        struct timer_queue *queue = lock_queue_of(timer, &flags);
        if (timer->armed) {
            queue_remove(queue, timer);
        }
        bool firing = is_firing(timer);
        spin_unlock(&queue->lock, flags);
        if (!firing) {
            return;
        }
        arch_cpu_relax();
    }
}

void timer_interrupt(void)
{
    struct timer_queue *queue = &queues[percpu()->id];
    u64 now = time_now_ns();
    u64 flags = spin_lock(&queue->lock);

    percpu()->ticks++;
    for (u32 fired = 0; fired < FIRE_MAX && queue->root != NULL && queue->root->deadline_ns <= now; fired++) {
        struct timer *timer = queue->root;
        queue_remove(queue, timer);
        __atomic_store_n(&queue->firing, timer, __ATOMIC_RELAXED);
        spin_unlock(&queue->lock, flags);
        timer->fire(timer);
        flags = spin_lock(&queue->lock);
        __atomic_store_n(&queue->firing, NULL, __ATOMIC_RELEASE);
    }
    program(queue);
    spin_unlock(&queue->lock, flags);
}

void timer_program_again(void)
{
    struct timer_queue *queue = &queues[percpu()->id];
    u64 flags = spin_lock(&queue->lock);

    program(queue);
    spin_unlock(&queue->lock, flags);
}
