/* What a share means in time: how long a turn lasts, and when a task has used up what it may. Private to the scheduler. */
#pragma once
#include "kernel/sched.h"

/* In percent of a CPU. */
u32 sched_share_of(const struct task *task);

/* Does the share limit the task even on a CPU that has nothing else to do? */
bool sched_share_capped(const struct task *task);

/* How long the turn that begins now lasts. In company its length is the task's weight, and what it overran before comes off,
 * at most half of a turn. */
u64 sched_share_turn_ns(struct task *task, bool alone);

/* It ran from started_ns to end. limit: when its turn should have ended, or UINT64_MAX: nobody waited. */
void sched_share_pay(struct task *task, u64 end_ns, u64 limit_ns);
