#include "vm/dev/x86_64/pic.h"
#include "kernel/lib/string.h"

#define PIC_MASTER_PORT 0x20U
#define PIC_SLAVE_PORT 0xA0U
#define PIC_ELCR_PORT 0x4D0U

#define ICW1_INIT BIT32(4)
#define ICW1_IC4 BIT32(0)
#define ICW2_BASE GENMASK(7, 3)
#define ICW4_AEOI BIT32(1)
#define ICW4_SFNM BIT32(4)
#define OCW3_SELECT BIT32(3) /* with bit 4 clear: OCW3, else OCW2 */
#define OCW3_ESMM BIT32(6)
#define OCW3_SMM BIT32(5)
#define OCW3_POLL BIT32(2)
#define OCW3_RR BIT32(1)
#define OCW3_RIS BIT32(0)
#define OCW2_ROTATE BIT32(7)
#define OCW2_SPECIFIC BIT32(6)
#define OCW2_EOI BIT32(5)
#define OCW2_LEVEL GENMASK(2, 0)
#define POLL_PENDING BIT32(7)

#define CASCADE_PIN 2U
#define SPURIOUS_PIN 7U
#define MASTER_EDGE_ONLY (BIT32(0) | BIT32(1) | BIT32(2)) /* timer, keyboard, cascade */
#define SLAVE_EDGE_ONLY (BIT32(0) | BIT32(5))             /* RTC, FPU error */

static u8 pin_bit(u32 pin)
{
    return (u8)BIT(pin & OCW2_LEVEL);
}

/* Priority 0 (highest) .. 7 of the first set pin in bits, or 8 when there is none. */
static u32 highest_priority(const struct vpic_chip *chip, u8 bits)
{
    u32 turned = ((u32)bits | (u32)bits << 8) >> ((chip->lowest + 1U) & OCW2_LEVEL) & UINT8_MAX;

    return (u32)__builtin_ctz(turned | BIT32(8));
}

static u32 priority_pin(const struct vpic_chip *chip, u32 priority)
{
    return (chip->lowest + 1U + priority) & OCW2_LEVEL;
}

/* The priority that the chip asks the CPU for, or 8. */
static u32 requested(const struct vpic_chip *chip)
{
    u8 in_service = chip->isr;
    u8 asking = chip->irr & (u8)~chip->imr;

    if (asking == 0) {
        return 8;
    }
    u32 request = highest_priority(chip, asking);
    if (chip->special_mask) {
        in_service &= (u8)~chip->imr;
    }
    u32 service = highest_priority(chip, in_service);
    /* A fully nested master lets its slave interrupt again while the cascade pin is in service. */
    if (chip->special_nested && service < 8 && priority_pin(chip, service) == CASCADE_PIN && request == service) {
        return request;
    }
    return request < service ? request : 8;
}

static void drive(struct vpic_chip *chip, u32 pin, bool level)
{
    u8 bit = pin_bit(pin);

    if (!level) {
        chip->lines &= (u8)~bit;
        /* An edge request stays latched only in our IRR until INTA; a level request falls with its wire. */
        if ((chip->elcr & bit) != 0) {
            chip->irr &= (u8)~bit;
        }
        return;
    }
    if ((chip->elcr & bit) != 0 || (chip->lines & bit) == 0) {
        chip->irr |= bit;
    }
    chip->lines |= bit;
}

/* Recompute both outputs. Returns whether the INTR wire changed. */
static bool settle(struct vpic *pic)
{
    bool cascade = requested(&pic->chip[1]) < 8;

    if (cascade) {
        pic->chip[0].irr |= pin_bit(CASCADE_PIN);
    } else {
        pic->chip[0].irr &= (u8)~pin_bit(CASCADE_PIN);
    }
    bool output = requested(&pic->chip[0]) < 8;
    bool changed = output != pic->output;
    WRITE_ONCE(pic->output, output);
    return changed;
}

static void finish(struct vpic *pic, u64 flags)
{
    bool changed = settle(pic);
    bool output = pic->output;

    spin_unlock(&pic->lock, flags);
    if (changed) {
        pic->changed(pic->ctx, output);
    }
}

void vpic_set_pin(void *arg, u32 pin, bool level)
{
    struct vpic *pic = arg;

    if (pin >= PIC_PINS || pin == CASCADE_PIN) {
        return;
    }
    u64 flags = spin_lock(&pic->lock);
    drive(&pic->chip[pin / 8], pin % 8, level);
    finish(pic, flags);
}

static void accept(struct vpic_chip *chip, u32 pin)
{
    u8 bit = pin_bit(pin);

    if ((chip->elcr & bit) == 0) {
        chip->irr &= (u8)~bit;
    }
    if (!chip->auto_eoi) {
        chip->isr |= bit;
    } else if (chip->rotate_auto) {
        chip->lowest = (u8)pin;
    }
}

/* One chip's half of an INTA cycle: its vector; the spurious one when the request went away. */
static u8 chip_acknowledge(struct vpic_chip *chip, u32 *pin)
{
    u32 priority = requested(chip);

    if (priority == 8) {
        *pin = SPURIOUS_PIN;
    } else {
        *pin = priority_pin(chip, priority);
        accept(chip, *pin);
    }
    return (u8)(chip->base + *pin);
}

bool vpic_acknowledge(struct vpic *pic, u8 *vector)
{
    u32 pin;
    u64 flags = spin_lock(&pic->lock);
    bool raised = pic->output;

    if (raised) {
        *vector = chip_acknowledge(&pic->chip[0], &pin);
        if (pin == CASCADE_PIN) {
            *vector = chip_acknowledge(&pic->chip[1], &pin);
        }
    }
    finish(pic, flags);
    return raised;
}

