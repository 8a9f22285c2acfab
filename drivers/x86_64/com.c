#include "drivers/x86_64/com.h"
#include "drivers/platform.h"
#include "drivers/uart16550.h"
#include "drivers/x86_64/acpi.h"
#include "kernel/base/log.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/early_serial.h"
#include "kernel/x86_64/pio.h"

/* The ports and lines of the PC/AT that every BIOS keeps. */
struct com {
    const char *name;
    u16 port;
    u8 irq;
    bool used;
    struct uart16550 uart;
};

static struct com ports[] = {
    {.name = "com1", .port = 0x3F8, .irq = 4},
    {.name = "com2", .port = 0x2F8, .irq = 3},
    {.name = "com3", .port = 0x3E8, .irq = 4},
    {.name = "com4", .port = 0x2E8, .irq = 3},
};

static u8 port_read(struct uart16550 *uart, u32 reg)
{
    return pio_read8((u16)(uart->base + reg));
}

static void port_write(struct uart16550 *uart, u32 reg, u8 value)
{
    pio_write8((u16)(uart->base + reg), value);
}

static struct com *find_port(u16 port)
{
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        if (ports[i].port == port) {
            return &ports[i];
        }
    }
    return NULL;
}

int platform_console(u16 port, u32 baud)
{
    struct com *com = find_port(port);

    early_serial_stop();
    if (port == 0) {
        return 0;
    }
    if (com == NULL) {
        return -E_RANGE;
    }
    if (com->used) {
        return -E_EXIST;
    }
    com->uart = (struct uart16550){.read = port_read, .write = port_write, .base = com->port};
    com->uart.console.name = com->name;
    com->uart.console.has_log = port == EARLY_SERIAL_PORT;
    int error = uart16550_init(&com->uart, baud);
    if (error == 0) {
        com->used = true;
        console_add_device(&com->uart.console);
    }
    return error;
}

void com_enable_input(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        struct com *com = &ports[i];
        if (!com->used) {
            continue;
        }
        struct acpi_irq line = acpi_isa_irq(com->irq);
        int error = irq_request(line.gsi, line.level, line.active_low, uart16550_receive, &com->uart);
        if (error == 0) {
            uart16550_enable_receive(&com->uart);
        } else {
            log_warn("console=%s input=off: %s", com->name, errno_text(error));
        }
    }
}
