#include "drivers/uart16550.h"
#include "kernel/lib/errno.h"

enum { REG_DATA = 0, REG_DLL = 0, REG_IER = 1, REG_DLM = 1, REG_FCR = 2, REG_LCR = 3, REG_MCR = 4, REG_LSR = 5, REG_SCR = 7 };

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

static bool wait_lsr(struct uart16550 *uart, u8 bits, u32 spins)
{
    while ((uart->read(uart, REG_LSR) & bits) != bits) {
        if (spins-- == 0) {
            return false;
        }
    }
    return true;
}

static void uart_write(struct console_device *device, const char *text, size_t len)
{
    struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, console);

    for (size_t i = 0; i < len && uart->timeouts < TIMEOUTS_MAX; i++) {
        if (wait_lsr(uart, LSR_THRE, TX_SPINS)) {
            uart->timeouts = 0;
            uart->write(uart, REG_DATA, (u8)text[i]);
        } else {
            uart->timeouts++;
        }
    }
}

static void uart_drain(struct console_device *device)
{
    struct uart16550 *uart = CONTAINER_OF(device, struct uart16550, console);

    if (uart->timeouts < TIMEOUTS_MAX) {
        (void)wait_lsr(uart, LSR_TEMT, FIFO_SIZE * TX_SPINS);
    }
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
    uart->console.write = uart_write;
    uart->console.drain = uart_drain;
    return 0;
}

void uart16550_enable_receive(struct uart16550 *uart)
{
    uart16550_receive(uart); /* what came before would never raise an edge */
    uart->write(uart, REG_IER, IER_RX_AVAILABLE);
}

void uart16550_receive(void *arg)
{
    struct uart16550 *uart = arg;

    for (u32 i = 0; i < RX_BURST; i++) {
        u8 status = uart->read(uart, REG_LSR);
        if ((status & LSR_DATA) == 0 || status == LSR_ABSENT) {
            return;
        }
        u8 byte = uart->read(uart, REG_DATA);
        if ((status & LSR_BREAK) == 0) {
            console_input(byte);
        }
    }
}
