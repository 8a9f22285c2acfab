/* The local APIC where hardware does its frequent work (SDM Vol. 3 chapter 30 "APIC Virtualization and Virtual Interrupts"):
 * the page is the one place of the registers, for the hardware and for the software model. Requests are posted to irr[] as
 * ever; the owner moves them into the page between two entries, when the hardware does not look. */
#include "vm/dev/x86_64/lapic_bits.h"

#define VECTOR_WORDS 8U

struct vlapic_status vlapic_status(const struct vlapic *lapic)
{
    return (struct vlapic_status){vector_highest(lapic, REG_IRR), vector_highest(lapic, REG_ISR)};
}

static bool is_deliverable(const struct vlapic *lapic, u8 requested, u8 in_service)
{
    return (requested & PRIORITY_CLASS) > (priority(lapic, in_service) & PRIORITY_CLASS) && software_enabled(lapic);
}

bool vlapic_pending_beyond(const struct vlapic *lapic, struct vlapic_status status)
{
    u8 posted = any(lapic->irr) ? highest(lapic->irr) : 0;

    return is_deliverable(lapic, MAX(posted, status.requested), status.in_service);
}

void vlapic_adopt(struct vlapic *lapic)
{
    u32 count = 0;

    for (u32 i = 0; i < VECTOR_WORDS; i++) {
        for (u32 word = REG(lapic, REG_ISR + i); word != 0; word &= word - 1) {
            count++;
        }
    }
    lapic->isr_count = (u8)count;
    lapic->isr_top = vector_highest(lapic, REG_ISR);
    lapic->status_stale = true;
}

/* Move what was posted into the page. Returns the highest of it. *several: more than one. */
static u8 move_requests(struct vlapic *lapic, bool *several)
{
    u8 top = 0;

    while (any(lapic->irr)) {
        u8 next = highest(lapic->irr);
        u32 word = __atomic_exchange_n(&lapic->irr[next / 32], 0, __ATOMIC_SEQ_CST);
        *vector_word(lapic, REG_IRR, next) |= word;
        *several = *several || top != 0 || (word & (word - 1)) != 0;
        top = MAX(top, next);
    }
    return top;
}

/* When a request stays behind, or can only be delivered after the end of another, its turn comes with that end. The hardware
 * would find it then, while the guest's handler still keeps interrupts off, and Bochs 2.7 forgets that they are off when an
 * interrupt of the host's comes just then. So the host looks at each end until no request waits, and opens a window. */
bool vlapic_hand_over(struct vlapic *lapic, struct vlapic_status *status)
{
    bool several = lapic->all_ends || status->requested != 0;
    u8 posted = move_requests(lapic, &several);

    lapic->assisted = true;
    lapic->status_stale = false;
    status->requested = MAX(status->requested, posted);
    bool held = (status->requested & PRIORITY_CLASS) <= (status->in_service & PRIORITY_CLASS);
    bool all = status->requested != 0 && (several || held);
    bool levels = READ_ONCE(lapic->levels_changed) && __atomic_exchange_n(&lapic->levels_changed, false, __ATOMIC_SEQ_CST);
    bool changed = levels || all != lapic->all_ends;
    lapic->all_ends = all;
    return changed;
}

void vlapic_take_back(struct vlapic *lapic)
{
    for (u32 i = 0; i < VECTOR_WORDS; i++) {
        (void)__atomic_fetch_or(&lapic->irr[i], REG(lapic, REG_IRR + i), __ATOMIC_SEQ_CST);
        REG(lapic, REG_IRR + i) = 0;
    }
    lapic->assisted = false;
    vlapic_adopt(lapic);
}

void vlapic_eoi_exits(const struct vlapic *lapic, u64 exits[4])
{
    for (u32 i = 0; i < 4; i++) {
        u64 low = READ_ONCE(REG(lapic, REG_TMR + 2 * i)), high = READ_ONCE(REG(lapic, REG_TMR + 2 * i + 1));
        exits[i] = lapic->all_ends ? ~0ULL : high << 32 | low;
    }
}

u8 vlapic_threshold(const struct vlapic *lapic)
{
    u32 wanted = any(lapic->irr) ? highest(lapic->irr) & PRIORITY_CLASS : 0;
    bool held = wanted > (lapic->isr_top & PRIORITY_CLASS) && wanted <= (REG(lapic, REG_TPR) & PRIORITY_CLASS);

    return held ? (u8)(wanted >> 4) : 0;
}

bool vlapic_has_subclass(const struct vlapic *lapic)
{
    return (REG(lapic, REG_TPR) & ~PRIORITY_CLASS) != 0;
}

void vlapic_eoi_done(struct vlapic *lapic, u8 vector)
{
    if (vector_test(lapic, REG_TMR, vector)) {
        lapic->bus->eoi(lapic->bus->ctx, vector);
    }
}
