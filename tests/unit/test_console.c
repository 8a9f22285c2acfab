/* units: kernel/console.c kernel/console_wire.c kernel/console_hold.c kernel/console_line.c kernel/console_keys.c kernel/console_room.c kernel/lib/ecma48.c */
#include "tests/unit/host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/base/percpu.h"
#include "kernel/console.h"
#include "kernel/console_wire.h"
#include "kernel/time.h"
#include "kernel/timer.h"

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

static u64 now_ns, due_ns;
static struct timer *timer;
static bool panicked;

u64 time_now_ns(void)
{
    return now_ns;
}

void timer_init(struct timer *t, void (*fire)(struct timer *timer), void *arg)
{
    *t = (struct timer){.fire = fire, .arg = arg};
}

void timer_arm(struct timer *t, u64 deadline_ns)
{
    timer = t;
    due_ns = deadline_ns;
}

bool panic_happened(void)
{
    return panicked;
}

/* The focus rests for so long; a timer that comes due fires. */
static void rest(u64 ms)
{
    now_ns += ms * NS_PER_MS;
    if (timer != NULL && now_ns >= due_ns) {
        struct timer *due = timer;
        timer = NULL;
        due->fire(due);
    }
}

static u32 room = ~0U;
static bool slow; /* what is written takes room */
static void (*during_write)(void);

static void device_write(struct console_device *device, const char *text, size_t len)
{
    (void)device;
    assert_true(wire_len + len < sizeof(wire));
    memcpy(wire + wire_len, text, len);
    wire_len += len;
    wire[wire_len] = '\0';
    room -= slow ? (u32)len : 0;
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

static u32 sends;

static u32 device_room(struct console_device *device)
{
    (void)device;
    return room;
}

static void device_send(struct console_device *device)
{
    (void)device;
    sends++;
}

static struct console_device device = {.name = "test", .write = device_write, .room = device_room, .send = device_send};
static struct console_port a, b;
enum { VM_PORTS = 20, HELD = 4096 };

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
    console_set_focus(&a);
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
    put(&a, "\x1b[2J$ \tx\r\n\xff\n\n\b\x07\r%\r%");
    expect("\x1b[2J$ \tx\r\n\xff\n\n\b\x07\r%\r%");
}

static void one_guest_behind_the_monitor_has_a_name(void **state)
{
    static struct console_port monitor = {.name = "monitor", .bare = true};

    (void)state;
    put(&a, "$ ");
    expect("$ ");
    console_set_focus(&monitor);
    console_put(&monitor, '>');
    put(&a, "x\ny");
    expect("\r\n>");
    rest(50);
    expect("\r\n[a] $ x\r\n>");
    console_set_focus(&a);
    expect("\r\n$ x\r\ny");
}

static void a_line_is_not_torn(void **state)
{
    (void)state;
    put(&a, "he");
    say("MOTE: x=1\n");
    put(&a, "llo\n");
    say("MOTE: x=2\n");
    expect("hello\nMOTE: x=1\r\nMOTE: x=2\r\n");
}

static void a_line_that_rests_is_shown_again(void **state)
{
    (void)state;
    put(&a, "he");
    rest(20);
    say("MOTE: x=1\n");
    rest(20);
    say("MOTE: x=2\n");
    expect("he");
    rest(30); /* 50 ms after the first */
    expect("\r\nMOTE: x=1\r\nMOTE: x=2\r\nhe");
    say("MOTE: x=3\n"); /* it rests already: at once */
    expect("\r\nMOTE: x=3\r\nhe");
    put(&a, "l");
    say("MOTE: x=4\n"); /* it goes on */
    rest(49);
    expect("l");
    put(&a, "lo\r");
    rest(1);
    expect("lo\r\r\nMOTE: x=4\r\nhello\r");
    put(&a, "H\n");
    expect("H\n");
    rest(100);
    expect("");
}

static void focus_shows_at_once_others_by_lines(void **state)
{
    (void)state;
    put(&a, "$ ");
    expect("[a] $ ");
    rest(60);
    put(&b, "tick");
    expect("");
    put(&b, " 1\n");
    expect("\r\n[b] tick 1\r\n[a] $ ");
    put(&a, "ls\n");
    put(&b, "tick 2\r\n");
    expect("ls\r\n[b] tick 2\r\n");
    put(&a, "half a ");
    put(&b, "tick 3\n");
    say("MOTE: x=1\n");
    put(&a, "line\r\n\n");
    expect("[a] half a line\r\n[b] tick 3\r\nMOTE: x=1\r\n[a] \r\n");
}

