/* The end of the machine. Drivers register ways; the verdict decides the exit status in emulators. */
#pragma once
#include "kernel/lib/types.h"

enum power_action { POWER_HALT, POWER_OFF, POWER_REBOOT, POWER_EXIT };

/* A way to end: returns when it did not work. code is the verdict (POWER_EXIT), else 0. */
struct power_way {
    const char *name;
    void (*act)(enum power_action action, u32 code);
    struct power_way *next;
};

/* Ways are tried in the order in which they were added. Boot CPU. */
void power_add_way(struct power_way *way);

/* Register with panic(): the machine ends with POWER_EXIT and code 5. Boot CPU. */
void power_init(void);

/* Print "MOTE: verdict=pass|fail|... code=N" (0 pass, 1 fail, 3 skipped, 4 timeout, 5 panic, others fail), drain the
 * consoles, stop the other CPUs and act; halts when nothing works. */
NORETURN void power_end(enum power_action action, u32 code);
