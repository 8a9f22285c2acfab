/* The CMOS clock of the PC (MC146818A data sheet). */
#pragma once
#include "kernel/lib/types.h"

/* Seconds since 1970-01-01 UTC, taking the clock to run in UTC. century_index: the CMOS byte of the century from the
 * FADT, 0 = none. 0 when the clock shows nonsense. Bounded. */
u64 rtc_read_seconds(u8 century_index);
