/* Serial ports, as consoles or for services: COM1..COM4 and any other I/O port; see drivers/platform.h. */
#pragma once
#include "kernel/lib/types.h"

/* From now on output waits in queues and leaves by timer. */
void com_queue_output(void);

/* Take input from every console: COM1..COM4 by interrupt, any other, and one whose line is taken, by looking a
 * thousand times a second. */
void com_enable_input(void);
