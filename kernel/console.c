/* Console output: one wire (all devices show the same), many ports. The wire is at the start of a line or inside the
 * focus' unfinished line; nothing else is ever left unfinished on it. */
#include "kernel/console.h"
#include "kernel/base/lock.h"
#include "kernel/base/log.h"
#include "kernel/console_wire.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"

#define REPLAY_LINES 8U
#define REPLAY_BYTES 1024U

static struct console_port *ports; /* by their places, then in the order of opening */
static struct console_port *focus;
static char chosen[sizeof(focus->name)]; /* the port that was given the focus: it has it again when it opens again; "": Mote */

/* Keeps receive() of a port running at most until console_close(); taken before the output lock. Protects focus too. */
static struct spinlock input_lock = SPINLOCK_INIT;

/* --- output of ports ---------------------------------------------------------------------------------------------------- */

/* Everything that a port in the background has collected, as one line. With its name, be it the only VM: the monitor speaks. */
static void say_line(struct console_port *port)
{
    console_interject_begin();
    console_name(console_say, port);
    console_say(port->line.text, port->line.len);
    console_say("\r\n", 2);
    console_interject_end();
    console_line_clear(&port->line);
}

static void show_focus(const char *text, size_t len)
{
    console_open_line(focus);
    console_emit(text, len);
}

/* The focus' line is finished on the wire. */
static void line_done(struct console_port *port)
{
    console_line_clear(&port->line);
    console_line_done();
}

static void put_focus(struct console_port *port, u8 byte)
{
    console_line_moved();
    if (console_line_put(&port->line, byte, show_focus)) {
        console_open_line(port);
        console_emit_newline();
        line_done(port);
    }
}

/* A guest that has the wire for itself: as it is. Of a line that is too long, only the last part is shown again. */
static void put_untouched(struct console_port *port, u8 byte)
{
    console_line_moved();
    console_open_line(port);
    console_emit((const char *)&byte, 1);
    if (console_line_put(&port->line, byte, NULL)) {
        console_line_clear(&port->line);
    }
    if (byte == '\n') {
        line_done(port);
    }
}

static void put(struct console_port *port, u8 byte)
{
    if (port != focus) {
        if (console_line_put(&port->line, byte, NULL)) {
            say_line(port);
        }
    } else if (console_prefixed()) {
        put_focus(port, byte);
    } else {
        put_untouched(port, byte);
    }
}

static void put_and_pay(struct console_port *port, u8 byte)
{
    u64 before = console_pays(port) ? console_said() : 0;

    put(port, byte);
    if (before != 0) {
        console_charge(port, console_said() - before);
    }
}

/* How much to report as lost now; once a second is enough. */
static u64 take_lost(struct console_port *port, bool closing)
{
    u64 lost = port->lost;

    if (lost == 0 || (!closing && time_now_ns() - port->told_ns < NS_PER_SEC)) {
        return 0;
    }
    port->told_ns = time_now_ns();
    port->lost = 0;
    return lost;
}

static void report_lost(const struct console_port *port, u64 lost)
{
    if (lost != 0) {
        log_event("vm=%s ev=console lost-bytes=%llu", port->name, (unsigned long long)lost);
    }
}

void console_put(struct console_port *port, u8 byte)
{
    u64 flags = console_lock();
    u64 lost = 0;

    port->ring[port->ring_head % CONSOLE_RING_SIZE] = byte;
    port->ring_head++;
    if (console_admit(port)) {
        put_and_pay(port, byte);
        lost = take_lost(port, false);
    } else {
        port->lost++;
    }
    console_unlock(flags);
    report_lost(port, lost);
}

/* Where the last lines of the ring begin; the unfinished line is not among them. */
static u64 replay_start(const struct console_port *port, u64 end)
{
    u64 oldest = end > REPLAY_BYTES ? end - REPLAY_BYTES : 0;
    u64 start = end;
    u32 lines = 0;

    for (u64 at = end; at > oldest; at--) {
        if (at != end && port->ring[(at - 1) % CONSOLE_RING_SIZE] == '\n') {
            start = at;
            if (++lines == REPLAY_LINES) {
                return start;
            }
        }
    }
    return oldest == 0 ? 0 : start;
}

/* Print the last whole lines of port again, as say_line() would. The wire is at the start of a line. */
static void replay(const struct console_port *port)
{
    static struct console_line line;
    u64 end = port->ring_head;

    while (end > 0 && port->ring_head - end < REPLAY_BYTES && port->ring[(end - 1) % CONSOLE_RING_SIZE] != '\n') {
        end--;
    }
    console_line_clear(&line);
    for (u64 at = replay_start(port, end); at < end; at++) {
        if (console_line_put(&line, port->ring[at % CONSOLE_RING_SIZE], NULL)) {
            console_prefix(console_emit, port);
            console_emit(line.text, line.len);
            console_emit_newline();
            console_line_clear(&line);
        }
    }
}