static void end_of_interrupt(struct vpic_chip *chip, u8 command)
{
    u32 pin = command & OCW2_LEVEL;

    if ((command & OCW2_SPECIFIC) == 0) {
        u32 priority = highest_priority(chip, chip->isr);
        if (priority == 8) {
            return;
        }
        pin = priority_pin(chip, priority);
    }
    chip->isr &= (u8)~pin_bit(pin);
    if ((command & OCW2_ROTATE) != 0) {
        chip->lowest = (u8)pin;
    }
}

static void write_ocw2(struct vpic_chip *chip, u8 command)
{
    if ((command & OCW2_EOI) != 0) {
        end_of_interrupt(chip, command);
    } else if ((command & OCW2_SPECIFIC) == 0) {
        chip->rotate_auto = (command & OCW2_ROTATE) != 0;
    } else if ((command & OCW2_ROTATE) != 0) {
        chip->lowest = (u8)(command & OCW2_LEVEL);
    }
}

static void write_ocw3(struct vpic_chip *chip, u8 command)
{
    if ((command & OCW3_ESMM) != 0) {
        chip->special_mask = (command & OCW3_SMM) != 0;
    }
    chip->poll = (command & OCW3_POLL) != 0;
    if ((command & OCW3_RR) != 0) {
        chip->read_isr = (command & OCW3_RIS) != 0;
    }
}

static void write_icw1(struct vpic_chip *chip, u8 command)
{
    u8 elcr = chip->elcr;
    u8 lines = chip->lines;

    memset(chip, 0, sizeof(*chip));
    chip->elcr = elcr;
    chip->lines = lines;
    chip->irr = lines & elcr;
    chip->lowest = 7;
    chip->init_step = 2;
    chip->expect_icw4 = (command & ICW1_IC4) != 0;
}

static void write_data(struct vpic_chip *chip, u8 value)
{
    switch (chip->init_step) {
    case 2:
        chip->base = (u8)(value & ICW2_BASE);
        chip->init_step = 3;
        break;
    case 3: /* which pin cascades is wiring, not choice */
        chip->init_step = chip->expect_icw4 ? 4 : 0;
        break;
    case 4:
        chip->auto_eoi = (value & ICW4_AEOI) != 0;
        chip->special_nested = (value & ICW4_SFNM) != 0;
        chip->init_step = 0;
        break;
    default:
        chip->imr = value;
        break;
    }
}

static u8 read_command(struct vpic_chip *chip)
{
    if (chip->poll) {
        u32 pin;
        bool raised = requested(chip) < 8;
        chip->poll = false;
        (void)chip_acknowledge(chip, &pin);
        return raised ? (u8)(POLL_PENDING | pin) : 0;
    }
    return chip->read_isr ? chip->isr : chip->irr;
}

static void chip_access(struct vpic_chip *chip, u64 offset, bool write, u64 *value)
{
    u8 byte = (u8)*value;

    if (!write) {
        *value = read_command(chip);
    } else if (offset != 0) {
        write_data(chip, byte);
    } else if ((byte & ICW1_INIT) != 0) {
        write_icw1(chip, byte);
    } else if ((byte & OCW3_SELECT) != 0) {
        write_ocw3(chip, byte);
    } else {
        write_ocw2(chip, byte);
    }
}

static void locked_access(struct vpic *pic, struct vpic_chip *chip, u64 offset, bool write, u64 *value)
{
    u64 flags = spin_lock(&pic->lock);

    chip_access(chip, offset, write, value);
    finish(pic, flags);
}

/* Reading the mask changes nothing. */
static inline void access(struct vpic *pic, struct vpic_chip *chip, u64 offset, bool write, u64 *value)
{
    if (!write && offset != 0) {
        *value = READ_ONCE(chip->imr);
    } else {
        locked_access(pic, chip, offset, write, value);
    }
}

static void master_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct vpic *pic = device;

    (void)size;
    access(pic, &pic->chip[0], offset, write, value);
}

static void slave_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct vpic *pic = device;

    (void)size;
    access(pic, &pic->chip[1], offset, write, value);
}

static void elcr_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    static const u8 edge_only[2] = {MASTER_EDGE_ONLY, SLAVE_EDGE_ONLY};
    struct vpic *pic = device;
    u64 flags = spin_lock(&pic->lock);
    struct vpic_chip *chip = &pic->chip[offset & 1];

    (void)size;
    if (write) {
        chip->elcr = (u8)(*value & (u8)~edge_only[offset & 1]);
        chip->irr |= chip->lines & chip->elcr;
    } else {
        *value = chip->elcr;
    }
    finish(pic, flags);
}

void vpic_init(struct vpic *pic, void (*changed)(void *ctx, bool level), void *ctx)
{
    memset(pic, 0, sizeof(*pic));
    pic->changed = changed;
    pic->ctx = ctx;
    for (u32 i = 0; i < 2; i++) {
        pic->chip[i].lowest = 7;
        pic->chip[i].imr = (u8)~0U; /* nothing interrupts before software programs the chip */
    }
}

int vpic_attach(struct vpic *pic, struct bus *pio)
{
    const struct bus_range ranges[] = {
        {PIC_MASTER_PORT, 2, 1, master_access, pic},
        {PIC_SLAVE_PORT, 2, 1, slave_access, pic},
        {PIC_ELCR_PORT, 2, 1, elcr_access, pic},
    };

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        int rc = bus_add(pio, &ranges[i]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
