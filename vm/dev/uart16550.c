#include "vm/dev/uart16550.h"
#include "kernel/lib/string.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX BIT32(0)
#define IER_THRE BIT32(1)
#define IER_LINE BIT32(2)
#define IER_MODEM BIT32(3)
#define IER_ALL (IER_RX | IER_THRE | IER_LINE | IER_MODEM)
#define IIR_NONE BIT32(0)
#define IIR_THRE 0x2U
#define IIR_RX 0x4U
#define IIR_LINE 0x6U
#define IIR_TIMEOUT 0xCU
#define IIR_FIFO GENMASK(7, 6)
#define FCR_ENABLE BIT32(0)
#define FCR_CLEAR_RX BIT32(1)
#define FCR_CLEAR_TX BIT32(2)
#define FCR_TRIGGER GENMASK(7, 6)
#define LCR_DLAB BIT32(7)
#define MCR_DTR BIT32(0)
#define MCR_RTS BIT32(1)
#define MCR_OUT1 BIT32(2)
#define MCR_OUT2 BIT32(3)
#define MCR_LOOP BIT32(4)
#define MCR_ALL GENMASK(4, 0)
#define LSR_DATA BIT32(0)
#define LSR_OVERRUN BIT32(1)
#define LSR_THRE BIT32(5)
#define LSR_TEMT BIT32(6)
#define MSR_CTS BIT32(4)
#define MSR_DSR BIT32(5)
#define MSR_RI BIT32(6)
#define MSR_DCD BIT32(7)

static u32 queued(const struct vuart *uart)
{
    return uart->head - uart->tail;
}

static u32 trigger_level(const struct vuart *uart)
{
    static const u8 levels[4] = {1, 4, 8, 14};

    return (uart->fcr & FCR_ENABLE) != 0 ? levels[FIELD_GET(FCR_TRIGGER, uart->fcr)] : 1;
}

/* The highest pending interrupt (data sheet, table "Interrupt Control Functions"). Bytes below the trigger level are
 * announced as a character time-out at once: no time passes on this wire. */
static u8 interrupt_id(const struct vuart *uart)
{
    if ((uart->ier & IER_LINE) != 0 && uart->overrun) {
        return IIR_LINE;
    }
    if ((uart->ier & IER_RX) != 0 && queued(uart) != 0) {
        return queued(uart) >= trigger_level(uart) ? IIR_RX : IIR_TIMEOUT;
    }
    if ((uart->ier & IER_THRE) != 0 && uart->thr_event) {
        return IIR_THRE;
    }
    return IIR_NONE;
}

/* The wire to the interrupt controller passes through OUT2, as PC boards have it. */
static bool irq_level(const struct vuart *uart)
{
    return interrupt_id(uart) != IIR_NONE && (uart->mcr & MCR_OUT2) != 0 && (uart->mcr & MCR_LOOP) == 0;
}

/* The chips behind the wire have nothing to hear while its level stays. */
static void drive(struct vuart *uart)
{
    bool level = irq_level(uart);

    if (level != uart->level) {
        uart->level = level;
        irqline_set(&uart->irq, level);
    }
}

static void enqueue(struct vuart *uart, u8 byte)
{
    if (queued(uart) == VUART_QUEUE) {
        uart->overrun = true;
        return;
    }
    uart->queue[uart->head++ % VUART_QUEUE] = byte;
}

static u8 dequeue(struct vuart *uart)
{
    return queued(uart) == 0 ? 0 : uart->queue[uart->tail++ % VUART_QUEUE];
}

static bool transmitter_ready(const struct vuart *uart)
{
    return uart->ready == NULL || uart->ready(uart->ctx);
}

/* The holding register is empty, or will be when the console takes bytes again. */
static void announce_empty(struct vuart *uart)
{
    uart->thr_event = transmitter_ready(uart);
    uart->thr_wait = !uart->thr_event;
}

static u8 read_lsr(struct vuart *uart)
{
    u8 lsr = transmitter_ready(uart) ? LSR_THRE | LSR_TEMT : 0;

    lsr |= queued(uart) != 0 ? (u8)LSR_DATA : 0;
    lsr |= uart->overrun ? (u8)LSR_OVERRUN : 0;
    uart->overrun = false;
    return lsr;
}

