/* The local APIC in either of its modes. SDM Vol. 3 chapter 11 (APIC), APM Vol. 2 chapter 16. */
#pragma once
#include "kernel/lib/types.h"

/* Choose the mode (x2APIC when the firmware hands it over, or when an id does not fit xAPIC), map the registers, enable
 * the boot CPU's APIC. address: the xAPIC base from firmware, 0 = from the MSR. max_id: the largest APIC id in the machine.
 * Returns 0, -E_NOSYS (no APIC), -E_NOMEM. Boot CPU. */
MUST_CHECK int lapic_init(u64 address, u32 max_id);

/* Enable the calling application CPU's APIC in the same mode. IRQs off. */
void lapic_enable_cpu(void);

u32 lapic_id(void);

/* Can this id be addressed in the chosen mode? */
bool lapic_reachable(u32 id);

void lapic_end(void);

/* Fixed, INIT, start-up IPIs and NMI. Each waits (bounded) until the previous one was accepted. */
void lapic_send_kick(u32 id);
void lapic_send_init(u32 id);
void lapic_send_startup(u32 id, u8 page);
void lapic_send_nmi(u32 id);

/* Registers by offset (lapic_regs.h), in either mode; for the timer driver. */
u32 lapic_read(u32 reg);
void lapic_write(u32 reg, u32 value);

/* The timer. lapic_timer_start_free() and lapic_timer_elapsed() let calibration count its ticks; lapic_timer_init()
 * then takes the frequency (Hz) and makes it the host's timer; lapic_timer_enable_cpu() is for application CPUs. */
void lapic_timer_start_free(void);
u32 lapic_timer_elapsed(void);
MUST_CHECK int lapic_timer_init(u64 hz);
void lapic_timer_enable_cpu(void);
