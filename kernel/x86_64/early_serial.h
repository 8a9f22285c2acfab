/* COM1, polled, as a log sink from the first C line until the real UART driver takes over. */
#pragma once

#define EARLY_SERIAL_PORT 0x3F8U /* COM1 */

/* Program COM1 (115200 baud, 8N1) and add it to the log. Boot CPU. */
void early_serial_start(void);

/* Take it out of the log again. Boot CPU. */
void early_serial_stop(void);
