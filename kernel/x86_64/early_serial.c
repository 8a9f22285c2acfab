/* 16550 registers: National Semiconductor PC16550D data sheet, section 8. */
#include "kernel/x86_64/early_serial.h"
#include "kernel/base/log.h"
#include "kernel/x86_64/pio.h"

#define UART_THR 0U
#define UART_DLL 0U
#define UART_IER 1U
#define UART_DLM 1U
#define UART_FCR 2U
#define UART_LCR 3U
#define UART_MCR 4U
#define UART_LSR 5U
#define LCR_8N1 0x03U
#define LCR_DLAB 0x80U
#define FCR_ENABLE_CLEAR 0x07U
#define MCR_DTR_RTS 0x03U
#define LSR_THRE 0x20U
#define LSR_ABSENT 0xFFU
#define DIVISOR_115200 1U
#define WAIT_POLLS 100000U /* a byte takes 87 us; a dead port must not stop the boot */

static bool present;

static void write_reg(u32 reg, u32 value)
{
    pio_write8((u16)(EARLY_SERIAL_PORT + reg), (u8)value);
}

static void put(char c)
{
    for (u32 i = 0; i < WAIT_POLLS; i++) {
        if ((pio_read8(EARLY_SERIAL_PORT + UART_LSR) & LSR_THRE) != 0) {
            break;
        }
    }
    write_reg(UART_THR, (u8)c);
}

static void sink_write(struct log_sink *sink, const char *text, size_t len)
{
    (void)sink;
    for (size_t i = 0; present && i < len; i++) {
        if (text[i] == '\n') {
            put('\r');
        }
        put(text[i]);
    }
}

static struct log_sink early_sink = {.write = sink_write};

void early_serial_start(void)
{
    write_reg(UART_IER, 0);
    write_reg(UART_LCR, LCR_DLAB);
    write_reg(UART_DLL, DIVISOR_115200);
    write_reg(UART_DLM, 0);
    write_reg(UART_LCR, LCR_8N1);
    write_reg(UART_FCR, FCR_ENABLE_CLEAR);
    write_reg(UART_MCR, MCR_DTR_RTS);
    present = pio_read8(EARLY_SERIAL_PORT + UART_LSR) != LSR_ABSENT;
    log_add_sink(&early_sink);
}

void early_serial_stop(void)
{
    log_remove_sink(&early_sink);
}
