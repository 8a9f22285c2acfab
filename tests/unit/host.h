/* The host build's stand-ins for kernel/base; see host.c. */
#pragma once
#include "kernel/base/lock.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/lib/types.h"
#include "mm/physmap.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Everything logged since the last clear, one line each. */
extern char host_log[65536];
extern size_t host_log_len;
void host_log_clear(void);

/* vcpu_mem_ops.ram_replace() of a fake guest whose ram_window() gave this. */
int host_replace(void *at, u64 old, u64 new, u8 size);
