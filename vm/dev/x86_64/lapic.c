/* The local APIC: vectors, priorities, modes. Its registers are in vlapic_regs.c, its timer in vlapic_timer.c, its messages
 * in apic_bus.c. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/dev/x86_64/lapic_bits.h"

#define VERSION (0x14U | (LAPIC_LVTS - 1U) << 16)

/* Returns whether it was set before. */
static bool set_bit_atomic(u32 *word, u8 vector)
{
    return (__atomic_fetch_or(word, BIT32(vector % 32), __ATOMIC_SEQ_CST) & BIT32(vector % 32)) != 0;
}

static void clear_bit_atomic(u32 *word, u8 vector)
{
    (void)__atomic_fetch_and(word, ~BIT32(vector % 32), __ATOMIC_SEQ_CST);
}

u32 vlapic_ppr(const struct vlapic *lapic)
{
    return priority(lapic, lapic->assisted ? vector_highest(lapic, REG_ISR) : lapic->isr_top);
}

bool vlapic_enabled(const struct vlapic *lapic)
{
    return software_enabled(lapic);
}

/* The trigger mode is set before the request, and the request before the CPU is told: vlapic_acknowledge() reads in the
 * opposite order. A vector that is requested already changes nothing: who set it tells the CPU, which looks again by itself
 * whenever what held the vector back falls away. */
static void request(struct vlapic *lapic, u8 vector, bool level)
{
    if (level != vector_test(lapic, REG_TMR, vector)) {
        u32 *word = vector_word(lapic, REG_TMR, vector);
        if (level) {
            (void)set_bit_atomic(word, vector);
        } else {
            clear_bit_atomic(word, vector);
        }
        WRITE_ONCE(lapic->levels_changed, true);
    }
    if (!set_bit_atomic(&lapic->irr[vector / 32], vector)) {
        lapic->bus->event(lapic->bus->ctx, lapic->index);
    }
}

void vlapic_error(struct vlapic *lapic, u32 bits)
{
    u32 lvt = READ_ONCE(REG(lapic, REG_LVT + LVT_ERROR));

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
           (highest(lapic->irr) & PRIORITY_CLASS) > (priority(lapic, lapic->isr_top) & PRIORITY_CLASS);
}

bool vlapic_pending(const struct vlapic *lapic)
{
    return pending(lapic);
}

bool vlapic_acknowledge(struct vlapic *lapic, u8 *vector)
{
    if (!pending(lapic)) {
        return false;
    }
    u8 top = highest(lapic->irr); /* only the owner clears requests, so it is still the one that was pending, or higher */
    clear_bit_atomic(&lapic->irr[top / 32], top);
    *vector_word(lapic, REG_ISR, top) |= BIT32(top % 32);
    lapic->isr_top = top;
    lapic->isr_count++; /* it was not in service: its class is above all that are */
    *vector = top;
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
    *vector_word(lapic, REG_ISR, vector) &= ~BIT32(vector % 32);
    lapic->isr_count--;
    lapic->isr_top = lapic->isr_count == 0 ? 0 : vector_highest(lapic, REG_ISR);
    if (vector_test(lapic, REG_TMR, vector)) {
        end_level(lapic, vector);
        return;
    }
    reconsider(lapic);
}

bool vlapic_eoi_is_silent(const struct vlapic *lapic)
{
    return lapic->isr_top != 0 && !vector_test(lapic, REG_TMR, lapic->isr_top) && highest(lapic->irr) == 0;
}

void vlapic_write_tpr(struct vlapic *lapic, u32 value)
{
    bool lower = value < REG(lapic, REG_TPR);

    REG(lapic, REG_TPR) = value;
    if (lower) {
        reconsider(lapic);
    }
}

void vlapic_write_svr(struct vlapic *lapic, u32 value)
{
    REG(lapic, REG_SVR) = value;
    reconsider(lapic); /* requests outlive the time that it was off */
}

