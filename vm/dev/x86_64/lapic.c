/* The local APIC: vectors, priorities, modes. Its registers are in lapic_regs.c, its timer in lapic_timer.c, its messages
 * in apic_bus.c. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/dev/x86_64/lapic_bits.h"

/* The highest set bit of 256, or 0: vector 0 never stands in a request or service register. */
static u8 highest(const u32 *words)
{
    for (u32 i = 8; i-- != 0;) {
        u32 word = READ_ONCE(words[i]);
        if (word != 0) {
            return (u8)(i * 32 + 31 - (u32)__builtin_clz(word));
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

u32 lapic_ppr(const struct lapic *lapic)
{
    u32 service = lapic->isr_top & PRIORITY_CLASS;

    return (lapic->tpr & PRIORITY_CLASS) >= service ? lapic->tpr : service;
}

static bool software_enabled(const struct lapic *lapic)
{
    return (lapic->base & APIC_BASE_EN) != 0 && (lapic->svr & SVR_ENABLE) != 0;
}

void lapic_error(struct lapic *lapic, u32 bits)
{
    u32 lvt = READ_ONCE(lapic->lvt[LVT_ERROR]);

    (void)__atomic_fetch_or(&lapic->esr_pending, bits, __ATOMIC_SEQ_CST);
    if ((lvt & LVT_MASKED) == 0 && (lvt & VECTOR_MASK) >= VECTOR_FIRST_LEGAL) {
        lapic_post(lapic, (u8)(lvt & VECTOR_MASK), false);
    }
}

/* The trigger mode is set before the request, and the request before the CPU is told: lapic_acknowledge() reads in the
 * opposite order. */
void lapic_post(struct lapic *lapic, u8 vector, bool level)
{
    if (!software_enabled(lapic)) {
        return;
    }
    if (vector < VECTOR_FIRST_LEGAL) {
        lapic_error(lapic, ESR_RECEIVE_ILLEGAL);
        return;
    }
    if (level != test_bit(lapic->tmr, vector)) {
        level ? set_bit_atomic(lapic->tmr, vector) : clear_bit_atomic(lapic->tmr, vector);
    }
    set_bit_atomic(lapic->irr, vector);
    lapic->bus->event(lapic->bus->ctx, lapic->index);
}

bool lapic_pending(const struct lapic *lapic)
{
    return software_enabled(lapic) && (highest(lapic->irr) & PRIORITY_CLASS) > (lapic_ppr(lapic) & PRIORITY_CLASS);
}

bool lapic_acknowledge(struct lapic *lapic, u8 *vector)
{
    if (!lapic_pending(lapic)) {
        return false;
    }
    *vector = highest(lapic->irr); /* only the owner clears requests, so it is still the one that was pending, or higher */
    clear_bit_atomic(lapic->irr, *vector);
    lapic->isr[*vector / 32] |= BIT32(*vector % 32);
    lapic->isr_top = *vector;
    return true;
}

/* The priority fell: what waited may be deliverable now. */
static void reconsider(struct lapic *lapic)
{
    if (lapic_pending(lapic)) {
        lapic->bus->event(lapic->bus->ctx, lapic->index);
    }
}

void lapic_eoi(struct lapic *lapic)
{
    u8 vector = lapic->isr_top;

    if (vector == 0) {
        return; /* nothing in service: ignored */
    }
    lapic->isr[vector / 32] &= ~BIT32(vector % 32);
    lapic->isr_top = highest(lapic->isr);
    if (test_bit(lapic->tmr, vector)) {
        lapic->bus->eoi(lapic->bus->ctx, vector);
    }
    reconsider(lapic);
}

void lapic_write_tpr(struct lapic *lapic, u32 value)
{
    bool lower = value < lapic->tpr;

    lapic->tpr = value;
    if (lower) {
        reconsider(lapic);
    }
}

u64 lapic_read_cr8(const struct lapic *lapic)
{
    return lapic->tpr >> 4;
}

void lapic_write_cr8(struct lapic *lapic, u64 value)
{
    lapic_write_tpr(lapic, (u32)(value << 4 & PRIORITY_CLASS));
}

bool lapic_accepts_extint(const struct lapic *lapic)
{
    u32 lint0 = lapic->lvt[LVT_LINT0];

    return (lapic->base & APIC_BASE_EN) == 0 ||
           ((lint0 & LVT_MASKED) == 0 && FIELD_GET(LVT_MODE, lint0) == APIC_EXTINT);
}

/* In x2APIC mode the logical id is derived (SDM 11.12.10.2): cluster in the upper half, one bit of 16 in the lower. */
static u32 x2apic_ldr(const struct lapic *lapic)
{
    return lapic->index / 16 << 16 | BIT32(lapic->index % 16);
}

int lapic_write_base(struct lapic *lapic, u64 value)
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
        lapic_reset(lapic);
    } else if (lapic_x2apic(lapic)) {
        lapic->ldr = x2apic_ldr(lapic);
    }
    return 0;
}

void lapic_reset(struct lapic *lapic)
{
    lapic_timer_start(lapic, 0);
    lapic_write_deadline(lapic, 0);
    for (u32 i = 0; i < 8; i++) {
        __atomic_store_n(&lapic->irr[i], 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&lapic->tmr[i], 0, __ATOMIC_SEQ_CST);
        lapic->isr[i] = 0;
    }
    for (u32 i = 0; i < LAPIC_LVTS; i++) {
        lapic->lvt[i] = LVT_MASKED;
    }
    lapic->isr_top = 0;
    lapic->tpr = 0;
    lapic->ldr = lapic_x2apic(lapic) ? x2apic_ldr(lapic) : 0;
    lapic->dfr = ~0U;
    lapic->svr = SVR_RESET;
    lapic->esr = 0;
    __atomic_store_n(&lapic->esr_pending, 0, __ATOMIC_SEQ_CST);
    lapic->icr = 0;
    lapic_timer_set_divide(lapic, 0);
}

/* Firmware hands the boot processor over in virtual-wire mode: the PIC through LINT0, NMI on LINT1 (MultiProcessor
 * Specification 1.4, section 3.6.2.2). A guest that was loaded without firmware finds the same. */
void lapic_init(struct lapic *lapic, struct apic_bus *bus, u32 index)
{
    memset(lapic, 0, sizeof(*lapic));
    lapic->bus = bus;
    lapic->index = index;
    lapic->base = LAPIC_BASE_DEFAULT | APIC_BASE_EN | (index == 0 ? APIC_BASE_BSP : 0);
    lapic_timer_init(lapic);
    lapic_reset(lapic);
    if (index == 0) {
        lapic->lvt[LVT_LINT0] = (u32)FIELD_PREP(LVT_MODE, APIC_EXTINT);
        lapic->lvt[LVT_LINT1] = (u32)FIELD_PREP(LVT_MODE, APIC_NMI);
    }
}
