/* The PC's serial ports COM1..COM4 as consoles; see platform_console() and platform_console_input(). */
#pragma once
#include "kernel/lib/types.h"

/* Take input from every port in use, by interrupt. A port without an interrupt line stays output only (one warning). */
void com_enable_input(void);
