/* The end of the hypervisor: a host bug, never a guest's doing. */
#pragma once
#include "kernel/lib/types.h"

/* Print the message, this CPU's registers and a symbolised backtrace, the line "MOTE: verdict=panic code=5", stop all
 * other CPUs and end the machine through the registered power hook (test exit code 5). Any context. */
NORETURN void panic(const char *format, ...) PRINTF_LIKE(1, 2);

struct trap_frame;

/* As panic(), with the registers and the backtrace of the code that trapped. Trap context. */
NORETURN void panic_trap(const struct trap_frame *frame, const char *format, ...) PRINTF_LIKE(2, 3);

/* panic() unless cond; for host invariants only, never for anything a guest or module can influence. */
#define ASSERT(cond) ((cond) ? (void)0 : panic("%s:%d: %s", __FILE__, __LINE__, #cond))

/* Registered by kernel/power: how to end the machine after a panic. */
void panic_set_end(NORETURN void (*end)(void));

/* Has a CPU panicked? Then nothing that takes a lock may be called any more. Any context. */
bool panic_happened(void);
