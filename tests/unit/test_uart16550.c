/* The driver of the real 16550, against one that sends a byte whenever the test says so. */
/* units: drivers/uart16550.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "drivers/uart16550.h"
#include "kernel/lib/errno.h"
#include "kernel/time.h"
#include "mm/heap.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FIFO 16U

static struct uart16550 uart;
static u8 lcr, ier, scratch;
static char wire[65536]; /* what has been sent */
static u32 wire_len, fifo;
static const char *coming; /* what is received next */
static bool absent, stuck;
static u64 now_ns;
static u32 reads;
static bool panicked;
static char got[64];
static bool no_memory;

u64 time_now_ns(void) { return now_ns; }
void *heap_alloc(size_t size) { return no_memory ? NULL : calloc(1, size); }
void heap_free(void *ptr) { free(ptr); }
bool panic_happened(void) { return panicked; }

static u64 due_ns; /* 0: no timer is armed */
void timer_init(struct timer *t, void (*fire)(struct timer *), void *arg) { t->fire = fire; t->arg = arg; }

void timer_arm(struct timer *t, u64 deadline_ns)
{
    assert_ptr_equal(t, &uart.timer);
    assert_int_equal(due_ns, 0);
    due_ns = deadline_ns;
}

static void timer_due(void)
{
    assert_true(due_ns > now_ns && due_ns - now_ns < 2 * NS_PER_MS);
    now_ns = due_ns;
    due_ns = 0;
    fifo = stuck ? fifo : 0;
    uart.timer.fire(&uart.timer);
}

void console_input(u8 byte)
{
    size_t len = strlen(got);

    got[len] = (char)byte;
    got[len + 1] = '\0';
}

void console_write_device(struct console_device *device, const char *text, size_t len)
{
    device->write(device, text, len);
}

void console_service(struct console_device *device)
{
    device->send(device);
}

/* Time for one byte: 87 us. */
static void byte_time(void)
{
    now_ns += 87000;
    fifo -= fifo != 0 ? 1U : 0U;
}

static u8 read_reg(struct uart16550 *u, u32 reg)
{
    (void)u;
    reads++;
    if (absent) {
        return 0xFF;
    }
    if (reg == LSR) {
        if (reads % 64 == 0 && !stuck) {
            byte_time(); /* who polls lets time pass */
        }
        return (u8)((fifo == 0 && !stuck ? 0x60 : 0) | (*coming != '\0' ? 1 : 0));
    }
    return reg == SCR ? scratch : reg == DATA ? (u8)*coming++ : 0;
}

static void write_reg(struct uart16550 *u, u32 reg, u8 value)
{
    (void)u;
    if (reg == LCR) {
        lcr = value;
    } else if (reg == SCR) {
        scratch = value;
    } else if ((lcr & 0x80) == 0 && reg == IER) {
        ier = value;
    } else if ((lcr & 0x80) == 0 && reg == DATA) {
        assert_true(fifo < FIFO); /* or a byte is overwritten */
        fifo++;
        wire[wire_len++] = (char)value;
        wire[wire_len] = '\0';
    }
}

static int start(void **state)
{
    (void)state;
    free(uart.queue);
    uart = (struct uart16550){.read = read_reg, .write = write_reg, .is_console = true};
    wire_len = fifo = reads = 0;
    wire[0] = got[0] = '\0';
    due_ns = 0;
    coming = "";
    absent = stuck = panicked = no_memory = false;
    return uart16550_init(&uart, 115200);
}

static void say(const char *text)
{
    uart.console.write(&uart.console, text, strlen(text));
}

static void absent_or_wrong(void **state)
{
    (void)state;
    absent = true;
    reads = 0;
    assert_int_equal(uart16550_init(&uart, 115200), -E_NOENT);
    assert_true(reads < 10);
    absent = false;
    assert_int_equal(uart16550_init(&uart, 0), -E_INVAL);
    assert_int_equal(uart16550_init(&uart, 200000), -E_INVAL);
}

/* Before it is started: each byte waits for its turn; one that never sends is given up soon. */
static void polled(void **state)
{
    (void)state;
    say("hello, this is longer than a FIFO\r\n");
    assert_string_equal(wire, "hello, this is longer than a FIFO\r\n");
    assert_int_equal(uart.console.room(&uart.console), ~0U);
    stuck = true;
    reads = 0;
    say("lost lost lost lost");
    say("lost lost lost lost");
    assert_true(reads < 1000000);
    assert_int_equal(strlen(wire), 35);
}

