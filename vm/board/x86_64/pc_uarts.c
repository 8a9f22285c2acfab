#include "vm/board/x86_64/pc_uarts.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "mm/heap.h"

static void transmit(void *ctx, u8 byte)
{
    console_put(ctx, byte);
}

static bool ready(void *ctx)
{
    return console_ready(ctx);
}

/* A console without a port has no arg: its VM has uart=none. */
static void receive(struct console_port *port, u8 byte)
{
    if (port->arg != NULL) {
        vuart_receive(port->arg, byte);
    }
}

static void writable(struct console_port *port)
{
    if (port->arg != NULL) {
        vuart_writable(port->arg);
    }
}

static void drive_shared(void *ctx, u32 number, bool level)
{
    struct pc_shared_wire *shared = ctx;
    u64 flags = spin_lock(&shared->lock);

    shared->high = level ? shared->high | BIT32(number) : shared->high & ~BIT32(number);
    irqline_set(&shared->wire, shared->high != 0);
    spin_unlock(&shared->lock, flags);
}

static bool has_sibling(const struct vm_uarts *config, u32 number)
{
    for (u32 i = 0; i < config->count; i++) {
        if (config->number[i] != number && uart_irq(config->number[i]) == uart_irq(number)) {
            return true;
        }
    }
    return false;
}

/* The port's own wire, unless another port drives it, too. */
static struct irqline wire_of(struct pc_uarts *uarts, const struct vm *vm, struct pc_irqchip *chip, u32 number)
{
    struct irqline wire = pc_irqchip_isa(chip, uart_irq(number));
    struct pc_shared_wire *shared = &uarts->shared[number % 2];

    if (!has_sibling(&vm->config->uarts, number)) {
        return wire;
    }
    shared->wire = wire;
    return (struct irqline){.set = drive_shared, .chip = shared, .pin = number};
}

static void open_console(struct console_port *console, struct vuart *uart, u32 place)
{
    console->place = place;
    console->receive = receive;
    console->writable = writable;
    console->arg = uart;
    console_open(console);
}

static int attach_port(struct pc_uarts *uarts, struct vm *vm, struct pc_irqchip *chip, u32 index)
{
    static const char *const names[] = UART_NAMES;
    u32 number = vm->config->uarts.number[index];
    struct irqline wire = wire_of(uarts, vm, chip, number);
    struct vuart *uart = &uarts->chips[index];
    struct console_port *console = index == 0 ? &vm->console : &uarts->consoles[index - 1];

    vuart_init(uart, &wire, transmit, console);
    uart->ready = ready;
    if (index != 0) {
        (void)fmt_snprintf(console->name, sizeof(console->name), "%.26s:%s", vm->config->name, names[number]);
    }
    open_console(console, uart, vm->id * UART_PORTS + index);
    uarts->count++;
    return vuart_attach(uart, &vm->pio, uart_port(number));
}

int pc_uarts_attach(struct pc_uarts *uarts, struct vm *vm, struct pc_irqchip *chip)
{
    u32 count = vm->config->uarts.count;
    int rc = 0;

    if (count == 0) {
        open_console(&vm->console, NULL, vm->id * UART_PORTS);
        return 0;
    }
    uarts->chips = heap_alloc(count * sizeof(*uarts->chips));
    uarts->consoles = count > 1 ? heap_alloc((count - 1) * sizeof(*uarts->consoles)) : NULL;
    if (uarts->chips == NULL || (count > 1 && uarts->consoles == NULL)) {
        return -E_NOMEM;
    }
    for (u32 i = 0; i < count && rc == 0; i++) {
        rc = attach_port(uarts, vm, chip, i);
    }
    return rc;
}

void pc_uarts_stop(struct pc_uarts *uarts, struct vm *vm)
{
    console_close(&vm->console);
    for (u32 i = 1; i < uarts->count; i++) {
        console_close(&uarts->consoles[i - 1]);
    }
}

void pc_uarts_destroy(struct pc_uarts *uarts)
{
    heap_free(uarts->chips);
    heap_free(uarts->consoles);
}
