#include "drivers/uart16550.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/time.h"
#include "mm/heap.h"
#include <arch/cpu.h>

enum { REG_DATA = 0, REG_DLL = 0, REG_IER = 1, REG_DLM = 1, REG_FCR = 2 };
enum { REG_LCR = 3, REG_MCR = 4, REG_LSR = 5, REG_SCR = 7 };

#define IER_RX_AVAILABLE 0x01U
#define FCR_ENABLE 0x01U
#define FCR_CLEAR_RX 0x02U
#define FCR_CLEAR_TX 0x04U
#define LCR_8N1 0x03U
#define LCR_DLAB 0x80U
#define MCR_DTR 0x01U
#define MCR_RTS 0x02U
#define MCR_OUT2 0x08U /* on a PC this lets the interrupt through */
#define LSR_DATA 0x01U
#define LSR_BREAK 0x10U
#define LSR_THRE 0x20U
#define LSR_TEMT 0x40U
#define LSR_ABSENT 0xFFU

#define CLOCKS_PER_BIT 16U
#define DIVISOR_MAX 0xFFFFU
#define SCRATCH_PROBE 0x5AU
#define FIFO_SIZE 16U
#define TX_SPINS 200000U /* one byte takes 9 ms at 1200 baud; a register read takes about 1 us on a real bus */
#define TIMEOUTS_MAX 4U  /* then the UART is taken for dead */
#define RX_BURST 64U
#define TX_BURSTS 4U /* of a FIFO, in a row */
#define BITS_PER_BYTE 10U /* on the wire: start, eight, stop */
#define LATE_NS (10 * NS_PER_US)
#define STALL_NS (2 * NS_PER_SEC) /* nobody takes our bytes any more: no guest shall wait for it */

static bool wait_lsr(struct uart16550 *uart, u8 bits, u32 spins)
{
    while ((uart->read(uart, REG_LSR) & bits) != bits) {
        if (spins-- == 0) {
            return false;
        }
        arch_cpu_relax(); /* and in QEMU this lets the thread run that empties the FIFO */
    }
    return true;
}

/* Send a byte, now; a UART that does not want it for too long is given up. Returns whether it took the byte. */
static bool send_now(struct uart16550 *uart, u8 byte)
{
    if (uart->timeouts >= TIMEOUTS_MAX) {
        return false;
    }
    if (!wait_lsr(uart, LSR_THRE, TX_SPINS)) {
        uart->timeouts++;
        return false;
    }
    uart->timeouts = 0;
    uart->write(uart, REG_DATA, byte);
    return true;
}

static u8 take(struct uart16550 *uart)
{
    u8 byte = uart->queue[uart->first];

    uart->first = (uart->first + 1) % UART16550_QUEUE;
    uart->queued--;
    return byte;
}

static void flush(struct uart16550 *uart)
{
    while (uart->queued != 0) {
        (void)send_now(uart, take(uart));
    }
}

static bool stalled(const struct uart16550 *uart)
{
    return uart->queued != 0 && time_now_ns() - uart->sent_ns > STALL_NS;
}

/* Give the FIFO what it takes now; for the rest we come back when it is empty. By timer, not by the transmitter's interrupt: so
 * nothing depends on how a UART raises that beside the receiver's, on a line that may be edge-triggered. */
static void uart_send(struct console_device *device)
{
    struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, console);

    for (u32 burst = 0; burst < TX_BURSTS && uart->queued != 0 && (uart->read(uart, REG_LSR) & LSR_THRE) != 0; burst++) {
        for (u32 i = 0; i < FIFO_SIZE && uart->queued != 0; i++) {
            uart->write(uart, REG_DATA, take(uart));
        }
        uart->sent_ns = time_now_ns();
        uart->timeouts = 0;
    }
    if (uart->queued != 0 && !__atomic_exchange_n(&uart->timed, true, __ATOMIC_ACQ_REL)) {
        timer_arm(&uart->timer, time_now_ns() + uart->fifo_ns);
    }
}

static void fifo_empty(struct timer *timer)
{
    struct uart16550 *uart = timer->arg;

    __atomic_store_n(&uart->timed, false, __ATOMIC_RELEASE); /* before sending, which arms again */
    console_service(&uart->console);
}

static u32 uart_room(struct console_device *device)
{
    const struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, console);

    return uart->queue == NULL || stalled(uart) ? ~0U : UART16550_QUEUE - uart->queued;
}

