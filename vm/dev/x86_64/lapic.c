/* The local APIC: vectors, priorities, modes. Its registers are in vlapic_regs.c, its timer in vlapic_timer.c, its messages
 * in apic_bus.c. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/dev/x86_64/lapic_bits.h"

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

static bool test_bit(const u32 *words, u8 vector)
{
    return (READ_ONCE(words[vector / 32]) & BIT32(vector % 32)) != 0;
}

static void set_bit_atomic(u32 *words, u8 vector)
{
    (void)__atomic_fetch_or(&words[vector / 32], BIT32(vector % 32), __ATOMIC_SEQ_CST);
}

static void clear_bit_atomic(u32 *words, u8 vector)
{
    (void)__atomic_fetch_and(&words[vector / 32], ~BIT32(vector % 32), __ATOMIC_SEQ_CST);
}

u32 vlapic_ppr(const struct vlapic *lapic)
{
    u32 service = lapic->isr_top & PRIORITY_CLASS;

    return (lapic->tpr & PRIORITY_CLASS) >= service ? lapic->tpr : service;
}

static bool software_enabled(const struct vlapic *lapic)
{
    return (lapic->base & APIC_BASE_EN) != 0 && (lapic->svr & SVR_ENABLE) != 0;
}

/* The trigger mode is set before the request, and the request before the CPU is told: vlapic_acknowledge() reads in the
 * opposite order. */
static void request(struct vlapic *lapic, u8 vector, bool level)
{
    if (level != test_bit(lapic->tmr, vector)) {
        level ? set_bit_atomic(lapic->tmr, vector) : clear_bit_atomic(lapic->tmr, vector);
    }
    set_bit_atomic(lapic->irr, vector);
    lapic->bus->event(lapic->bus->ctx, lapic->index);
}

void vlapic_error(struct vlapic *lapic, u32 bits)
{
    u32 lvt = READ_ONCE(lapic->lvt[LVT_ERROR]);

    (void)__atomic_fetch_or(&lapic->esr_pending, bits, __ATOMIC_SEQ_CST);
    if (software_enabled(lapic) && (lvt & LVT_MASKED) == 0 && (lvt & VECTOR_MASK) >= VECTOR_FIRST_LEGAL) {
        request(lapic, (u8)(lvt & VECTOR_MASK), false);
    }
}

bool vlapic_post(struct vlapic *lapic, u8 vector, bool level)
{
    if (!software_enabled(lapic)) {
        return false;
    }
    if (vector < VECTOR_FIRST_LEGAL) {
        vlapic_error(lapic, ESR_RECEIVE_ILLEGAL);
        return false;
    }
    request(lapic, vector, level);
    return true;
}

static inline bool pending(const struct vlapic *lapic)
{
    return any(lapic->irr) && software_enabled(lapic) &&
           (highest(lapic->irr) & PRIORITY_CLASS) > (vlapic_ppr(lapic) & PRIORITY_CLASS);
}

bool vlapic_pending(const struct vlapic *lapic)
{
    return pending(lapic);
}

bool vlapic_acknowledge(struct vlapic *lapic, u8 *vector)
{
    if (!vlapic_pending(lapic)) {
        return false;
    }
    *vector = highest(lapic->irr); /* only the owner clears requests, so it is still the one that was pending, or higher */
    clear_bit_atomic(lapic->irr, *vector);
    lapic->isr[*vector / 32] |= BIT32(*vector % 32);
    lapic->isr_top = *vector;
    lapic->isr_count++; /* it was not in service: its class is above all that are */
    return true;
}

/* The priority fell: what waited may be deliverable now. */
static inline void reconsider(struct vlapic *lapic)
{
    if (pending(lapic)) {
        lapic->bus->event(lapic->bus->ctx, lapic->index);
    }
}

/* The I/O APIC may send the vector again. */
static __attribute__((noinline)) void end_level(struct vlapic *lapic, u8 vector)
{
    lapic->bus->eoi(lapic->bus->ctx, vector);
    reconsider(lapic);
}

void vlapic_eoi(struct vlapic *lapic)
{
    u8 vector = lapic->isr_top;

    if (vector == 0) {
        return; /* nothing in service: ignored */
    }
    lapic->isr[vector / 32] &= ~BIT32(vector % 32);
    lapic->isr_count--;
    lapic->isr_top = lapic->isr_count == 0 ? 0 : highest(lapic->isr);
    if (test_bit(lapic->tmr, vector)) {
        end_level(lapic, vector);
        return;
    }
    reconsider(lapic);
}

