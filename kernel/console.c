/* Console output: one wire (all devices show the same), many ports. The wire is at the start of a line or inside the
 * focus' unfinished line; nothing else is ever left unfinished on it. */
#include "kernel/console.h"
#include "kernel/base/lock.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/ecma48.h"
#include "kernel/lib/string.h"
#include <arch/cpu.h>

#define REPLAY_LINES 8U
#define REPLAY_BYTES 1024U
#define NO_CPU (~0U)
#define ENTER_SPINS 20000000U /* about a second of pauses */

static struct console_device *devices;
static struct console_port *ports; /* in the order of opening */
static struct console_port *focus;
static struct console_port *open_port; /* whose unfinished line is on the wire: the focus or NULL */
static bool prefixed;
static bool log_muted;

/* Keeps receive() of a port running at most until console_close(); taken before the output lock. Protects focus too. */
static struct spinlock input_lock = SPINLOCK_INIT;

/* The output lock protects all of the above and the devices. Not a spinlock: a panic inside the console, or while
 * another CPU that will never run again holds it, must still get its text out. */
static u32 owner = NO_CPU;

static u64 console_enter(void)
{
    u64 flags = arch_irq_save();
    u32 me = percpu()->id;

    for (u32 spins = 0; spins < ENTER_SPINS; spins++) {
        u32 expected = NO_CPU;
        if (__atomic_compare_exchange_n(&owner, &expected, me, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED) ||
            expected == me) {
            return flags;
        }
        arch_cpu_relax();
    }
    return flags;
}

static void console_leave(u64 flags)
{
    __atomic_store_n(&owner, NO_CPU, __ATOMIC_RELEASE);
    arch_irq_restore(flags);
}

static void emit(const char *text, size_t len)
{
    for (struct console_device *device = devices; device != NULL; device = device->next) {
        device->write(device, text, len);
    }
}

static void emit_newline(void)
{
    emit("\r\n", 2);
}

static void emit_prefix(const struct console_port *port)
{
    if (prefixed && !port->bare) {
        emit("[", 1);
        emit(port->name, strnlen(port->name, sizeof(port->name)));
        emit("] ", 2);
    }
}

/* Bring the wire to the start of a line; reopen_line() after printing shows the unfinished line again. */
static void break_line(void)
{
    if (open_port != NULL) {
        emit_newline();
    }
}

static void reopen_line(void)
{
    if (open_port != NULL) {
        emit_prefix(open_port);
        emit(open_port->line, open_port->line_len);
    }
}

/* Lines of our own, each ended by a bare newline, to one device. */
static void emit_lines(struct console_device *device, const char *text, size_t len)
{
    const char *end = text + len;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        device->write(device, text, (size_t)((newline != NULL ? newline : end) - text));
        if (newline == NULL) {
            return;
        }
        device->write(device, "\r\n", 2);
        text = newline + 1;
    }
}

static void log_to_console(struct log_sink *sink, const char *text, size_t len)
{
    (void)sink;
    if (log_muted) {
        return;
    }
    u64 flags = console_enter();
    break_line();
    for (struct console_device *device = devices; device != NULL; device = device->next) {
        emit_lines(device, text, len);
    }
    reopen_line();
    console_leave(flags);
}

/* What has been logged so far, for a device that comes later. */
struct replay_sink {
    struct log_sink sink;
    struct console_device *device;
};

static void replay_log(struct log_sink *sink, const char *text, size_t len)
{
    struct console_device *device = CONTAINER_OF(sink, struct replay_sink, sink)->device;

    emit_lines(device, text, len);
}

void console_add_device(struct console_device *device)
{
    static struct log_sink to_console = {.write = log_to_console};
    struct replay_sink replay = {.sink.write = replay_log, .device = device};

    if (!device->has_log) {
        log_add_sink(&replay.sink);
        log_remove_sink(&replay.sink);
    }
    u64 flags = console_enter();
    bool first = devices == NULL;
    device->next = devices;
    devices = device;
    console_leave(flags);
    if (first) {
        log_muted = true; /* adding a sink shows it the old lines */
        log_add_sink(&to_console);
        log_muted = false;
    }
}

void console_drain(void)
{
    u64 flags = console_enter();

    for (struct console_device *device = devices; device != NULL; device = device->next) {
        if (device->drain != NULL) {
            device->drain(device);
        }
    }
    console_leave(flags);
}

void console_set_prefix(bool prefix)
{
    prefixed = prefix;
}

/* Everything that port has collected, as one line. */
static void flush_line(struct console_port *port)
{
    bool whole = port->line_len != 0 && port->line[port->line_len - 1] == '\n';

    break_line();
    emit_prefix(port);
    emit(port->line, port->line_len);
    if (!whole) {
        emit_newline();
    }
    port->line_len = 0;
    reopen_line();
}

