#include "drivers/x86_64/com.h"
#include "drivers/platform.h"
#include "drivers/uart16550.h"
#include "drivers/x86_64/acpi.h"
#include "kernel/irq.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "kernel/x86_64/early_serial.h"
#include "kernel/x86_64/pio.h"

#define PORTS_MAX 10U
#define SERIAL_BAUD 115200U
#define POLL_NS NS_PER_MS /* sixteen bytes, what the FIFO holds, take 1.4 ms at 115200 baud */

/* The ports and lines of the PC/AT that every BIOS keeps. */
static const struct {
    const char *name;
    u16 port;
    u8 irq;
} known[] = {{"com1", 0x3F8, 4}, {"com2", 0x2F8, 3}, {"com3", 0x3E8, 4}, {"com4", 0x2E8, 3}};

/* A serial port in use. */
static struct com {
    struct uart16550 uart;
    char name[12];
    bool has_line;
    u8 irq;
    struct timer poll; /* of a port without an interrupt line of its own */
} ports[PORTS_MAX];
static u32 port_count;

static u8 port_read(struct uart16550 *uart, u32 reg)
{
    return pio_read8((u16)(uart->base + reg));
}

static void port_write(struct uart16550 *uart, u32 reg, u8 value)
{
    pio_write8((u16)(uart->base + reg), value);
}

void platform_console_begin(void)
{
    early_serial_stop();
}

static void name_port(struct com *com, u16 port)
{
    (void)fmt_snprintf(com->name, sizeof(com->name), "uart:0x%x", port);
    com->has_line = false;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (known[i].port == port) {
            (void)fmt_snprintf(com->name, sizeof(com->name), "%s", known[i].name);
            com->has_line = true;
            com->irq = known[i].irq;
        }
    }
}

/* Set a port up, as a console or for a service. 0, -E_EXIST, -E_NOENT, -E_NOMEM, -E_INVAL: then *out is not written. */
static int open_port(u16 port, u32 baud, bool is_console, struct com **out)
{
    struct com *com = &ports[port_count];

    for (u32 i = 0; i < port_count; i++) {
        if (ports[i].uart.base == port) {
            return -E_EXIST;
        }
    }
    if (port_count == PORTS_MAX) {
        return -E_NOMEM;
    }
    name_port(com, port);
    com->uart = (struct uart16550){.read = port_read, .write = port_write, .base = port, .is_console = is_console};
    int error = uart16550_init(&com->uart, baud);
    if (error == 0) {
        port_count++;
        *out = com;
    }
    return error;
}

int platform_console_serial(u16 port, u32 baud)
{
    struct com *com = NULL;
    int error = open_port(port, baud, true, &com);

    if (error == 0) {
        com->uart.console.name = com->name;
        com->uart.console.has_log = port == EARLY_SERIAL_PORT;
        console_add_device(&com->uart.console);
    }
    return error;
}

static void poll(struct timer *timer)
{
    uart16550_receive(timer->arg);
    timer_arm(timer, time_now_ns() + POLL_NS);
}

/* COM3 shares its line with COM1, COM4 with COM2: who comes second is polled. */
static bool take_line(struct com *com)
{
    struct acpi_irq line = acpi_isa_irq(com->irq);

    return irq_request(line.gsi, line.level, line.active_low, uart16550_receive, &com->uart) == 0;
}

void com_queue_output(void)
{
    for (u32 i = 0; i < port_count; i++) {
        uart16550_queue(&ports[i].uart);
    }
}

static void enable_input(struct com *com)
{
    bool line = com->has_line && take_line(com);

    uart16550_listen(&com->uart);
    if (!line) {
        timer_init(&com->poll, poll, &com->uart);
        timer_arm(&com->poll, 0);
    }
}

void com_enable_input(void)
{
    for (u32 i = 0; i < port_count; i++) {
        if (ports[i].uart.is_console) {
            enable_input(&ports[i]);
        }
    }
}

struct serial_port *platform_serial(u16 port, int *error)
{
    struct com *com = NULL;

    *error = open_port(port, SERIAL_BAUD, false, &com);
    if (*error != 0) {
        return NULL;
    }
    com->uart.serial.name = com->name;
    enable_input(com);
    return &com->uart.serial;
}
