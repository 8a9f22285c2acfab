#include "vm/dev/x86_64/ioapic.h"
#include "kernel/lib/string.h"

#define IOAPIC_LEN 4096U
enum { OFFSET_SELECT = 0x00, OFFSET_WINDOW = 0x10, OFFSET_EOI = 0x40 };
enum { REG_ID = 0, REG_VERSION = 1, REG_ARBITRATION = 2, REG_ENTRY = 0x10 };

#define VERSION (0x20U | (IOAPIC_PINS - 1U) << 16)
#define ID_MASK ((u32)GENMASK(27, 24))
#define ENTRY_VECTOR GENMASK(7, 0)
#define ENTRY_MODE GENMASK(10, 8)
#define ENTRY_LOGICAL BIT(11)
#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_LEVEL BIT(15)
#define ENTRY_MASKED BIT(16)
#define ENTRY_DESTINATION GENMASK(63, 56)
#define ENTRY_READ_ONLY (ENTRY_REMOTE_IRR | BIT(12))
#define ENTRY_WRITABLE ((GENMASK(16, 0) | ENTRY_DESTINATION) & ~ENTRY_READ_ONLY)

/* Send the interrupt of a pin as its entry says. Lock held: the local APICs' part is lock-free. */
static void send(struct vioapic *ioapic, u32 pin)
{
    u64 entry = ioapic->entry[pin];
    u32 destination = (u32)FIELD_GET(ENTRY_DESTINATION, entry);
    struct apic_message m = {
        .vector = (u8)FIELD_GET(ENTRY_VECTOR, entry),
        .mode = (enum apic_mode)FIELD_GET(ENTRY_MODE, entry),
        .logical = (entry & ENTRY_LOGICAL) != 0,
        .level = (entry & ENTRY_LEVEL) != 0,
        .destination = destination == APIC_EVERYBODY_8BIT ? APIC_EVERYBODY : destination,
    };
    u32 accepted = apic_bus_send(ioapic->bus, &m, NULL);

    if (m.level && accepted != 0 && (m.mode == APIC_FIXED || m.mode == APIC_LOWEST)) {
        ioapic->entry[pin] |= ENTRY_REMOTE_IRR;
    }
}

/* A level-triggered pin that is high asks again whenever nothing holds it back. Lock held. */
static void service_level(struct vioapic *ioapic, u32 pin)
{
    u64 entry = ioapic->entry[pin];

    if ((ioapic->lines & BIT32(pin)) != 0 && (entry & ENTRY_LEVEL) != 0 &&
        (entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) == 0) {
        send(ioapic, pin);
    }
}

void vioapic_set_pin(void *arg, u32 pin, bool level)
{
    struct vioapic *ioapic = arg;

    if (pin >= IOAPIC_PINS) {
        return;
    }
    u64 flags = spin_lock(&ioapic->lock);
    bool rises = level && (ioapic->lines & BIT32(pin)) == 0;

    ioapic->lines = level ? ioapic->lines | BIT32(pin) : ioapic->lines & ~BIT32(pin);
    if ((ioapic->entry[pin] & ENTRY_LEVEL) != 0) {
        service_level(ioapic, pin);
    } else if (rises && (ioapic->entry[pin] & ENTRY_MASKED) == 0) {
        send(ioapic, pin);
    }
    spin_unlock(&ioapic->lock, flags);
}

/* Lock held. */
static void end_of_interrupt(struct vioapic *ioapic, u8 vector)
{
    for (u32 pin = 0; pin < IOAPIC_PINS; pin++) {
        u64 entry = ioapic->entry[pin];
        if ((entry & ENTRY_LEVEL) != 0 && FIELD_GET(ENTRY_VECTOR, entry) == vector) {
            ioapic->entry[pin] &= ~ENTRY_REMOTE_IRR;
            service_level(ioapic, pin);
        }
    }
}

void vioapic_eoi(struct vioapic *ioapic, u8 vector)
{
    u64 flags = spin_lock(&ioapic->lock);

    end_of_interrupt(ioapic, vector);
    spin_unlock(&ioapic->lock, flags);
}

static void write_entry(struct vioapic *ioapic, u32 index, u32 value)
{
    u32 pin = index / 2;
    unsigned shift = index % 2 * 32;
    u64 mask = ENTRY_WRITABLE & (GENMASK(31, 0) << shift);

    ioapic->entry[pin] = (ioapic->entry[pin] & ~mask) | ((u64)value << shift & mask);
    if ((ioapic->entry[pin] & ENTRY_LEVEL) == 0) {
        ioapic->entry[pin] &= ~ENTRY_REMOTE_IRR; /* an edge has nobody's EOI to wait for */
    }
    service_level(ioapic, pin);
}

static u32 read_register(const struct vioapic *ioapic)
{
    u32 index = ioapic->select - REG_ENTRY;

    if (ioapic->select == REG_VERSION) {
        return VERSION;
    }
    if (ioapic->select == REG_ID || ioapic->select == REG_ARBITRATION) {
        return ioapic->id;
    }
    return index < 2 * IOAPIC_PINS ? (u32)(ioapic->entry[index / 2] >> (index % 2 * 32)) : 0;
}

static void write_register(struct vioapic *ioapic, u32 value)
{
    u32 index = ioapic->select - REG_ENTRY;

    if (ioapic->select == REG_ID) {
        ioapic->id = value & ID_MASK;
    } else if (index < 2 * IOAPIC_PINS) {
        write_entry(ioapic, index, value);
    }
}

static void vioapic_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct vioapic *ioapic = device;
    u64 flags = spin_lock(&ioapic->lock);
    u32 result = 0;

    (void)size;
    if (offset == OFFSET_SELECT) {
        ioapic->select = write ? (u8)*value : ioapic->select;
        result = ioapic->select;
    } else if (offset == OFFSET_WINDOW && write) {
        write_register(ioapic, (u32)*value);
    } else if (offset == OFFSET_WINDOW) {
        result = read_register(ioapic);
    } else if (offset == OFFSET_EOI && write) {
        end_of_interrupt(ioapic, (u8)*value);
    }
    if (!write) {
        *value = result;
    }
    spin_unlock(&ioapic->lock, flags);
}

void vioapic_init(struct vioapic *ioapic, struct apic_bus *bus)
{
    memset(ioapic, 0, sizeof(*ioapic));
    ioapic->bus = bus;
    for (u32 pin = 0; pin < IOAPIC_PINS; pin++) {
        ioapic->entry[pin] = ENTRY_MASKED;
    }
}

int vioapic_attach(struct vioapic *ioapic, struct bus *mmio)
{
    const struct bus_range range = {IOAPIC_BASE, IOAPIC_LEN, 4, vioapic_access, ioapic};

    return bus_add(mmio, &range);
}
