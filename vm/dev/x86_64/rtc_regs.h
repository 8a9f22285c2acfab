/* The real-time clock's registers (Motorola MC146818A data sheet), for its own files. */
#pragma once
#include "vm/dev/x86_64/rtc.h"

enum { REG_SECONDS = 0, REG_ALARM_SECONDS = 1, REG_MINUTES = 2, REG_ALARM_MINUTES = 3, REG_HOURS = 4, REG_ALARM_HOURS = 5,
       REG_WEEKDAY = 6, REG_DAY = 7, REG_MONTH = 8, REG_YEAR = 9, REG_A = 10, REG_B = 11, REG_C = 12, REG_D = 13,
       REG_CENTURY = 50 };

#define REG_A_RATE BIT32_MASK(3, 0)
#define REG_A_DIVIDER BIT32_MASK(6, 4)
#define REG_A_32KHZ 2U /* in REG_A_DIVIDER: the clock runs */
#define REG_A_UIP BIT32(7)
#define REG_B_24H BIT32(1)
#define REG_B_BINARY BIT32(2)
#define REG_B_UPDATE BIT32(4)
#define REG_B_ALARM BIT32(5)
#define REG_B_PERIODIC BIT32(6)
#define REG_B_SET BIT32(7)
#define REG_C_UPDATE BIT32(4) /* the flags stand where their enables stand in register B */
#define REG_C_ALARM BIT32(5)
#define REG_C_PERIODIC BIT32(6)
#define REG_C_FLAGS (REG_C_UPDATE | REG_C_ALARM | REG_C_PERIODIC)
#define REG_C_IRQ BIT32(7)
#define REG_D_VALID BIT32(7)
#define HOURS_PM BIT32(7)
#define BIT32_MASK(high, low) ((u32)GENMASK(high, low))

/* The guest's clock in seconds since 1970, at a moment given in host nanoseconds. Lock held. */
u64 vrtc_seconds_at(const struct vrtc *rtc, u64 now_ns);
/* A time register's value in binary. Lock held. */
u32 vrtc_decode(const struct vrtc *rtc, u8 value);
u32 vrtc_decode_hour(const struct vrtc *rtc, u8 value);

/* --- interrupts (rtc_irq.c); lock held ------------------------------------------------------------------------------- */

void vrtc_irq_init(struct vrtc *rtc, const struct irqline *irq);
/* Note what has happened until now; call it before a register that matters changes. */
void vrtc_collect(struct vrtc *rtc);
/* Drive the wire and arm the timer for what comes next; after a change. */
void vrtc_settle(struct vrtc *rtc);
/* Is the time about to change within the 244 us that register A announces? */
bool vrtc_update_near(const struct vrtc *rtc);
