/* The wire's line: the focus' unfinished one, and those of others that wait for its end. */
#include "kernel/base/panic.h"
#include "kernel/console.h"
#include "kernel/console_wire.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"
#include "kernel/timer.h"

#define HELD_MAX 4096U
#define HOLD_NS (50 * NS_PER_MS)

static struct console_port *open_port; /* whose unfinished line is on the wire, or NULL */
static u64 moved_ns;                   /* when it has grown last */
static bool prefixed;

/* Lines that wait for the end of the focus' line; empty while no line is open. */
static struct {
    char text[HELD_MAX];
    size_t len;
    bool now;   /* what is said goes here */
    bool timed; /* the timer will end the waiting */
    struct timer timer;
} held;

void console_emit_newline(void)
{
    console_emit("\r\n", 2);
}

void console_name(console_show show, const struct console_port *port)
{
    if (!port->bare) {
        show("[", 1);
        show(port->name, strnlen(port->name, sizeof(port->name)));
        show("] ", 2);
    }
}

void console_prefix(console_show show, const struct console_port *port)
{
    if (prefixed) {
        console_name(show, port);
    }
}

void console_open_line(struct console_port *port)
{
    if (open_port == NULL) {
        console_prefix(console_emit, port);
        open_port = port;
    }
}

/* Bring the wire to the start of a line; reopen_line() after printing shows the unfinished line again. */
static void break_line(void)
{
    if (open_port != NULL) {
        console_emit_newline();
    }
}

static void reopen_line(void)
{
    if (open_port != NULL) {
        console_prefix(console_emit, open_port);
        console_line_show(&open_port->line, console_emit);
        if (open_port->line.cr && !prefixed) {
            console_emit("\r", 1);
        }
    }
}

/* --- whole lines of others ---------------------------------------------------------------------------------------------- */

static void show_held(void)
{
    console_emit(held.text, held.len);
    held.len = 0;
}

/* Has waited long enough: the focus' line is ended, and shown again behind the others. */
static void hold_ends(struct timer *timer)
{
    u64 flags = console_lock();

    (void)timer;
    held.timed = false;
    if (held.len != 0) {
        break_line();
        show_held();
        reopen_line();
    }
    console_unlock(flags);
}

/* Whole lines follow, by console_say(). When the focus is in the middle of a line they wait for its end. */
void console_interject_begin(void)
{
    held.now = open_port != NULL && !panic_happened() && time_now_ns() - moved_ns < HOLD_NS;
    if (!held.now) {
        break_line();
        show_held();
    }
}

void console_say(const char *text, size_t len)
{
    if (held.now && len > HELD_MAX - held.len) {
        held.now = false;
        break_line();
        show_held();
    }
    if (held.now) {
        memcpy(held.text + held.len, text, len);
        held.len += len;
    } else {
        console_emit(text, len);
    }
}

void console_interject_end(void)
{
    if (!held.now) {
        reopen_line();
    } else if (!held.timed) {
        held.timed = true;
        timer_arm(&held.timer, time_now_ns() + HOLD_NS);
    }
}

u64 console_said(void)
{
    return console_emitted() + held.len;
}

static void say_to(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    console_say(text, len);
}

void console_log_lines(const char *text, size_t len)
{
    u64 flags = console_lock();
    u64 before = console_said();

    console_interject_begin();
    console_split_lines(text, len, say_to, NULL);
    console_interject_end();
    console_charge(NULL, console_said() - before);
    console_unlock(flags);
}

void console_drain(void)
{
    u64 flags = console_lock();

    if (held.len != 0) {
        break_line();
        show_held();
    }
    console_drain_devices();
    console_unlock(flags);
}

void console_line_moved(void)
{
    moved_ns = time_now_ns();
}

void console_line_done(void)
{
    open_port = NULL;
    show_held();
}

void console_set_line(struct console_port *port)
{
    break_line();
    console_line_done();
    if (port != NULL && port->line.len != 0) {
        open_port = port;
        reopen_line();
    }
}

void console_hold_init(void)
{
    if (held.timer.fire == NULL) {
        timer_init(&held.timer, hold_ends, NULL);
    }
}

void console_set_prefix(bool prefix)
{
    prefixed = prefix;
}

bool console_prefixed(void)
{
    return prefixed;
}