static void switch_focus(struct console_port *port, bool show_last)
{
    u64 flags = console_lock();

    if (port != focus) {
        console_set_line(NULL);
        focus = port;
        if (port != NULL && show_last) {
            replay(port);
        }
        console_set_line(port);
    }
    console_unlock(flags);
}

/* Somebody wants it there; console_close() only needs another one. */
static void choose_focus(struct console_port *port)
{
    memcpy(chosen, port->name, sizeof(chosen));
    if (port->bare) {
        chosen[0] = '\0';
    }
    switch_focus(port, !port->bare);
}

size_t console_last_output(const struct console_port *port, u8 *buf, size_t size)
{
    u64 flags = console_lock();
    u64 end = port->ring_head;
    u64 start = end - MIN(MIN(end, (u64)CONSOLE_RING_SIZE), (u64)size);

    for (u64 at = start; start != 0 && at + 1 < end; at++) {
        if (port->ring[at % CONSOLE_RING_SIZE] == '\n') {
            start = at + 1; /* older output is gone, perhaps up to the middle of a line */
            break;
        }
    }
    for (u64 at = start; at < end; at++) {
        buf[at - start] = port->ring[at % CONSOLE_RING_SIZE];
    }
    console_unlock(flags);
    return (size_t)(end - start);
}

void console_open(struct console_port *port)
{
    u64 input_flags = spin_lock(&input_lock);
    u64 flags = console_lock();
    struct console_port **link = &ports;

    while (*link != NULL && (*link)->place <= port->place) {
        link = &(*link)->next;
    }
    console_hold_init();
    port->next = *link;
    console_line_clear(&port->line);
    port->ring_head = 0;
    port->waiting = false;
    port->lost = 0;
    port->told_ns = 0;
    console_count_port(port, true);
    *link = port;
    console_unlock(flags);
    if (focus == NULL && chosen[0] == '\0') {
        choose_focus(port);
    } else if (focus == NULL || strncmp(chosen, port->name, sizeof(chosen)) == 0) {
        switch_focus(port, false);
    }
    spin_unlock(&input_lock, input_flags);
}

void console_close(struct console_port *port)
{
    u64 input_flags = spin_lock(&input_lock);
    struct console_port **link = &ports;
    u64 lost = 0;

    while (*link != NULL && *link != port) {
        link = &(*link)->next;
    }
    if (port != NULL && *link == port) {
        struct console_port *heir = port->next != NULL ? port->next : ports != port ? ports : NULL;
        u64 flags = console_lock();

        lost = take_lost(port, true);
        *link = port->next;
        console_count_port(port, false);
        if (port != focus && port->line.len != 0) {
            say_line(port);
        }
        console_line_clear(&port->line);
        console_unlock(flags);
        if (port == focus) {
            switch_focus(heir, false);
        }
    }
    spin_unlock(&input_lock, input_flags);
    report_lost(port, lost);
}

void console_each_port(void (*fn)(struct console_port *port))
{
    u64 flags = spin_lock(&input_lock);

    for (struct console_port *port = ports; port != NULL; port = port->next) {
        fn(port);
    }
    spin_unlock(&input_lock, flags);
}

void console_set_focus(struct console_port *port)
{
    u64 flags = spin_lock(&input_lock);

    choose_focus(port);
    spin_unlock(&input_lock, flags);
}

bool console_has_focus(const struct console_port *port)
{
    return READ_ONCE(focus) == port;
}

/* The user wants it there, if there is such a port; returns who has it then. */
static const char *focus_on(struct console_port *port)
{
    if (port != NULL) {
        choose_focus(port);
    }
    return focus != NULL ? focus->name : NULL;
}

const char *console_focus_next(void)
{
    u64 flags = spin_lock(&input_lock);
    const char *name = focus_on(focus != NULL && focus->next != NULL ? focus->next : ports);

    spin_unlock(&input_lock, flags);
    return name;
}

const char *console_focus_index(u32 index)
{
    u64 flags = spin_lock(&input_lock);
    struct console_port *port = ports;

    while (port != NULL && index > 0) {
        port = port->next;
        index--;
    }
    const char *name = focus_on(port);
    spin_unlock(&input_lock, flags);
    return name;
}

void console_send(u8 byte)
{
    u64 flags = spin_lock(&input_lock);

    if (focus != NULL && focus->receive != NULL) {
        focus->receive(focus, byte);
    }
    spin_unlock(&input_lock, flags);
}
