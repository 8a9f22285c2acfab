/* units: tests/unit/dev_host.c vm/dev/uart16550.c vm/bus.c */
/* The 16550A: registers, interrupts and their priorities, FIFO, loopback (National PC16550D data sheet). */
#include "tests/unit/dev_host.h"
#include "vm/dev/uart16550.h"

#define BASE 0x3F8
enum { DATA = BASE, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct vuart uart;
static struct dev_wire irq;
static u8 sent[64];
static unsigned sent_count;

static void transmit(void *ctx, u8 byte)
{
    assert_ptr_equal(ctx, sent);
    sent[sent_count++ % sizeof(sent)] = byte;
}

static int setup(void **state)
{
    (void)dev_setup(state);
    struct irqline line = dev_line(&irq);
    sent_count = 0;
    vuart_init(&uart, &line, transmit, sent);
    return vuart_attach(&uart, &dev_pio, BASE);
}

static void receive(const char *text)
{
    while (*text != '\0') {
        vuart_receive(&uart, (u8)*text++);
    }
}

static void reset_state(void **state)
{
    (void)state;
    assert_int_equal(inb(IER), 0);
    assert_int_equal(inb(IIR), 1);
    assert_int_equal(inb(LCR), 0);
    assert_int_equal(inb(MCR), 0);
    assert_int_equal(inb(LSR), 0x60);
    assert_int_equal(inb(MSR) & 0xF0, 0xB0);
}

static void what_is_written_goes_out(void **state)
{
    (void)state;
    outb(DATA, 'a');
    outb(DATA, 'b');
    assert_int_equal(sent_count, 2);
    assert_int_equal(sent[1], 'b');
    assert_int_equal(inb(LSR) & 0x60, 0x60);
}

static void divisor_latch_hides_data(void **state)
{
    (void)state;
    outb(LCR, 0x83);
    outb(DATA, 12);
    outb(IER, 1);
    assert_int_equal(inb(DATA), 12);
    assert_int_equal(inb(IER), 1);
    outb(LCR, 3);
    assert_int_equal(inb(IER), 0);
    assert_int_equal(sent_count, 0);
    assert_int_equal(inb(LCR), 3);
}

static void scratch_and_undefined_bits(void **state)
{
    (void)state;
    outb(SCR, 0xA5);
    assert_int_equal(inb(SCR), 0xA5);
    outb(IER, 0xFF);
    assert_int_equal(inb(IER), 0x0F);
    outb(MCR, 0xFF);
    assert_int_equal(inb(MCR), 0x1F);
    outb(LSR, 0);
    assert_int_equal(inb(LSR), 0x60);
}

static void received_bytes_interrupt(void **state)
{
    (void)state;
    outb(MCR, 0x08);
    outb(IER, 0x01);
    receive("xy");
    assert_true(irq.level);
    assert_int_equal(inb(IIR), 0x04);
    assert_int_equal(inb(LSR), 0x61);
    assert_int_equal(inb(DATA), 'x');
    assert_true(irq.level);
    assert_int_equal(inb(DATA), 'y');
    assert_false(irq.level);
    assert_int_equal(inb(IIR), 0x01);
    assert_int_equal(inb(DATA), 0);
}

static void out2_gates_the_wire(void **state)
{
    (void)state;
    outb(IER, 0x01);
    receive("x");
    assert_false(irq.level);
    assert_int_equal(inb(IIR), 0x04);
    outb(MCR, 0x08);
    assert_true(irq.level);
    outb(MCR, 0x18); /* loopback cuts it too */
    assert_false(irq.level);
}

static void transmitter_interrupt(void **state)
{
    (void)state;
    outb(MCR, 0x08);
    outb(IER, 0x02);
    assert_true(irq.level); /* enabling it while empty raises it */
    assert_int_equal(inb(IIR), 0x02);
    assert_false(irq.level); /* reading IIR takes it */
    assert_int_equal(inb(IIR), 0x01);
    outb(DATA, 'a');
    assert_int_equal(irq.rises, 2);
    outb(IER, 0x00);
    assert_false(irq.level);
}

static void receiver_goes_before_transmitter(void **state)
{
    (void)state;
    outb(MCR, 0x08);
    outb(IER, 0x03);
    receive("x");
    assert_int_equal(inb(IIR), 0x04);
    (void)inb(DATA);
    assert_int_equal(inb(IIR), 0x02); /* was not lost behind it */
}

static void fifo_trigger_level(void **state)
{
    (void)state;
    outb(IIR, 0x81); /* 8 bytes */
    outb(IER, 0x01);
    receive("1234567");
    assert_int_equal(inb(IIR), 0xCC); /* time-out */
    receive("8");
    assert_int_equal(inb(IIR), 0xC4);
    outb(IIR, 0x83); /* clear the receiver */
    assert_int_equal(inb(LSR), 0x60);
    assert_int_equal(inb(IIR), 0xC1);
    outb(IIR, 0x00);
    assert_int_equal(inb(IIR), 0x01);
}

static void overrun_is_told_once_and_first(void **state)
{
    (void)state;
    outb(IER, 0x05);
    for (u32 i = 0; i < VUART_QUEUE + 3; i++) {
        vuart_receive(&uart, (u8)i);
    }
    assert_int_equal(inb(IIR), 0x06);
    assert_int_equal(inb(LSR), 0x63);
    assert_int_equal(inb(LSR), 0x61);
    assert_int_equal(inb(IIR), 0x04);
    for (u32 i = 0; i < VUART_QUEUE; i++) {
        assert_int_equal(inb(DATA), (u8)i); /* in order, the first ones */
    }
    assert_int_equal(inb(LSR), 0x60);
}

static void loopback(void **state)
{
    (void)state;
    outb(MCR, 0x1F);
    assert_int_equal(inb(MSR) & 0xF0, 0xF0);
    outb(MCR, 0x12);
    assert_int_equal(inb(MSR) & 0xF0, 0x10); /* RTS is CTS */
    outb(MCR, 0x11);
    assert_int_equal(inb(MSR) & 0xF0, 0x20); /* DTR is DSR */
    outb(DATA, 0x5A);
    assert_int_equal(sent_count, 0);
    assert_int_equal(inb(DATA), 0x5A);
}

static void every_byte_in_any_state_is_survived(void **state)
{
    u32 random = 7;

    (void)state;
    for (u32 i = 0; i < 200000; i++) {
        random = random * 1664525U + 1013904223U;
        u16 port = (u16)(BASE + (random >> 8 & 7));
        if (random >> 30 == 0) {
            vuart_receive(&uart, (u8)(random >> 16));
        } else if (random >> 30 == 1) {
            (void)inb(port);
        } else {
            outb(port, (u8)(random >> 16));
        }
    }
}

static bool may_send;

static bool ready(void *ctx)
{
    assert_ptr_equal(ctx, sent);
    return may_send;
}

/* While the console is full, the transmitter stays busy; a driver that waits for the interrupt gets it afterwards, once. */
static void busy_while_the_console_is_full(void **state)
{
    (void)state;
    uart.ready = ready;
    may_send = true;
    outb(MCR, 0x08);
    outb(IER, 0x02);
    assert_int_equal(inb(IIR), 0x02);
    may_send = false;
    outb(DATA, 'x'); /* a guest that does not look is heard all the same */
    assert_int_equal(sent_count, 1);
    assert_int_equal(inb(LSR) & 0x60, 0);
    assert_int_equal(inb(IIR), 0x01);
    assert_false(irq.level);
    outb(IER, 0);
    outb(IER, 0x02); /* nor now */
    assert_int_equal(inb(IIR), 0x01);
    may_send = true;
    vuart_writable(&uart);
    assert_true(irq.level);
    assert_int_equal(inb(IIR), 0x02);
    assert_false(irq.level); /* a wire that stayed up would never rise again */
    assert_int_equal(inb(IIR), 0x01);
    assert_int_equal(inb(LSR) & 0x60, 0x60);
    vuart_writable(&uart);
    assert_int_equal(inb(IIR), 0x01);
    outb(DATA, 'y');
    assert_true(irq.level);
    assert_int_equal(irq.rises, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reset_state, setup),
        cmocka_unit_test_setup(what_is_written_goes_out, setup),
        cmocka_unit_test_setup(divisor_latch_hides_data, setup),
        cmocka_unit_test_setup(scratch_and_undefined_bits, setup),
        cmocka_unit_test_setup(received_bytes_interrupt, setup),
        cmocka_unit_test_setup(out2_gates_the_wire, setup),
        cmocka_unit_test_setup(transmitter_interrupt, setup),
        cmocka_unit_test_setup(receiver_goes_before_transmitter, setup),
        cmocka_unit_test_setup(fifo_trigger_level, setup),
        cmocka_unit_test_setup(overrun_is_told_once_and_first, setup),
        cmocka_unit_test_setup(loopback, setup),
        cmocka_unit_test_setup(busy_while_the_console_is_full, setup),
        cmocka_unit_test_setup(every_byte_in_any_state_is_survived, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
