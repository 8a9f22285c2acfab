/* What kernel/init needs from the machine's drivers; drivers/<arch> supplies it. In the order of calling. */
#pragma once
#include "boot/boot_info.h"
#include "kernel/lib/types.h"
#include "mm/frame.h"

/* A serial console at this I/O port, output only for now, in place of the boot code's; port 0: no console at all. Needs
 * nothing but percpu(). Returns 0, -E_RANGE (no such
 * port), -E_EXIST, -E_NOENT (no UART answers), -E_INVAL (baud). Boot CPU. */
MUST_CHECK int platform_console(u16 port, u32 baud);

/* Memory that starting the other CPUs will need; to be kept out of the frame allocator. len = 0: none was found, and
 * the machine stays with one CPU. Before frame_init(); pure. */
struct frame_range platform_reserve(const struct boot_info *info);

/* Firmware tables, interrupt controller, clock and timers, ways to end the machine, smp_ops. Needs frames and kmap. After
 * it time runs, irq_request() works and smp_start_all() may be called; interrupts may be enabled. Firmware that describes
 * nothing usable costs a warning line, and the machine goes on with what it has. Boot CPU, IRQs off. */
void platform_init(const struct boot_info *info);

/* Let the consoles take input. After platform_init(). */
void platform_console_input(void);
