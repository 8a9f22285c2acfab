/* Words of the monitor's commands. Pure. */
#pragma once
#include "kernel/lib/types.h"

/* NAME or NAME.VCPU; name has room for 32 bytes. A suffix that is no number belongs to the name. false: too long. */
bool monitor_parse_vcpu(const char *text, char *name, u32 *cpu);

#define MONITOR_CHOICE_MAX 8U

/* The index-th of the words that may stand at that place of a usage such as "trace NAME on|off". false: no such word. */
bool monitor_choice(const char *usage, u32 word, u32 index, char out[MONITOR_CHOICE_MAX]);