bool vlapic_eoi_is_silent(const struct vlapic *lapic)
{
    return lapic->isr_top != 0 && !test_bit(lapic->tmr, lapic->isr_top) && highest(lapic->irr) == 0;
}

void vlapic_write_tpr(struct vlapic *lapic, u32 value)
{
    bool lower = value < lapic->tpr;

    lapic->tpr = value;
    if (lower) {
        reconsider(lapic);
    }
}

u64 vlapic_read_cr8(const struct vlapic *lapic)
{
    return lapic->tpr >> 4;
}

void vlapic_write_cr8(struct vlapic *lapic, u64 value)
{
    vlapic_write_tpr(lapic, (u32)(value << 4 & PRIORITY_CLASS));
}

bool vlapic_accepts_extint(const struct vlapic *lapic)
{
    u32 lint0 = lapic->lvt[LVT_LINT0];

    return (lapic->base & APIC_BASE_EN) == 0 ||
           ((lint0 & LVT_MASKED) == 0 && FIELD_GET(LVT_MODE, lint0) == APIC_EXTINT);
}

/* In x2APIC mode the logical id is derived (SDM 11.12.10.2): cluster in the upper half, one bit of 16 in the lower. */
static u32 x2apic_ldr(const struct vlapic *lapic)
{
    return lapic->index / 16 << 16 | BIT32(lapic->index % 16);
}

int vlapic_write_base(struct vlapic *lapic, u64 value)
{
    u64 mode = value & (APIC_BASE_EN | APIC_BASE_EXTD);
    u64 old = lapic->base & (APIC_BASE_EN | APIC_BASE_EXTD);
    bool legal = mode == old || mode == 0 || mode == APIC_BASE_EN || old == APIC_BASE_EN;

    /* SDM figure 11-27: EXTD needs EN; out of x2APIC only by switching off; into it only from xAPIC. */
    if (!legal || mode == APIC_BASE_EXTD || (old == (APIC_BASE_EN | APIC_BASE_EXTD) && mode == APIC_BASE_EN) ||
        (old == 0 && mode == (APIC_BASE_EN | APIC_BASE_EXTD))) {
        return -E_GUEST;
    }
    lapic->base = (value & ~APIC_BASE_BSP) | (lapic->index == 0 ? APIC_BASE_BSP : 0);
    if (mode == 0 && old != 0) {
        vlapic_reset(lapic);
    } else if (vlapic_x2apic(lapic)) {
        lapic->ldr = x2apic_ldr(lapic);
    }
    return 0;
}

void vlapic_reset(struct vlapic *lapic)
{
    vlapic_timer_start(lapic, 0);
    vlapic_write_deadline(lapic, 0);
    for (u32 i = 0; i < 8; i++) {
        __atomic_store_n(&lapic->irr[i], 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&lapic->tmr[i], 0, __ATOMIC_SEQ_CST);
        lapic->isr[i] = 0;
    }
    for (u32 i = 0; i < LAPIC_LVTS; i++) {
        lapic->lvt[i] = LVT_MASKED;
    }
    lapic->isr_top = 0;
    lapic->isr_count = 0;
    lapic->tpr = 0;
    lapic->ldr = vlapic_x2apic(lapic) ? x2apic_ldr(lapic) : 0;
    lapic->dfr = ~0U;
    lapic->svr = SVR_RESET;
    lapic->esr = 0;
    __atomic_store_n(&lapic->esr_pending, 0, __ATOMIC_SEQ_CST);
    lapic->icr = 0;
    vlapic_timer_set_divide(lapic, 0);
}

/* Firmware hands the boot processor over in virtual-wire mode: the PIC through LINT0, NMI on LINT1 (MultiProcessor
 * Specification 1.4, section 3.6.2.2). A guest that was loaded without firmware finds the same. */
void vlapic_init(struct vlapic *lapic, struct apic_bus *bus, u32 index)
{
    memset(lapic, 0, sizeof(*lapic));
    lapic->bus = bus;
    lapic->index = index;
    lapic->base = LAPIC_BASE_DEFAULT | APIC_BASE_EN | (index == 0 ? APIC_BASE_BSP : 0);
    vlapic_timer_init(lapic);
    vlapic_reset(lapic);
    if (index == 0) {
        lapic->lvt[LVT_LINT0] = (u32)FIELD_PREP(LVT_MODE, APIC_EXTINT);
        lapic->lvt[LVT_LINT1] = (u32)FIELD_PREP(LVT_MODE, APIC_NMI);
    }
}
