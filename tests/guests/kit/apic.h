/* The local APIC, the I/O APIC, and more CPUs, for payloads that want them. */
#pragma once
#include "tests/guests/kit/kit.h"

#define CPUS_MAX 32U
#define APIC_PAGE 0xFEE00000ULL
#define IOAPIC_PAGE 0xFEC00000ULL
#define MSR_APIC_BASE 0x1B
#define MSR_X2APIC 0x800
#define MSR_TSC_DEADLINE 0x6E0
#define BASE_BSP 0x100ULL
#define BASE_EXTD 0x400ULL
#define BASE_EN 0x800ULL

/* A register's number: its offset in the page / 16, its MSR - 800h. */
enum { APIC_ID = 0x02, APIC_VERSION = 0x03, APIC_TPR = 0x08, APIC_PPR = 0x0A, APIC_EOI = 0x0B, APIC_LDR = 0x0D,
       APIC_DFR = 0x0E, APIC_SVR = 0x0F, APIC_ISR = 0x10, APIC_IRR = 0x20, APIC_ESR = 0x28, APIC_ICR = 0x30,
       APIC_ICR_HIGH = 0x31, APIC_LVT_TIMER = 0x32, APIC_LVT_LINT0 = 0x35, APIC_LVT_ERROR = 0x37, APIC_INITIAL = 0x38,
       APIC_CURRENT = 0x39, APIC_DIVIDE = 0x3E, APIC_SELF = 0x3F };

#define ICR_LOWEST (1U << 8)
#define ICR_NMI (4U << 8)
#define ICR_INIT (5U << 8 | 1U << 14)
#define ICR_STARTUP (6U << 8)
#define ICR_LOGICAL (1U << 11)
#define ICR_SELF (1U << 18)
#define ICR_ALL (2U << 18)
#define ICR_OTHERS (3U << 18)
#define LVT_MASKED (1U << 16)
#define TIMER_PERIODIC (1U << 17)
#define TIMER_DEADLINE (2U << 17)

/* The calling CPU's APIC, through the page or the MSRs as its mode is. */
bool apic_is_x2(void);
u32 apic_get(u32 reg);
void apic_set(u32 reg, u32 value);
void apic_send(u32 destination, u32 icr);
u32 apic_errors(void); /* since the last call */
/* A handler that counts its vector and sends EOI. */
extern volatile u32 apic_counts[256];
void apic_count(u32 vector);
/* Software-enable; x2: switch to x2APIC mode first. */
void apic_enable(bool x2);
/* 0 for the boot CPU, as the APIC id. */
u32 cpu_index(void);
/* INIT, SIPI, SIPI: CPU n runs fn with interrupts off, then halts. false: it did not come up in 2 s. */
bool start_cpu(u32 n, void (*fn)(void));

void ioapic_route(u32 pin, u32 low, u32 destination);
u32 ioapic_get(u32 reg);
void ioapic_set(u32 reg, u32 value);

/* Wait until *counter reaches value, at most ms of host time; the value it has then. */
u32 wait_count(const volatile u32 *counter, u32 value, u32 ms);
void wait_us(u64 us);