static void queued_and_sent_by_timer(void **state)
{
    (void)state;
    coming = "early";
    uart16550_queue(&uart);
    uart16550_listen(&uart);
    assert_string_equal(got, "early");
    assert_int_equal(ier, 1);
    reads = 1; /* the next 60 reads let no time pass */
    say("0123456789ABCDEFGHIJ");
    assert_string_equal(wire, "0123456789ABCDEF");
    assert_int_equal(uart.console.room(&uart.console), UART16550_QUEUE - 4);
    say("K");
    timer_due();
    assert_string_equal(wire, "0123456789ABCDEFGHIJK");
    assert_int_equal(due_ns, 0);
    assert_int_equal(ier, 1);
    coming = "xy";
    uart16550_receive(&uart);
    assert_string_equal(got, "earlyxy");
}

#define SAYINGS (UART16550_QUEUE / 1000 + 4)

/* More than the queue holds: it waits for the wire, nothing is lost, order is kept. */
static void full(void **state)
{
    char text[1001];

    (void)state;
    uart16550_queue(&uart);
    uart16550_listen(&uart);
    for (u32 i = 0; i < 1000; i++) {
        text[i] = (char)('!' + i % 90);
    }
    text[1000] = '\0';
    for (u32 i = 0; i < SAYINGS; i++) {
        say(text);
    }
    assert_in_range(uart.queued, UART16550_QUEUE - 2000, UART16550_QUEUE);
    uart.console.drain(&uart.console);
    assert_int_equal(wire_len, 1000 * SAYINGS);
    for (u32 i = 0; i < SAYINGS; i++) {
        assert_memory_equal(wire + 1000 * i, text, 1000);
    }
}

/* Nobody takes the bytes any more: it costs no time, and it goes on when somebody does. */
static void stalled(void **state)
{
    (void)state;
    uart16550_queue(&uart);
    uart16550_listen(&uart);
    stuck = true;
    for (u32 i = 0; i < UART16550_QUEUE; i++) {
        say("q");
    }
    assert_int_equal(uart.console.room(&uart.console), 0);
    for (u32 i = 0; i < 4; i++) { /* who goes on printing does not put it off */
        say("lost");
        now_ns += NS_PER_SEC / 2 + 1;
    }
    assert_int_equal(uart.console.room(&uart.console), ~0U);
    reads = 0;
    for (u32 i = 0; i < 1000; i++) {
        say("lost");
    }
    assert_true(reads < 10000);
    stuck = false;
    due_ns = now_ns + 1; /* the timer went on all the time */
    timer_due();
    assert_true(wire_len >= FIFO && wire[0] == 'q');
    assert_true(uart.console.room(&uart.console) < UART16550_QUEUE);
}

static void panic_waits_for_nobody(void **state)
{
    (void)state;
    uart16550_queue(&uart);
    uart16550_listen(&uart);
    reads = 1;
    say("0123456789ABCDEFqueued ");
    panicked = true;
    say("panic");
    assert_string_equal(wire, "0123456789ABCDEFqueued panic");
    (void)start(NULL);
    no_memory = true;
    uart16550_queue(&uart);
    uart16550_listen(&uart);
    say("without memory as before");
    assert_string_equal(wire, "without memory as before");
}

static u32 wanted;

static bool take(void *arg, u8 byte)
{
    assert_ptr_equal(arg, &wanted);
    console_input(byte);
    return --wanted != 0;
}

/* A service that turns the line away gets nothing, by interrupt or by looking, until it says so. */
static void for_a_service(void **state)
{
    (void)start(state);
    uart.is_console = false;
    uart.serial.receive = take;
    uart.serial.arg = &wanted;
    wanted = 3;
    uart16550_listen(&uart);
    assert_int_equal(ier, 1);
    coming = "abcdef";
    uart16550_receive(&uart);
    assert_string_equal(got, "abc");
    assert_int_equal(ier, 0);
    uart16550_receive(&uart);
    assert_string_equal(got, "abc");
    wanted = 100;
    uart.serial.go_on(&uart.serial);
    assert_int_equal(ier, 1);
    uart16550_receive(&uart);
    assert_string_equal(got, "abcdef");
    uart.serial.send(&uart.serial, "reply", 5);
    assert_string_equal(wire, "reply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(absent_or_wrong, start), cmocka_unit_test_setup(polled, start),
        cmocka_unit_test_setup(queued_and_sent_by_timer, start),
        cmocka_unit_test_setup(full, start),            cmocka_unit_test_setup(stalled, start),
        cmocka_unit_test_setup(panic_waits_for_nobody, start), cmocka_unit_test_setup(for_a_service, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
