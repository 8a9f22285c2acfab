/* Monotonic time. */
#pragma once
#include "kernel/lib/types.h"

#define NS_PER_SEC 1000000000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_US 1000ULL

/* Nanoseconds since boot; monotonic per CPU. Any context. */
u64 time_now_ns(void);

/* The raw counter and its frequency in Hz as measured at boot. */
u64 time_ticks(void);
u64 time_ticks_hz(void);

/* The counter's value at time_now_ns() = 0, for hardware that compares against the raw counter. */
u64 time_base_ticks(void);

/* Convert without overflow for any 64-bit input; results beyond 64 bits become all ones. */
u64 time_ticks_to_ns(u64 ticks);
u64 time_ns_to_ticks(u64 ns);

/* Busy-wait at least ns; for device start-up only. */
void time_delay_ns(u64 ns);

/* Wall clock at boot + elapsed: seconds since 1970-01-01 UTC, read once from the platform's RTC. */
u64 time_wall_seconds(void);

/* Registered by the driver that calibrated the counter. Boot CPU, once, before any other call. hz > 0. */
void time_init(u64 ticks_hz, u64 wall_seconds_at_boot);