/* Whatever a guest sends: its text stays behind its name, and what it sends as one line is one. */
static void no_guest_looks_like_another(void **state)
{
    (void)state;
    put(&b, "x\rMOTE: vm=a\n\x1b[2J\x1b[99D\x1b[A\x1bM\b\b\b\bMOTE: vm=a\n\x0b\x0cMOTE: \xc2\x9b" "2J\n\x0e\x0f\x07\x01\n");
    expect("[b] MOTE: vm=a\r\n[b] MOTE: vm=a\r\n[b] MOTE: \xc2?2J\r\n[b] \r\n");
    put(&a, "x\rMOTE: vm=a\n\x1b[2J\x1b[99D\x1b[A\x1bM\b\b\b\bMOTE: vm=a\n");
    expect("[a] x\bMOTE: vm=a\r\n[a] MOTE: vm=a\r\n");
    put(&a, "\x1b[1;31mred\x1b[0m\x1b[6n\x1b]0;title\n");
    expect("[a] red0;title\r\n");
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char text[CONSOLE_LINE_MAX + 2];

    memset(text, 'x', CONSOLE_LINE_MAX + 1);
    text[CONSOLE_LINE_MAX + 1] = '\0';
    put(&b, text);
    assert_int_equal(wire_len, CONSOLE_LINE_MAX + strlen("[b] \r\n"));
    wire_len = 0;
    put(&b, "\n");
    expect("[b] x\r\n");
    put(&a, text);
    assert_int_equal(wire_len, CONSOLE_LINE_MAX + strlen("[a] \r\n[a] x"));
    wire_len = 0;
    rest(60);
    say("MOTE: x=1\n");
    expect("\r\nMOTE: x=1\r\n[a] x");
}

/* More than waits: the focus' line is ended then. Nothing is lost. */
static void many_lines_while_one_is_open(void **state)
{
    (void)state;
    put(&a, "open");
    wire_len = 0;
    for (u32 i = 0; i < 1000; i++) {
        put(&b, "0123456789\n");
    }
    rest(60);
    u32 lines = 0;
    for (const char *at = wire; (at = strstr(at, "\r\n[b] 0123456789\r\n")) != NULL || lines == 0; lines++) {
        assert_non_null(at);
        at += 2;
    }
    assert_true(lines > 0);
    u32 all = 0;
    for (const char *at = wire; (at = strstr(at, "[b] 0123456789\r\n")) != NULL; at++) {
        all++;
    }
    assert_int_equal(all, 1000);
    assert_string_equal(wire + wire_len - 8, "[a] open");
}

static void a_line_comes_again_as_it_looks(void **state)
{
    (void)state;
    put(&a, "10%\r20% $ lx\bs\b");
    expect("[a] 10%\b\b\b20% $ lx\bs\b");
    rest(60);
    put(&b, "tick\n");
    expect("\r\n[b] tick\r\n[a] 20% $ ls\b");
    put(&a, "\x1b[Kp\x1b[2Dq\x1b[C\x1b[1GA\n");
    expect(" \bp\b\bqp\b\b\b\b\b\b\b\bA\r\n");
}

static void escape_switches_focus(void **state)
{
    (void)state;
    put(&a, "one\ntwo");
    put(&b, "log\nb$ ");
    expect("[a] one\r\n[a] two");
    rest(60);
    expect("\r\n[b] log\r\n[a] two");
    type("p\x1dn");
    type("q\x1d" "1r\x1d" "9\x1d\x1d");
    assert_string_equal(received, "apbqara\x1d");
    assert_non_null(strstr(host_log, "focus=b"));
    assert_non_null(strstr(host_log, "focus=a"));
    assert_null(strstr(host_log, "focus=none")); /* there is no ninth: it stays */
    expect("\r\n[b] log\r\n[b] b$ \r\n[a] one\r\n[a] two");
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
    console_set_escape(0); /* none: every byte is the guest's, a zero as well */
    console_input(0);
    type("\x1dm\x01");
    assert_int_equal(monitors, 1);
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
    rest(60);
    console_close(&a);
    console_close(&a); /* not open: harmless */
    expect("\r\n[a] cut\r\n[b] half");
    console_close(&b);
    type("z");
    assert_string_equal(received, "bk");
    expect("\r\n");
}

