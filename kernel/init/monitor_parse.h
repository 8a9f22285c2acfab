/* Words of the monitor's commands. Pure. */
#pragma once
#include "kernel/lib/types.h"

/* Decimal, or hexadecimal with 0x. false: not a number, or it does not fit. */
bool monitor_parse_number(const char *text, u64 *value);

/* NAME or NAME.VCPU; name has room for 32 bytes. A suffix that is no number belongs to the name. false: too long. */
bool monitor_parse_vcpu(const char *text, char *name, u32 *cpu);
