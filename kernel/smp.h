/* Every CPU. */
#pragma once
#include "kernel/lib/types.h"

/* Start all CPUs that the firmware describes; each runs entry() on its own stack with its percpu area. A CPU that does
 * not answer in time is reported and left out. Prints one line per CPU. Returns the number online. Boot CPU. */
u32 smp_start_all(void (*entry)(void));

/* Run fn(arg) on every online CPU, the caller included, and wait for all. Task context, IRQs on. */
void smp_call_all(void (*fn)(void *arg), void *arg);
u32 smp_online_count(void);
