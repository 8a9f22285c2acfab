/* Messages between APICs (SDM Vol. 3 11.6 "Issuing Interprocessor Interrupts"): who is meant, and what it does there. */
#include "vm/dev/x86_64/lapic_bits.h"

#define DFR_FLAT 0xFU
#define CLUSTER_BITS 16U

static bool matches_logical(const struct vlapic *lapic, u32 destination)
{
    u32 mine = REG(lapic, REG_LDR);

    if (vlapic_x2apic(lapic)) {
        return destination >> CLUSTER_BITS == mine >> CLUSTER_BITS && (destination & mine & BIT32_RANGE(15, 0)) != 0;
    }
    mine >>= 24;
    if (REG(lapic, REG_DFR) >> 28 == DFR_FLAT) {
        return (destination & mine) != 0;
    }
    return (destination ^ mine) >> 4 == 0 && (destination & mine & BIT32_RANGE(3, 0)) != 0;
}

/* An APIC that IA32_APIC_BASE switches off is not on the bus. */
static bool matches(const struct vlapic *lapic, const struct apic_message *m)
{
    if ((lapic->base & APIC_BASE_EN) == 0) {
        return false;
    }
    if (m->destination == APIC_EVERYBODY) {
        return true;
    }
    return m->logical ? matches_logical(lapic, m->destination) : m->destination == lapic->index;
}

/* Returns whether the APIC accepted it. */
static bool deliver(struct vlapic *lapic, const struct apic_message *m)
{
    struct apic_bus *bus = lapic->bus;

    switch (m->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        return vlapic_post(lapic, m->vector, m->level);
    case APIC_NMI:
        bus->nmi(bus->ctx, lapic->index);
        break;
    case APIC_INIT:
        bus->init(bus->ctx, lapic->index);
        break;
    case APIC_STARTUP:
        bus->startup(bus->ctx, lapic->index, m->vector);
        break;
    case APIC_SMI:      /* there is no system-management mode */
    case APIC_RESERVED:
    case APIC_EXTINT:   /* the PIC is wired to LINT0, not to a message */
        return false;
    }
    return true;
}

/* One of those that match: the one of lowest priority, and among equals the next in turn. */
static u32 send_lowest(struct apic_bus *bus, const struct apic_message *m, const struct vlapic *except)
{
    u32 first = __atomic_fetch_add(&bus->lowest_next, 1, __ATOMIC_RELAXED);
    struct vlapic *best = NULL;

    for (u32 i = 0; i < bus->count; i++) {
        struct vlapic *lapic = bus->lapic[(first + i) % bus->count];
        bool able = lapic != except && matches(lapic, m) && (REG(lapic, REG_SVR) & SVR_ENABLE) != 0;
        if (able && (best == NULL || vlapic_ppr(lapic) < vlapic_ppr(best))) {
            best = lapic;
        }
    }
    return best != NULL && deliver(best, m) ? 1 : 0;
}

u32 apic_bus_send(struct apic_bus *bus, const struct apic_message *m, const struct vlapic *except)
{
    u32 accepted = 0;

    if (m->mode == APIC_LOWEST) {
        return send_lowest(bus, m, except);
    }
    if (!m->logical && m->destination < bus->count) {
        struct vlapic *lapic = bus->lapic[m->destination];
        return matches(lapic, m) && deliver(lapic, m) ? 1 : 0;
    }
    for (u32 i = 0; i < bus->count; i++) {
        struct vlapic *lapic = bus->lapic[i];
        if (lapic != except && matches(lapic, m)) {
            accepted += deliver(lapic, m) ? 1 : 0;
        }
    }
    return accepted;
}

u64 vlapic_icr(const struct vlapic *lapic)
{
    u64 high = vlapic_x2apic(lapic) ? (&REG(lapic, REG_ICR))[1] : REG(lapic, REG_ICR_HIGH);

    return high << 32 | REG(lapic, REG_ICR);
}

void vlapic_set_icr(struct vlapic *lapic, u64 value)
{
    u32 *high = vlapic_x2apic(lapic) ? &REG(lapic, REG_ICR) + 1 : &REG(lapic, REG_ICR_HIGH);

    REG(lapic, REG_ICR) = (u32)value;
    *high = (u32)(value >> 32);
}

static u32 icr_destination(const struct vlapic *lapic, u64 icr)
{
    u32 narrow = (u32)FIELD_GET(ICR_DESTINATION_8BIT, icr);

    if (vlapic_x2apic(lapic)) {
        return (u32)FIELD_GET(ICR_DESTINATION, icr);
    }
    return narrow == APIC_EVERYBODY_8BIT ? APIC_EVERYBODY : narrow;
}

void vlapic_send_icr(struct vlapic *lapic)
{
    u64 icr = vlapic_icr(lapic);
    u32 shorthand = (u32)FIELD_GET(ICR_SHORTHAND, icr);
    struct apic_message m = {
        .vector = (u8)FIELD_GET(ICR_VECTOR, icr),
        .mode = (enum apic_mode)FIELD_GET(ICR_MODE, icr),
        .logical = (icr & ICR_LOGICAL) != 0,
        .destination = icr_destination(lapic, icr),
    };

    if (m.mode == APIC_INIT && (icr & ICR_LEVEL) != 0 && (icr & ICR_ASSERT) == 0) {
        return; /* INIT level de-assert: nothing to do for any CPU since the Pentium 4 */
    }
    if ((m.mode == APIC_FIXED || m.mode == APIC_LOWEST) && m.vector < VECTOR_FIRST_LEGAL) {
        vlapic_error(lapic, ESR_SEND_ILLEGAL);
        return;
    }
    if (shorthand == SHORTHAND_SELF) {
        (void)deliver(lapic, &m);
        return;
    }
    if (shorthand != SHORTHAND_NONE) {
        m.destination = APIC_EVERYBODY;
    }
    (void)apic_bus_send(lapic->bus, &m, shorthand == SHORTHAND_OTHERS ? lapic : NULL);
}