/* What does not fit waits for the wire, a byte's time for each byte; on a stalled one it is lost. */
static void enqueue(struct uart16550 *uart, u8 byte)
{
    if (uart->queued == UART16550_QUEUE) {
        if (stalled(uart)) {
            return;
        }
        if (send_now(uart, take(uart))) {
            uart->sent_ns = time_now_ns();
        }
    }
    if (uart->queued == 0) {
        uart->sent_ns = time_now_ns();
    }
    uart->queue[(uart->first + uart->queued) % UART16550_QUEUE] = byte;
    uart->queued++;
}

static void uart_write(struct console_device *device, const char *text, size_t len)
{
    struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, console);
    bool queue = uart->queue != NULL && !panic_happened();

    if (!queue) {
        flush(uart);
    }
    for (size_t i = 0; i < len; i++) {
        if (queue) {
            enqueue(uart, (u8)text[i]);
        } else {
            (void)send_now(uart, (u8)text[i]);
        }
    }
    if (queue) {
        uart_send(device);
    }
}

static void uart_drain(struct console_device *device)
{
    struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, console);

    flush(uart);
    if (uart->timeouts < TIMEOUTS_MAX) {
        (void)wait_lsr(uart, LSR_TEMT, FIFO_SIZE * TX_SPINS);
    }
}

static void serial_send(struct serial_port *port, const char *bytes, size_t len)
{
    console_write_device(&CONTAINER_OF(port, struct uart16550, serial)->console, bytes, len);
}

/* With data waiting this raises the interrupt. */
static void serial_go_on(struct serial_port *port)
{
    struct uart16550 *uart = CONTAINER_OF(port, struct uart16550, serial);

    uart->turned_away = false;
    uart->write(uart, REG_IER, IER_RX_AVAILABLE);
}

static bool present(struct uart16550 *uart)
{
    if (uart->read(uart, REG_LSR) == LSR_ABSENT) {
        return false;
    }
    uart->write(uart, REG_SCR, SCRATCH_PROBE);
    return uart->read(uart, REG_SCR) == SCRATCH_PROBE;
}

int uart16550_init(struct uart16550 *uart, u32 baud)
{
    u32 divisor = baud != 0 ? UART16550_CLOCK_HZ / CLOCKS_PER_BIT / baud : 0;

    if (divisor == 0 || divisor > DIVISOR_MAX) {
        return -E_INVAL;
    }
    if (!present(uart)) {
        return -E_NOENT;
    }
    (void)wait_lsr(uart, LSR_TEMT, FIFO_SIZE * TX_SPINS); /* what boot code still has in the FIFO */
    uart->write(uart, REG_IER, 0);
    uart->write(uart, REG_LCR, LCR_DLAB);
    uart->write(uart, REG_DLL, (u8)divisor);
    uart->write(uart, REG_DLM, (u8)(divisor >> 8));
    uart->write(uart, REG_LCR, LCR_8N1);
    uart->write(uart, REG_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
    uart->write(uart, REG_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    uart->timeouts = 0;
    uart->fifo_ns = FIFO_SIZE * BITS_PER_BYTE * NS_PER_SEC / baud + LATE_NS;
    uart->console.write = uart_write;
    uart->console.drain = uart_drain;
    uart->console.send = uart_send;
    uart->console.room = uart_room;
    uart->serial.send = serial_send;
    uart->serial.go_on = serial_go_on;
    return 0;
}

/* Hand a byte on. A service that does not want another one now gets no interrupt until it does. */
static bool hand_on(struct uart16550 *uart, u8 byte)
{
    if (uart->is_console) {
        console_input(byte);
        return true;
    }
    if (uart->serial.receive == NULL || uart->serial.receive(uart->serial.arg, byte)) {
        return true;
    }
    uart->turned_away = true;
    uart->write(uart, REG_IER, 0);
    return false;
}

void uart16550_receive(void *arg)
{
    struct uart16550 *uart = arg;

    for (u32 i = 0; i < RX_BURST && !uart->turned_away; i++) {
        u8 status = uart->read(uart, REG_LSR);
        if ((status & LSR_DATA) == 0 || status == LSR_ABSENT) {
            return;
        }
        u8 byte = uart->read(uart, REG_DATA);
        if ((status & LSR_BREAK) == 0 && !hand_on(uart, byte)) {
            return;
        }
    }
}

void uart16550_queue(struct uart16550 *uart)
{
    timer_init(&uart->timer, fifo_empty, uart);
    uart->queue = heap_alloc(UART16550_QUEUE);
}

void uart16550_listen(struct uart16550 *uart)
{
    uart16550_receive(uart); /* what came before would never raise an edge */
    uart->write(uart, REG_IER, IER_RX_AVAILABLE);
}
