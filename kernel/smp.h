/* Every CPU. */
#pragma once
#include "kernel/lib/types.h"

/* How the platform starts CPUs; registered by its driver. */
struct smp_ops {
    const char *id_name;       /* what the platform calls hw_id, for the log */
    u32 (*count)(void);        /* CPUs that can be started, the boot CPU not among them */
    u32 (*hw_id)(u32 index);   /* the interrupt controller's id of the index-th */
    /* Make the CPU run entry(), on its own stack with percpu() valid. Returns its percpu id once it has come up, or
     * -E_TIMEOUT (it did not answer and will never run anything), -E_NOMEM, -E_RANGE (more than CPU_MAX). */
    int (*start)(u32 index, void (*entry)(void));
    void (*done)(void); /* no more start() will follow */
};
void smp_set_ops(const struct smp_ops *ops);

/* Start no more than max CPUs in all (0: no limit). Before smp_start_all(). */
void smp_set_limit(u32 max);

/* Start all CPUs that the firmware describes; each runs entry() on its own stack with its percpu area. A CPU that does
 * not answer in time is reported and left out. Prints one line per CPU. Returns the number online. Boot CPU. */
u32 smp_start_all(void (*entry)(void));

/* Run fn(arg) on every online CPU, the caller included, and wait for all. Task context, IRQs on. */
void smp_call_all(void (*fn)(void *arg), void *arg);
u32 smp_online_count(void);
