/* The loader's framebuffer as a console that shows text; output only. Writing to it changes characters in memory; a task on
 * the boot CPU draws them, at most a fifth of the time, so that no guest waits for the screen. */
#pragma once
#include "boot/boot_info.h"

/* Add the screen to the console. Needs the heap and kmap. Returns 0, -E_NOENT (the loader gave no screen), -E_NOSYS (one of
 * an unknown kind), -E_INVAL (a description that cannot be), -E_NOMEM. Boot CPU, once. */
MUST_CHECK int framebuffer_init(const struct boot_info *info);

/* Start the task that draws; until then only console_drain() does. After sched_init(). Boot CPU. */
void framebuffer_start(void);