static void put_background(struct console_port *port, char byte)
{
    if (port->line_len == CONSOLE_LINE_MAX) {
        flush_line(port);
    }
    port->line[port->line_len++] = byte;
    if (byte == '\n') {
        flush_line(port);
    }
}

/* Keep the focus' unfinished line for reopen_line(). Escape sequences are left out: a second cursor query would make the
 * terminal answer twice, into the guest's input. A carriage return begins the line anew. */
static void remember(struct console_port *port, char byte)
{
    if (ecma48_in_escape(&port->escape, (u8)byte)) {
        return;
    }
    if (port->line_len == CONSOLE_LINE_MAX || (port->line_len != 0 && port->line[port->line_len - 1] == '\r')) {
        port->line_len = 0; /* of a line that is too long, only the last part is shown again */
    }
    port->line[port->line_len++] = byte;
}

static void put_focus(struct console_port *port, char byte)
{
    if (open_port == NULL) {
        emit_prefix(port);
        open_port = port;
    }
    emit(&byte, 1);
    if (byte == '\n') {
        open_port = NULL;
        port->line_len = 0;
        port->escape = 0;
        return;
    }
    remember(port, byte);
}

void console_put(struct console_port *port, u8 byte)
{
    u64 flags = console_enter();

    port->ring[port->ring_head % CONSOLE_RING_SIZE] = byte;
    port->ring_head++;
    if (port == focus) {
        put_focus(port, (char)byte);
    } else {
        put_background(port, (char)byte);
    }
    console_leave(flags);
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

/* Print the last whole lines of port again. The wire is at the start of a line. */
static void replay(const struct console_port *port)
{
    u64 end = port->ring_head;
    bool line_start = true;

    while (end > 0 && port->ring_head - end < REPLAY_BYTES && port->ring[(end - 1) % CONSOLE_RING_SIZE] != '\n') {
        end--;
    }
    for (u64 at = replay_start(port, end); at < end; at++) {
        char byte = (char)port->ring[at % CONSOLE_RING_SIZE];
        if (line_start) {
            emit_prefix(port);
        }
        emit(&byte, 1);
        line_start = byte == '\n';
    }
    if (!line_start) {
        emit_newline();
    }
}

static void switch_focus(struct console_port *port, bool show_last)
{
    u64 flags = console_enter();

    if (port != focus) {
        break_line();
        open_port = NULL;
        focus = port;
        if (port != NULL && show_last) {
            replay(port);
        }
        if (port != NULL && port->line_len != 0) {
            open_port = port;
            reopen_line();
        }
    }
    console_leave(flags);
}

size_t console_last_output(const struct console_port *port, u8 *buf, size_t size)
{
    u64 flags = console_enter();
    u64 end = port->ring_head;
    u64 kept = MIN(end, (u64)CONSOLE_RING_SIZE);
    size_t count = (size_t)MIN(kept, (u64)size);

    for (size_t i = 0; i < count; i++) {
        buf[i] = port->ring[(end - count + i) % CONSOLE_RING_SIZE];
    }
    console_leave(flags);
    return count;
}

void console_open(struct console_port *port)
{
    u64 input_flags = spin_lock(&input_lock);
    u64 flags = console_enter();
    struct console_port **link = &ports;

    while (*link != NULL) {
        link = &(*link)->next;
    }
    port->next = NULL;
    port->line_len = 0;
    port->escape = 0;
    port->ring_head = 0;
    *link = port;
    if (focus == NULL) {
        focus = port;
    }
    console_leave(flags);
    spin_unlock(&input_lock, input_flags);
}

void console_close(struct console_port *port)
{
    u64 input_flags = spin_lock(&input_lock);
    struct console_port **link = &ports;

    while (*link != NULL && *link != port) {
        link = &(*link)->next;
    }
    if (port != NULL && *link == port) {
        struct console_port *heir = port->next != NULL ? port->next : ports != port ? ports : NULL;
        u64 flags = console_enter();

        *link = port->next;
        if (port != focus && port->line_len != 0) {
            flush_line(port);
        }
        port->line_len = 0;
        console_leave(flags);
        if (port == focus) {
            switch_focus(heir, false);
        }
    }
    spin_unlock(&input_lock, input_flags);
}

void console_set_focus(struct console_port *port)
{
    u64 flags = spin_lock(&input_lock);

    switch_focus(port, false);
    spin_unlock(&input_lock, flags);
}

const char *console_focus_next(void)
{
    u64 flags = spin_lock(&input_lock);

    if (focus != NULL) {
        switch_focus(focus->next != NULL ? focus->next : ports, true);
    }
    const char *name = focus != NULL ? focus->name : NULL;
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
    if (port != NULL) {
        switch_focus(port, true);
    }
    spin_unlock(&input_lock, flags);
    return port != NULL ? port->name : NULL;
}

void console_send(u8 byte)
{
    u64 flags = spin_lock(&input_lock);

    if (focus != NULL && focus->receive != NULL) {
        focus->receive(focus, byte);
    }
    spin_unlock(&input_lock, flags);
}
