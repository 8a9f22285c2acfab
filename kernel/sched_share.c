/* A share is a weight and a limit. The weight is the length of a turn in the round: half the share, half the turn. The limit
 * needs one number: each nanosecond that a task of share s runs is paid for by 100/s of real time, and it may not run while
 * it has paid beyond the present. What it did not use it keeps for BURST_NS, so that waiting for others costs it nothing. */
#include "kernel/sched_share.h"
#include "kernel/time.h"

#define PERCENT 100U
#define TURN_MIN_NS (SCHED_SLICE_NS / 5) /* shorter ones would be spent on entering and leaving; the limit holds anyway */
#define BURST_NS (20 * SCHED_SLICE_NS)
#define WAIT_MAX_NS NS_PER_SEC /* a task that is to end, or to be looked at, answers within this time */
#define DEBT_MAX_NS (4 * SCHED_SLICE_NS)

u32 sched_share_of(const struct task *task)
{
    return task->share != 0 ? task->share : PERCENT;
}

bool sched_share_capped(const struct task *task)
{
    return sched_share_of(task) < PERCENT;
}

u64 sched_share_turn_ns(struct task *task, bool alone)
{
    if (alone) {
        return SCHED_SLICE_NS;
    }
    u64 turn = MAX(SCHED_SLICE_NS * sched_share_of(task) / PERCENT, TURN_MIN_NS);
    u64 repaid = MIN(task->debt_ns, turn / 2);

    task->debt_ns -= repaid;
    return turn - repaid;
}

void sched_share_pay(struct task *task, u64 end_ns, u64 limit_ns)
{
    u64 ran = end_ns - task->started_ns;

    task->run_ns += ran;
    if (end_ns > limit_ns) {
        task->debt_ns = MIN(task->debt_ns + (end_ns - limit_ns), DEBT_MAX_NS);
    }
    if (sched_share_capped(task)) {
        u64 oldest = task->started_ns > BURST_NS ? task->started_ns - BURST_NS : 0;
        u64 paid_until = MAX(task->paid_until_ns, oldest) + ran * PERCENT / sched_share_of(task);
        task->paid_until_ns = MIN(paid_until, end_ns + WAIT_MAX_NS);
    }
}
