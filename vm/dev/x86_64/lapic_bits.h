/* The local APIC's bits, for its own files (SDM Vol. 3 11.4-11.6, 11.12). */
#pragma once
#include "vm/dev/x86_64/lapic.h"

/* A register's number is its offset in the page / 16, and its MSR - 800h (SDM Vol. 3 tables 11-1 and 11-6). */
enum { REG_ID = 0x02, REG_VERSION = 0x03, REG_TPR = 0x08, REG_APR = 0x09, REG_PPR = 0x0A, REG_EOI = 0x0B, REG_LDR = 0x0D,
       REG_DFR = 0x0E, REG_SVR = 0x0F, REG_ISR = 0x10, REG_TMR = 0x18, REG_IRR = 0x20, REG_ESR = 0x28, REG_ICR = 0x30,
       REG_ICR_HIGH = 0x31, REG_LVT = 0x32, REG_INITIAL = 0x38, REG_CURRENT = 0x39, REG_DIVIDE = 0x3E, REG_SELF_IPI = 0x3F,
       REG_END = 0x40 };
#define REG_WORDS 4U /* of the page that a register takes; the first counts, and in x2APIC mode the second of the ICR */
#define REG(lapic, number) ((lapic)->page[(number) * REG_WORDS])

#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_EXTD BIT(10)
#define APIC_BASE_EN BIT(11)

#define BIT32_RANGE(high, low) ((u32)GENMASK(high, low))
#define VECTOR_MASK BIT32_RANGE(7, 0)
#define VECTOR_FIRST_LEGAL 16U
#define ID_SHIFT 24U /* of the id, outside x2APIC mode */
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
void vlapic_write_svr(struct vlapic *lapic, u32 value);
/* The ICR: in two registers, or in x2APIC mode in one of 64 bits. */
u64 vlapic_icr(const struct vlapic *lapic);
void vlapic_set_icr(struct vlapic *lapic, u64 value);

/* The highest set bit of 256, or 0: vector 0 never stands in a request or service register. Two words at a time. */
typedef u64 __attribute__((may_alias)) word_pair;
static inline bool any(const u32 *words)
{
    const word_pair *pairs = (const word_pair *)(const void *)words;

    return (READ_ONCE(pairs[0]) | READ_ONCE(pairs[1]) | READ_ONCE(pairs[2]) | READ_ONCE(pairs[3])) != 0;
}

static inline u8 highest(const u32 *words)
{
    const word_pair *pairs = (const word_pair *)(const void *)words;

#pragma GCC unroll 4
    for (u32 i = 4; i-- != 0;) {
        u64 pair = READ_ONCE(pairs[i]);
        if (pair != 0) {
            return (u8)(i * 64 + 63 - (u32)__builtin_clzll(pair));
        }
    }
    return 0;
}

/* The processor priority while isr_top is in service. */
static inline u32 priority(const struct vlapic *lapic, u8 isr_top)
{
    u32 service = isr_top & PRIORITY_CLASS;
    u32 task = READ_ONCE(REG(lapic, REG_TPR));

    return (task & PRIORITY_CLASS) >= service ? task : service;
}

static inline bool software_enabled(const struct vlapic *lapic)
{
    return (lapic->base & APIC_BASE_EN) != 0 && (REG(lapic, REG_SVR) & SVR_ENABLE) != 0;
}

/* A word of one of the three registers of 256 bits. */
static inline u32 *vector_word(const struct vlapic *lapic, u32 reg, u8 vector)
{
    return &REG(lapic, reg + vector / 32);
}

static inline bool vector_test(const struct vlapic *lapic, u32 reg, u8 vector)
{
    return (READ_ONCE(*vector_word(lapic, reg, vector)) & BIT32(vector % 32)) != 0;
}

/* The highest vector of such a register, or 0: vector 0 never stands in one. */
static inline u8 vector_highest(const struct vlapic *lapic, u32 reg)
{
    for (u32 i = 8; i-- != 0;) {
        u32 word = READ_ONCE(REG(lapic, reg + i));
        if (word != 0) {
            return (u8)(i * 32 + 31 - (u32)__builtin_clz(word));
        }
    }
    return 0;
}
