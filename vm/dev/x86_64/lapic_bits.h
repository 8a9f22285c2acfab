/* The local APIC's bits, for its own files (SDM Vol. 3 11.4-11.6, 11.12). */
#pragma once
#include "vm/dev/x86_64/lapic.h"

#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_EXTD BIT(10)
#define APIC_BASE_EN BIT(11)

#define BIT32_RANGE(high, low) ((u32)GENMASK(high, low))
#define VECTOR_MASK BIT32_RANGE(7, 0)
#define VECTOR_FIRST_LEGAL 16U
#define PRIORITY_CLASS BIT32_RANGE(7, 4)

#define SVR_ENABLE BIT32(8)
#define SVR_RESET 0xFFU
#define SVR_WRITABLE BIT32_RANGE(9, 0)

#define LVT_MODE BIT32_RANGE(10, 8)
#define LVT_POLARITY BIT32(13)
#define LVT_STATUS BIT32(12)     /* delivery status: read-only */
#define LVT_REMOTE_IRR BIT32(14) /* of the LINTs: read-only */
#define LVT_TRIGGER BIT32(15)
#define LVT_MASKED BIT32(16)
#define LVT_TIMER_MODE BIT32_RANGE(18, 17)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

#define ESR_SEND_ILLEGAL BIT32(5)
#define ESR_RECEIVE_ILLEGAL BIT32(6)
#define ESR_ILLEGAL_REGISTER BIT32(7)

#define ICR_VECTOR GENMASK(7, 0)
#define ICR_MODE GENMASK(10, 8)
#define ICR_LOGICAL BIT(11)
#define ICR_ASSERT BIT(14)
#define ICR_LEVEL BIT(15)
#define ICR_SHORTHAND GENMASK(19, 18)
#define ICR_WRITABLE (GENMASK(11, 0) | GENMASK(15, 14) | GENMASK(19, 18))
#define ICR_DESTINATION_8BIT GENMASK(63, 56)
#define ICR_DESTINATION GENMASK(63, 32)
enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

void vlapic_write_tpr(struct vlapic *lapic, u32 value);
