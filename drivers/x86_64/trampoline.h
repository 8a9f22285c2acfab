/* The page in which application processors start: choosing it and filling it. */
#pragma once
#include "boot/boot_info.h"
#include "kernel/lib/types.h"
#include "mm/frame.h"

/* A page below 640 KiB, in RAM, clear of modules, kernel and the loader's information; len = 0 when there is none. Pure;
 * also built on the host. */
struct frame_range trampoline_choose(const struct boot_info *info);

/* Make the page executable at its own address, for starting CPUs only, and take that back. Returns 0 or -E_*. After
 * kmap_init(). */
MUST_CHECK int trampoline_init(struct frame_range page);
void trampoline_done(void);

/* Fill the page: the next CPU that starts there runs entry(arg) on this stack. Returns the page's number (the vector of the
 * start-up IPI). */
u8 trampoline_arm(u64 stack_top, void (*entry)(void *arg), void *arg);

/* Was the page entered since trampoline_arm()? */
bool trampoline_taken(void);

/* Take the invitation back: a CPU that comes from now on halts. Returns false when one came before. */
bool trampoline_disarm(void);