u64 vlapic_read_cr8(const struct vlapic *lapic)
{
    return REG(lapic, REG_TPR) >> 4;
}

void vlapic_write_cr8(struct vlapic *lapic, u64 value)
{
    vlapic_write_tpr(lapic, (u32)(value << 4 & PRIORITY_CLASS));
}

bool vlapic_accepts_extint(const struct vlapic *lapic)
{
    u32 lint0 = REG(lapic, REG_LVT + LVT_LINT0);

    return (lapic->base & APIC_BASE_EN) == 0 ||
           ((lint0 & LVT_MASKED) == 0 && FIELD_GET(LVT_MODE, lint0) == APIC_EXTINT);
}

/* In x2APIC mode the logical id is derived (SDM 11.12.10.2): cluster in the upper half, one bit of 16 in the lower. */
static u32 x2apic_ldr(const struct vlapic *lapic)
{
    return lapic->index / 16 << 16 | BIT32(lapic->index % 16);
}

/* Registers that the mode decides: the id, and in x2APIC mode the logical one. */
static void set_identity(struct vlapic *lapic)
{
    bool wide = vlapic_x2apic(lapic);

    REG(lapic, REG_ID) = wide ? lapic->index : lapic->index << ID_SHIFT;
    REG(lapic, REG_LDR) = wide ? x2apic_ldr(lapic) : 0;
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
    u64 icr = vlapic_icr(lapic);
    lapic->base = (value & ~APIC_BASE_BSP) | (lapic->index == 0 ? APIC_BASE_BSP : 0);
    if (mode == 0 && old != 0) {
        vlapic_reset(lapic);
    } else if (vlapic_x2apic(lapic)) {
        set_identity(lapic);
        vlapic_set_icr(lapic, icr);
    }
    return 0;
}

void vlapic_reset(struct vlapic *lapic)
{
    vlapic_timer_start(lapic, 0);
    vlapic_write_deadline(lapic, 0);
    for (u32 i = 0; i < 8; i++) {
        __atomic_store_n(&lapic->irr[i], 0, __ATOMIC_SEQ_CST);
    }
    memset(lapic->page, 0, LAPIC_MMIO_SIZE);
    for (u32 i = 0; i < LAPIC_LVTS; i++) {
        REG(lapic, REG_LVT + i) = LVT_MASKED;
    }
    vlapic_timer_set_lvt(lapic, LVT_MASKED);
    lapic->isr_top = 0;
    lapic->isr_count = 0;
    lapic->assisted = false;
    lapic->all_ends = false;
    WRITE_ONCE(lapic->levels_changed, true); /* the hardware, if it helps, does not know of it */
    set_identity(lapic);
    REG(lapic, REG_VERSION) = VERSION;
    REG(lapic, REG_DFR) = ~0U;
    REG(lapic, REG_SVR) = SVR_RESET;
    __atomic_store_n(&lapic->esr_pending, 0, __ATOMIC_SEQ_CST);
    vlapic_timer_set_divide(lapic, 0);
}

/* Firmware hands the boot processor over in virtual-wire mode: the PIC through LINT0, NMI on LINT1 (MultiProcessor
 * Specification 1.4, section 3.6.2.2). A guest that was loaded without firmware finds the same. */
void vlapic_init(struct vlapic *lapic, struct apic_bus *bus, u32 index, u32 *page)
{
    memset(lapic, 0, sizeof(*lapic));
    lapic->page = page;
    lapic->bus = bus;
    lapic->index = index;
    lapic->base = LAPIC_BASE_DEFAULT | APIC_BASE_EN | (index == 0 ? APIC_BASE_BSP : 0);
    vlapic_timer_init(lapic);
    vlapic_reset(lapic);
    if (index == 0) {
        REG(lapic, REG_LVT + LVT_LINT0) = (u32)FIELD_PREP(LVT_MODE, APIC_EXTINT);
        REG(lapic, REG_LVT + LVT_LINT1) = (u32)FIELD_PREP(LVT_MODE, APIC_NMI);
    }
}