/* Loopback wires the modem outputs to the inputs; else a terminal is always there. */
static u8 read_msr(const struct vuart *uart)
{
    if ((uart->mcr & MCR_LOOP) == 0) {
        return MSR_CTS | MSR_DSR | MSR_DCD;
    }
    return (u8)(((uart->mcr & MCR_RTS) != 0 ? MSR_CTS : 0U) | ((uart->mcr & MCR_DTR) != 0 ? MSR_DSR : 0U) |
                ((uart->mcr & MCR_OUT1) != 0 ? MSR_RI : 0U) | ((uart->mcr & MCR_OUT2) != 0 ? MSR_DCD : 0U));
}

static u8 read_iir(struct vuart *uart)
{
    u8 id = interrupt_id(uart);

    if (id == IIR_THRE) {
        uart->thr_event = false;
    }
    return (u8)(id | ((uart->fcr & FCR_ENABLE) != 0 ? IIR_FIFO : 0U));
}

static u8 read_register(struct vuart *uart, u64 reg)
{
    bool dlab = (uart->lcr & LCR_DLAB) != 0;

    switch (reg) {
    case REG_DATA:
        return dlab ? uart->divisor[0] : dequeue(uart);
    case REG_IER:
        return dlab ? uart->divisor[1] : uart->ier;
    case REG_IIR_FCR:
        return read_iir(uart);
    case REG_LCR:
        return uart->lcr;
    case REG_MCR:
        return uart->mcr;
    case REG_LSR:
        return read_lsr(uart);
    case REG_MSR:
        return read_msr(uart);
    default:
        return uart->scr;
    }
}

static void write_ier(struct vuart *uart, u8 value)
{
    /* Enabling the transmitter interrupt while the holding register is empty raises it at once. */
    if ((value & IER_THRE) != 0 && (uart->ier & IER_THRE) == 0) {
        announce_empty(uart);
    }
    uart->ier = value & IER_ALL;
}

static void write_fcr(struct vuart *uart, u8 value)
{
    if ((value & FCR_CLEAR_RX) != 0) {
        uart->tail = uart->head;
    }
    uart->fcr = (value & FCR_ENABLE) != 0 ? value & (u8)~(FCR_CLEAR_RX | FCR_CLEAR_TX) : 0;
}

/* Returns whether the byte goes out on the wire. */
static bool write_data(struct vuart *uart, u8 value)
{
    if ((uart->lcr & LCR_DLAB) != 0) {
        uart->divisor[0] = value;
        return false;
    }
    if ((uart->mcr & MCR_LOOP) != 0) {
        uart->thr_event = true;
        enqueue(uart, value);
        return false;
    }
    announce_empty(uart);
    return true;
}

static bool write_register(struct vuart *uart, u64 reg, u8 value)
{
    switch (reg) {
    case REG_DATA:
        return write_data(uart, value);
    case REG_IER:
        if ((uart->lcr & LCR_DLAB) != 0) {
            uart->divisor[1] = value;
        } else {
            write_ier(uart, value);
        }
        break;
    case REG_IIR_FCR:
        write_fcr(uart, value);
        break;
    case REG_LCR:
        uart->lcr = value;
        break;
    case REG_MCR:
        uart->mcr = value & MCR_ALL;
        break;
    case REG_SCR:
        uart->scr = value;
        break;
    default: /* LSR and MSR are read-only */
        break;
    }
    return false;
}

static void vuart_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct vuart *uart = device;
    u8 byte = (u8)*value;
    bool send = false;
    u64 flags = spin_lock(&uart->lock);

    (void)size;
    if (write) {
        send = write_register(uart, offset, byte);
    } else {
        *value = read_register(uart, offset);
    }
    drive(uart);
    spin_unlock(&uart->lock, flags);
    if (send) {
        uart->transmit(uart->ctx, byte);
    }
}

void vuart_writable(struct vuart *uart)
{
    u64 flags = spin_lock(&uart->lock);

    if (uart->thr_wait) {
        uart->thr_wait = false;
        uart->thr_event = true;
        drive(uart);
    }
    spin_unlock(&uart->lock, flags);
}

void vuart_receive(struct vuart *uart, u8 byte)
{
    u64 flags = spin_lock(&uart->lock);

    enqueue(uart, byte);
    drive(uart);
    spin_unlock(&uart->lock, flags);
}

void vuart_init(struct vuart *uart, const struct irqline *irq, void (*transmit)(void *ctx, u8 byte), void *ctx)
{
    memset(uart, 0, sizeof(*uart));
    uart->irq = *irq;
    uart->transmit = transmit;
    uart->ctx = ctx;
    uart->divisor[0] = 1;
}

int vuart_attach(struct vuart *uart, struct bus *bus, u64 base)
{
    const struct bus_range range = {base, VUART_PORTS, 1, vuart_access, uart};

    return bus_add(bus, &range);
}
