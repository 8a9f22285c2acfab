#include "vm/dev/x86_64/reset.h"
#include "kernel/lib/string.h"

#define KBC_DATA_PORT 0x60U
#define KBC_STATUS_PORT 0x64U
#define FAST_PORT 0x92U

#define STATUS_OUTPUT_FULL BIT32(0)
#define STATUS_SYSTEM BIT32(2)
#define STATUS_UNLOCKED BIT32(4)
#define CONTROL_INTERRUPT BIT32(0)
#define CONTROL_SYSTEM BIT32(2)
#define CONTROL_NO_KEYBOARD BIT32(4)
#define CONTROL_NO_AUX BIT32(5)
#define OUTPUT_PORT_RUN BIT32(0) /* 0 pulls the CPU's reset pin */
#define OUTPUT_PORT_A20 BIT32(1)
#define FAST_RESET BIT32(0)
#define FAST_A20 BIT32(1)
#define RESET_CONTROL_CPU BIT32(2)
#define RESET_CONTROL_KEEP GENMASK(3, 1)

enum { KBC_READ_CONTROL = 0x20, KBC_WRITE_CONTROL = 0x60, KBC_TEST_AUX = 0xA9,
       KBC_SELF_TEST = 0xAA, KBC_TEST_KEYBOARD = 0xAB, KBC_DISABLE = 0xAD, KBC_ENABLE = 0xAE, KBC_READ_OUTPUT = 0xD0,
       KBC_WRITE_OUTPUT = 0xD1, KBC_WRITE_AUX = 0xD4, KBC_PULSE_FIRST = 0xF0 };
#define SELF_TEST_PASSED 0x55U
#define PORT_TEST_PASSED 0x00U
#define PORT_TEST_CLOCK_LOW 0x01U /* no aux port */

static void answer(struct reset_ports *ports, u8 value)
{
    ports->kbc_output[0] = value;
    ports->kbc_waiting = 1;
}

/* Returns whether the command resets the machine. */
static bool kbc_command(struct reset_ports *ports, u8 command)
{
    switch (command) {
    case KBC_READ_CONTROL:
        answer(ports, ports->kbc_control);
        break;
    case KBC_WRITE_CONTROL:
    case KBC_WRITE_OUTPUT:
    case KBC_WRITE_AUX: /* nothing is there to take its byte */
        ports->kbc_command = command;
        break;
    case KBC_TEST_AUX:
        answer(ports, PORT_TEST_CLOCK_LOW);
        break;
    case KBC_SELF_TEST:
        ports->kbc_control |= CONTROL_SYSTEM;
        answer(ports, SELF_TEST_PASSED);
        break;
    case KBC_TEST_KEYBOARD:
        answer(ports, PORT_TEST_PASSED);
        break;
    case KBC_DISABLE:
        ports->kbc_control |= CONTROL_NO_KEYBOARD;
        break;
    case KBC_ENABLE:
        ports->kbc_control &= (u8)~CONTROL_NO_KEYBOARD;
        break;
    case KBC_READ_OUTPUT:
        answer(ports, OUTPUT_PORT_RUN | OUTPUT_PORT_A20);
        break;
    default: /* F0h-FFh pulse output pins low: bit 0 clear pulses reset; the rest does nothing here */
        return command >= KBC_PULSE_FIRST && (command & OUTPUT_PORT_RUN) == 0;
    }
    return false;
}

/* A byte for a waiting command, else for the keyboard. */
static bool kbc_data(struct reset_ports *ports, u8 value)
{
    u8 command = ports->kbc_command;

    ports->kbc_command = 0;
    if (command == KBC_WRITE_CONTROL) {
        ports->kbc_control = value;
    } else if (command == 0) {
        ports->kbc_waiting = (u8)keyboard_receive(&ports->keyboard, value, ports->kbc_output);
    }
    return command == KBC_WRITE_OUTPUT && (value & OUTPUT_PORT_RUN) == 0;
}

static bool kbc_status_access(struct reset_ports *ports, bool write, u64 *value)
{
    if (write) {
        return kbc_command(ports, (u8)*value);
    }
    *value = STATUS_UNLOCKED | (ports->kbc_control & CONTROL_SYSTEM) | (ports->kbc_waiting != 0 ? STATUS_OUTPUT_FULL : 0U);
    return false;
}

static bool kbc_data_access(struct reset_ports *ports, bool write, u64 *value)
{
    if (write) {
        return kbc_data(ports, (u8)*value);
    }
    *value = ports->kbc_output[0];
    if (ports->kbc_waiting > 1) {
        memmove(ports->kbc_output, ports->kbc_output + 1, ports->kbc_waiting - 1U);
    }
    ports->kbc_waiting = ports->kbc_waiting != 0 ? (u8)(ports->kbc_waiting - 1) : 0;
    irqline_set(&ports->irq, false); /* each byte interrupts anew */
    return false;
}

static bool fast_access(struct reset_ports *ports, bool write, u64 *value)
{
    if (!write) {
        *value = ports->port92 | FAST_A20;
        return false;
    }
    bool reset = (*value & FAST_RESET) != 0 && (ports->port92 & FAST_RESET) == 0;
    ports->port92 = (u8)*value;
    return reset;
}

static bool reset_control_access(struct reset_ports *ports, bool write, u64 *value)
{
    if (!write) {
        *value = ports->cf9;
        return false;
    }
    bool reset = (*value & RESET_CONTROL_CPU) != 0 && (ports->cf9 & RESET_CONTROL_CPU) == 0;
    ports->cf9 = (u8)(*value & RESET_CONTROL_KEEP);
    return reset;
}

static void serve(struct reset_ports *ports, bool (*access)(struct reset_ports *, bool, u64 *), bool write, u64 *value)
{
    u64 flags = spin_lock(&ports->lock);
    bool reset = access(ports, write, value);

    irqline_set(&ports->irq, ports->kbc_waiting != 0 && (ports->kbc_control & CONTROL_INTERRUPT) != 0);
    spin_unlock(&ports->lock, flags);
    if (reset) {
        ports->reset(ports->ctx);
    }
}

static void kbc_data_port(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)offset;
    (void)size;
    serve(device, kbc_data_access, write, value);
}

static void kbc_status_port(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)offset;
    (void)size;
    serve(device, kbc_status_access, write, value);
}

static void fast_port(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)offset;
    (void)size;
    serve(device, fast_access, write, value);
}

void reset_control_port(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)offset;
    (void)size;
    serve(device, reset_control_access, write, value);
}

void reset_ports_init(struct reset_ports *ports, const struct irqline *irq, void (*reset)(void *ctx), void *ctx)
{
    memset(ports, 0, sizeof(*ports));
    ports->kbc_control = CONTROL_SYSTEM | CONTROL_NO_AUX;
    ports->irq = *irq;
    ports->reset = reset;
    ports->ctx = ctx;
}

int reset_ports_attach(struct reset_ports *ports, struct bus *pio)
{
    const struct bus_range ranges[] = {
        {KBC_DATA_PORT, 1, 1, kbc_data_port, ports},
        {KBC_STATUS_PORT, 1, 1, kbc_status_port, ports},
        {FAST_PORT, 1, 1, fast_port, ports},
    };

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        int rc = bus_add(pio, &ranges[i]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
