/* units: kernel/console.c kernel/console_keys.c kernel/lib/ecma48.c */
#include "tests/unit/host.h"
#include <stdio.h>
#include <string.h>
#include "kernel/base/percpu.h"
#include "kernel/console.h"

static char wire[65536];
static size_t wire_len;
static struct log_sink *log_to;
static char received[64];
static size_t received_len;
static u32 quits;

void log_add_sink(struct log_sink *sink)
{
    sink->write(sink, "MOTE: old\n", 10);
    log_to = sink;
}

void log_remove_sink(struct log_sink *sink)
{
    assert_ptr_equal(sink, log_to);
    log_to = NULL;
}

static void (*during_write)(void);

static void device_write(struct console_device *device, const char *text, size_t len)
{
    (void)device;
    assert_true(wire_len + len < sizeof(wire));
    memcpy(wire + wire_len, text, len);
    wire_len += len;
    wire[wire_len] = '\0';
    void (*hook)(void) = during_write;
    during_write = NULL;
    if (hook != NULL) {
        hook();
    }
}

static void receive(struct console_port *port, u8 byte)
{
    received[received_len++] = port->name[0];
    received[received_len++] = (char)byte;
    received[received_len] = '\0';
}

static void count_quit(void)
{
    quits++;
}

static struct console_device device = {.name = "test", .write = device_write};
static struct console_port a, b;

static void put(struct console_port *port, const char *text)
{
    for (; *text != '\0'; text++) {
        console_put(port, (u8)*text);
    }
}

static void type(const char *text)
{
    for (; *text != '\0'; text++) {
        console_input((u8)*text);
    }
}

static void say(const char *line)
{
    log_to->write(log_to, line, strlen(line));
}

/* What came out since the last call. */
static void expect(const char *text)
{
    assert_string_equal(wire, text);
    wire_len = 0;
    wire[0] = '\0';
}

static int start(void **state)
{
    (void)state;
    if (log_to == NULL) {
        console_add_device(&device);
        expect("MOTE: old\r\n");
    }
    a = (struct console_port){.name = "a", .receive = receive};
    b = (struct console_port){.name = "b", .receive = receive};
    console_open(&a);
    wire_len = 0;
    wire[0] = '\0';
    received_len = 0;
    received[0] = '\0';
    host_log_clear();
    return 0;
}

static int start_two(void **state)
{
    (void)start(state);
    console_set_prefix(true);
    console_open(&b);
    return 0;
}

static int end(void **state)
{
    (void)state;
    console_close(&a);
    console_close(&b);
    console_set_prefix(false);
    return 0;
}

static void one_guest_passes_untouched(void **state)
{
    (void)state;
    put(&a, "\x1b[2J$ \tx\r\n\xff\n\n");
    expect("\x1b[2J$ \tx\r\n\xff\n\n");
}

static void log_line_does_not_tear_a_guest_line(void **state)
{
    (void)state;
    put(&a, "he");
    say("MOTE: x=1\n");
    put(&a, "llo\n");
    say("MOTE: x=2\n");
    expect("he\r\nMOTE: x=1\r\nhello\nMOTE: x=2\r\n");
}

static void focus_shows_at_once_others_by_lines(void **state)
{
    (void)state;
    put(&a, "$ ");
    expect("[a] $ ");
    put(&b, "tick");
    expect("");
    put(&b, " 1\n");
    expect("\r\n[b] tick 1\n[a] $ ");
    put(&a, "ls\n");
    put(&b, "tick 2\n");
    expect("ls\n[b] tick 2\n");
}

static void long_background_line_is_cut(void **state)
{
    (void)state;
    char text[2 * CONSOLE_LINE_MAX];

    memset(text, 'x', CONSOLE_LINE_MAX + 1);
    text[CONSOLE_LINE_MAX + 1] = '\0';
    put(&b, text);
    assert_int_equal(wire_len, CONSOLE_LINE_MAX + strlen("[b] \r\n"));
    wire_len = 0;
    put(&b, "\n");
    expect("[b] x\n");
}

static void long_focus_line_stays_in_bounds(void **state)
{
    (void)state;
    for (u32 i = 0; i < 3 * CONSOLE_LINE_MAX + 5; i++) {
        console_put(&a, 'y');
    }
    wire_len = 0;
    say("MOTE: x=1\n");
    expect("\r\nMOTE: x=1\r\n[a] yyyyy");
}

