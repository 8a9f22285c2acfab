/* What kernel/init needs from the machine's drivers; drivers/<arch> supplies it. In the order of calling. */
#pragma once
#include "boot/boot_info.h"
#include "kernel/lib/types.h"
#include "kernel/serial.h"
#include "mm/frame.h"

/* End the boot code's own way to the console; then one call for each serial console, output only for now, at an I/O port.
 * Needs nothing but percpu(). Returns 0, -E_EXIST, -E_NOENT (no UART answers), -E_NOMEM (too many), -E_INVAL (baud).
 * Boot CPU. */
void platform_console_begin(void);
MUST_CHECK int platform_console_serial(u16 port, u32 baud);

/* A serial port for a service, at 115200 baud. It listens at once, and what comes before its receive() is set is lost; output waits
 * in a queue once platform_console_queue() was called. After platform_init(), before that. NULL, and *error: -E_EXIST (in use),
 * -E_NOENT (no UART answers), -E_NOMEM (too many). Boot CPU. */
struct serial_port *platform_serial(u16 port, int *error);

/* The loader's framebuffer as a console; see framebuffer_init(). After kmap_init(). Boot CPU. */
MUST_CHECK int platform_console_screen(const struct boot_info *info);

/* Memory that starting the other CPUs will need; to be kept out of the frame allocator. len = 0: none was found, and
 * the machine stays with one CPU. Before frame_init(); pure. */
struct frame_range platform_reserve(const struct boot_info *info);

/* Firmware tables, interrupt controller, clock and timers, ways to end the machine, smp_ops. Needs frames and kmap. After
 * it time runs, irq_request() works and smp_start_all() may be called; interrupts may be enabled. Firmware that describes
 * nothing usable costs a warning line, and the machine goes on with what it has. Boot CPU, IRQs off. */
void platform_init(const struct boot_info *info);

/* Let serial output wait in queues rather than hold up who prints. After platform_init(). */
void platform_console_queue(void);

/* Let the serial consoles take input, and the screen be drawn while guests run. After platform_init() and sched_init(). */
void platform_console_input(void);