/* Who is restarted keeps its number, and the keyboard if it had it; nobody takes it from the monitor. */
static void opened_again(void **state)
{
    static struct console_port monitor = {.name = "monitor", .bare = true, .receive = receive};

    (void)state;
    console_close(&b);
    b.place = 1;
    console_open(&b);
    type("\x1d" "1x");
    console_close(&a);
    type("y");
    console_open(&a);
    type("z\x1d" "2p\x1d" "1q");
    assert_string_equal(received, "axbyazbpaq");
    console_set_focus(&b);
    console_close(&a);
    console_open(&a);
    type("r");
    console_set_focus(&monitor);
    console_close(&b);
    console_open(&b);
    assert_true(console_has_focus(&monitor));
    console_close(&a);
    console_close(&b);
    type("\x1dns");
    assert_string_equal(received, "axbyazbpaqbrms");
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

/* A panic while the console's lock is held: by this very CPU, and by one that will never let go. Nothing waits then. */
static void log_gets_through_when_the_lock_is_held(void **state)
{
    (void)state;
    panicked = true;
    during_write = say_on_the_same_cpu;
    put(&a, "x");
    assert_non_null(strstr(wire, "MOTE: panic\r\n"));
    wire_len = 0;
    during_write = say_on_another_cpu;
    put(&a, "\n");
    assert_non_null(strstr(wire, "MOTE: panic\r\n"));
    panicked = false;
}

static u32 told;

static void count_told(struct console_port *port)
{
    assert_ptr_equal(port, &a);
    told++;
}

/* A slow device: guests are asked to stop, then cut off and told so; Mote's own lines go on. */
static void no_room(void **state)
{
    (void)state;
    now_ns += 10 * NS_PER_SEC;
    a.writable = count_told;
    put(&a, "one\n");
    assert_true(console_ready(&a));
    console_service(&device);
    assert_int_equal(told, 0);

    room = CONSOLE_ROOM_STOP - 1;
    put(&a, "two\n"); /* there is room, but not for long */
    assert_true(console_ready(&a)); /* everybody has a share */
    a.used = GENMASK(62, 0);
    assert_false(console_ready(&a));
    assert_true(sends == 1 && told == 0);
    room = CONSOLE_ROOM_LAST - 1;
    put(&b, "tick\n");
    b.used = GENMASK(62, 0);
    put(&b, "lost\n");
    room = CONSOLE_ROOM_LITTLE - 1;
    a.granted = 0; /* of its last look all is printed */
    put(&a, "lost\n");
    put(&a, "lost\n");
    say("MOTE: x=1\n");
    room = CONSOLE_ROOM_STOP - 1;
    console_service(&device);
    assert_int_equal(told, 0);
    assert_string_equal(host_log, "");
    room = CONSOLE_ROOM_STOP;
    console_service(&device);
    console_service(&device);
    assert_int_equal(told, 1); /* once */
    assert_true(console_ready(&a));
    put(&a, "three\n");
    put(&b, "tock\n");
    expect("[a] one\r\n[a] two\r\n[b] tick\r\nMOTE: x=1\r\n[a] three\r\n[b] tock\r\n");
    assert_string_equal(host_log, "vm=a ev=console lost-bytes=10\nvm=b ev=console lost-bytes=5\n");
    put(&b, "x"); /* told once a second at most; but at the end */
    room = 0;
    put(&b, "y");
    console_close(&b);
    assert_non_null(strstr(host_log, "vm=b ev=console lost-bytes=1\n"));
    room = ~0U;
}

/* Beside ports that never look, `who` prints whenever it may, the line over and over: the bytes of it among 1000 that left the wire. */
static u32 part_of(struct console_port *who, const char *line, u32 rude_ports, const char *rude_line)
{
    static struct console_port rude[VM_PORTS];
    size_t len = strlen(line), at = 0, left = 0, shown = 0;

    for (u32 i = 0; i < rude_ports; i++) {
        rude[i] = (struct console_port){.name = "rude", .place = i + 2};
        console_open(&rude[i]);
    }
    slow = true;
    for (room = CONSOLE_ROOM_STOP + 1000; left < 500000; left += 16) {
        for (u32 i = 0; i < rude_ports; i++) {
            put(&rude[i], i % 2 == 0 ? rude_line : "0123456789abcdefghijklmnopqrstuvwxyz");
        }
        for (u32 i = 0; i < 16 && (i != 0 || console_ready(who)); i++) {
            console_put(who, (u8)line[at++ % len]);
            shown += left < 100000 ? 0 : 1;
        }
        now_ns += NS_PER_MS;
        room += 16;
        console_service(&device);
        assert_in_range(room, CONSOLE_ROOM_LITTLE - HELD - 1000, CONSOLE_ROOM_STOP + 1000);
        wire_len = 0;
    }
    slow = false;
    room = ~0U;
    assert_int_equal(who->lost, 0);
    for (u32 i = 0; i < rude_ports; i++) {
        console_close(&rude[i]);
    }
    host_log_clear();
    return (u32)(shown / 400);
}

/* Floods that never end: who looks before it prints loses nothing, and has its share. */
static void a_flood_leaves_shares(void **state)
{
    static const char line[] = "a line of some length, as people write them, and then its end\n";

    (void)state;
    assert_true(part_of(&b, line, 1, "0123456789\n") >= 100);
    assert_true(part_of(&a, line, 1, "0123456789\n") >= 100);
    assert_true(part_of(&a, "\n", 1, "0123456789\n") >= 20);
    assert_true(part_of(&b, line, VM_PORTS, "0123456789\n") >= 10);
}

/* A few bytes of a flood make many on the line: it pays for them. */
static void a_flood_pays_for_what_it_costs(void **state)
{
    static const char line[] = "a line of some length, as people write them, and then its end\n";

    (void)state;
    for (u32 i = 0; i < 900; i++) {
        put(&a, "y");
    }
    now_ns += NS_PER_SEC; /* the focus' line rests: each of another ends it, and it is shown again */
    assert_true(part_of(&b, line, 1, "\n") >= 5);
}

/* Mote's log takes the room between a guest's look and its bytes: those of a UART's FIFO are shown all the same. */
static void a_look_is_a_promise(void **state)
{
    (void)state;
    for (u32 round = 0; round < 2; round++) {
        room = round == 0 ? ~0U : CONSOLE_ROOM_STOP - 1;
        console_service(&device);
        assert_true(console_ready(&b));
        room = CONSOLE_ROOM_LITTLE / 2;
        put(&b, "fifteen bytes.\n");
        assert_int_equal(b.lost, 0);
    }
    put(&b, "1234"); /* one of them was looked for */
    assert_int_equal(b.lost, 3);
    b.lost = 0;
    room = CONSOLE_ROOM_STOP;
    assert_true(console_ready(&b));
    room = 0;
    put(&b, "x");
    assert_int_equal(b.lost, 1);
    b.lost = 0;
    room = ~0U;
    expect("[b] fifteen bytes.\r\n[b] fifteen bytes.\r\n");
}

static void count_own(struct console_turn *turn)
{
    (void)turn;
    told++;
}

/* So much leaves the line, and guests print as much. */
static void leave(u32 len)
{
    static const char something[4096];

    room += len;
    console_emit(something, len);
    wire_len = 0;
    console_service(&device);
}

/* Mote's own goes on with less than guests leave, in turns while they wait, and is told when it may; what it prints counts twice. */
static void own_room(void **state)
{
    static struct console_turn monitor = {.granted = count_own}, manager = {.granted = count_own};
    u32 left = 0;

    (void)state;
    told = 0;
    slow = true;
    room = CONSOLE_ROOM_STOP;
    assert_true(console_turn(&monitor));
    assert_true(console_turn(&monitor));
    leave(0);
    console_emit(wire, CONSOLE_ROOM_STOP - CONSOLE_ROOM_OWN);
    wire_len = 0;
    assert_false(console_turn(&monitor)); /* nothing has left the line since */
    assert_false(console_turn(&manager));
    assert_false(console_turn(&monitor)); /* waits already */
    leave(511);
    assert_int_equal(told, 0);
    leave(1);
    leave(0);
    assert_int_equal(told, 1); /* though guests still have to wait */
    assert_false(console_turn(&manager)); /* it is not its turn */
    assert_true(console_turn(&monitor));
    assert_false(console_turn(&monitor)); /* behind the other again */
    say("MOTE: a line of thirty-two letters\n");
    room += 36; /* with its end; it has left */
    leave(512 + 36 - 1);
    assert_int_equal(told, 1);
    leave(1);
    assert_int_equal(told, 2);
    assert_true(console_turn(&manager));
    room = CONSOLE_ROOM_OWN - 1;
    leave(4096);
    assert_int_equal(told, 2);
    room = CONSOLE_ROOM_STOP;
    assert_false(console_turn(&manager)); /* it does not pass the other */
    leave(0);
    assert_int_equal(told, 4);
    assert_true(console_turn(&monitor));
    assert_true(console_turn(&manager));
    room = ~0U; /* nobody takes what is printed: as if all had left */
    assert_true(console_turn(&monitor));
    room = CONSOLE_ROOM_OWN;
    for (assert_false(console_turn(&monitor)); told == 4; left += 64) {
        leave(64);
    }
    assert_in_range(left, 8192, 8192 + 64);
    assert_true(console_turn(&monitor));
    slow = false;
    room = ~0U;
}

/* Bytes that the log says were lost, since the last call. */
static u64 take_told(void)
{
    const char *at = strstr(host_log, "lost-bytes=");
    u64 lost = at != NULL ? strtoull(at + strlen("lost-bytes="), NULL, 10) : 0;

    host_log_clear();
    return lost;
}

/* 100 MiB of a guest that does not look, to a line that takes a tenth: what shows is whole and in order, what is lost is told to the
 * byte, and the last lines are kept. */
static void hundred_megabytes(void **state)
{
    enum { LINE = 64, LINES = 1638400 };
    char line[LINE + 1], shown[LINE + 8];
    u8 last[LINE];
    u64 bytes = 0, lost = 0;

    (void)state;
    put(&b, "\n");
    wire_len = 0;
    for (u32 i = 0; i < LINES; i++) {
        (void)snprintf(line, sizeof(line), "%063u\n", i);
        now_ns += 10 * NS_PER_MS;
        room = i % 10 == 0 ? CONSOLE_ROOM_LAST : 0;
        put(&b, line);
        if (room != 0) {
            (void)snprintf(shown, sizeof(shown), "[b] %063u\r\n", i);
            expect(shown);
            bytes += LINE;
        }
        assert_int_equal(wire_len, 0);
        lost += take_told();
    }
    assert_int_equal(console_last_output(&b, last, sizeof(last)), LINE);
    assert_memory_equal(last, line, LINE);
    console_close(&b);
    lost += take_told();
    assert_int_equal(bytes + lost, 100 * MIB(1));
    room = ~0U;
}

static void last_output_begins_with_a_whole_line(void **state)
{
    u8 last[8];

    (void)state;
    put(&a, "one\ntwo");
    assert_int_equal(console_last_output(&a, last, sizeof(last)), 7); /* all of it */
    assert_memory_equal(last, "one\ntwo", 7);
    put(&a, "2\nsix\n");
    assert_int_equal(console_last_output(&a, last, sizeof(last)), 4);
    assert_memory_equal(last, "six\n", 4);
    put(&a, "0123456789");
    assert_int_equal(console_last_output(&a, last, sizeof(last)), 8); /* no line begins there */
    assert_memory_equal(last, "23456789", 8);
}

static void drain_shows_what_waits(void **state)
{
    (void)state;
    put(&a, "x");
    say("MOTE: verdict=pass code=0\n");
    expect("x");
    console_drain();
    expect("\r\nMOTE: verdict=pass code=0\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_guest_passes_untouched, start, end),
        cmocka_unit_test_setup_teardown(one_guest_behind_the_monitor_has_a_name, start, end),
        cmocka_unit_test_setup_teardown(a_line_is_not_torn, start, end),
        cmocka_unit_test_setup_teardown(a_line_that_rests_is_shown_again, start, end),
        cmocka_unit_test_setup_teardown(focus_shows_at_once_others_by_lines, start_two, end),
        cmocka_unit_test_setup_teardown(no_guest_looks_like_another, start_two, end),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, start_two, end),
        cmocka_unit_test_setup_teardown(many_lines_while_one_is_open, start_two, end),
        cmocka_unit_test_setup_teardown(a_line_comes_again_as_it_looks, start_two, end),
        cmocka_unit_test_setup_teardown(escape_switches_focus, start_two, end),
        cmocka_unit_test_setup_teardown(escape_help_monitor_quit, start, end),
        cmocka_unit_test_setup_teardown(close_finishes_the_line_and_passes_the_focus, start_two, end),
        cmocka_unit_test_setup_teardown(opened_again, start_two, end),
        cmocka_unit_test_setup_teardown(log_gets_through_when_the_lock_is_held, start, end),
        cmocka_unit_test_setup_teardown(no_room, start_two, end),
        cmocka_unit_test_setup_teardown(a_flood_leaves_shares, start_two, end),
        cmocka_unit_test_setup_teardown(a_flood_pays_for_what_it_costs, start_two, end),
        cmocka_unit_test_setup_teardown(a_look_is_a_promise, start_two, end),
        cmocka_unit_test_setup_teardown(own_room, start_two, end),
        cmocka_unit_test_setup_teardown(hundred_megabytes, start_two, end),
        cmocka_unit_test_setup_teardown(last_output_begins_with_a_whole_line, start_two, end),
        cmocka_unit_test_setup_teardown(drain_shows_what_waits, start, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