static void a_line_comes_again_without_escape_sequences(void **state)
{
    (void)state;
    put(&a, "10%\r20%\r\x1b[1;31m$\x1b[0m \x1b[6n\x1b" "7x");
    expect("[a] 10%\r20%\r\x1b[1;31m$\x1b[0m \x1b[6n\x1b" "7x");
    put(&b, "tick\n");
    expect("\r\n[b] tick\n[a] $ x");
    put(&a, "\x1b[\nq");
    put(&b, "tick\n");
    expect("\x1b[\n[a] q\r\n[b] tick\n[a] q");
}

static void escape_switches_focus(void **state)
{
    (void)state;
    put(&a, "one\ntwo");
    put(&b, "log\nb$ ");
    expect("[a] one\n[a] two\r\n[b] log\n[a] two");
    type("p\x1dn");
    type("q\x1d" "1r\x1d" "9\x1d\x1d");
    assert_string_equal(received, "apbqara\x1d");
    assert_non_null(strstr(host_log, "focus=b"));
    assert_non_null(strstr(host_log, "focus=none"));
    expect("\r\n[b] log\n[b] b$ \r\n[a] one\n[a] two");
}

static u32 monitors;

static void count_monitor(void)
{
    monitors++;
}

static void escape_help_monitor_quit(void **state)
{
    (void)state;
    type("\x1dq");
    console_set_quit(count_quit);
    type("\x1dq\x1dm\x1dh");
    assert_int_equal(quits, 1);
    console_set_monitor(count_monitor);
    type("\x1dm");
    assert_int_equal(monitors, 1);
    assert_non_null(strstr(host_log, "q=quit"));
    console_set_escape(1);
    type("\x1d\x01\x01");
    assert_string_equal(received, "a\x1d" "a\x01");
    console_set_escape(32); /* no control character: ignored */
    console_set_escape(0x1D);
}

static void close_finishes_the_line_and_passes_the_focus(void **state)
{
    (void)state;
    put(&a, "bye");
    put(&b, "half");
    console_close(&a);
    expect("[a] bye\r\n[b] half");
    type("k");
    assert_string_equal(received, "bk");
    console_open(&a);
    put(&a, "cut");
    console_close(&a);
    console_close(&a); /* not open: harmless */
    expect("\r\n[a] cut\r\n[b] half");
    console_close(&b);
    type("z");
    assert_string_equal(received, "bk");
    expect("\r\n");
}

static void say_on_the_same_cpu(void)
{
    say("MOTE: panic\n");
}

static void say_on_another_cpu(void)
{
    static struct percpu cpu1 = {.self = &cpu1, .id = 1};
    struct percpu *cpu0 = host_percpu;

    host_percpu = &cpu1;
    say("MOTE: panic\n");
    host_percpu = cpu0;
}

/* A panic while the console's lock is held: by this very CPU, and by one that will never let go. */
static void log_gets_through_when_the_lock_is_held(void **state)
{
    (void)state;
    during_write = say_on_the_same_cpu;
    put(&a, "\n");
    assert_non_null(strstr(wire, "MOTE: panic\r\n"));
    wire_len = 0;
    during_write = say_on_another_cpu;
    put(&a, "\n");
    assert_non_null(strstr(wire, "MOTE: panic\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_guest_passes_untouched, start, end),
        cmocka_unit_test_setup_teardown(log_line_does_not_tear_a_guest_line, start, end),
        cmocka_unit_test_setup_teardown(focus_shows_at_once_others_by_lines, start_two, end),
        cmocka_unit_test_setup_teardown(long_background_line_is_cut, start_two, end),
        cmocka_unit_test_setup_teardown(long_focus_line_stays_in_bounds, start_two, end),
        cmocka_unit_test_setup_teardown(a_line_comes_again_without_escape_sequences, start_two, end),
        cmocka_unit_test_setup_teardown(escape_switches_focus, start_two, end),
        cmocka_unit_test_setup_teardown(escape_help_monitor_quit, start, end),
        cmocka_unit_test_setup_teardown(close_finishes_the_line_and_passes_the_focus, start_two, end),
        cmocka_unit_test_setup_teardown(log_gets_through_when_the_lock_is_held, start, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
