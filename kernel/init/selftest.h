/* What Mote tries out on itself: the timers before the VMs start (selftest=on), the virtualization extension and a
 * panic at the monitor. */
#pragma once
#include "kernel/lib/types.h"

/* Arm timers on this CPU, cancel half of them, and print one event line: how many fired, how late at worst, with how many
 * interrupts. Boot CPU, task context, before any VM runs. */
void selftest_timers(void);

/* Be a host bug, for tests of what a panic shows; with selftest=on only. False: no such way. */
bool selftest_panic(const char *way);

/* What selftest_reenable() saw: CPUs on which the extension was off after cpu_disable(), and on again after cpu_enable(). */
struct selftest_reenabled {
    u32 off, on; /* atomic */
};

/* Switch the extension off and on again on every online CPU. One where that fails is taken out of use. No VM lives; task
 * context. */
struct selftest_reenabled selftest_reenable(void);
