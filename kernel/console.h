/* Consoles: real output devices below, one port per VM above. Output of a VM is line-whole: with one port bytes pass
 * untouched, with several each line carries "[name] ". The escape key and the focus live here. */
#pragma once
#include "kernel/lib/types.h"

/* A real device. Neither function may block beyond a bounded wait. */
struct console_device {
    const char *name;
    void (*write)(struct console_device *device, const char *text, size_t len);
    void (*drain)(struct console_device *device); /* until the last byte has left; may be NULL */
    bool has_log; /* the log so far has been shown there already */
    struct console_device *next;
};

/* Output goes to this device too from now on; what was logged so far is shown there first (unless device->has_log). Lines
 * that Mote itself prints end in CR LF; guest bytes are never changed. Boot CPU, while no other CPU runs. */
void console_add_device(struct console_device *device);

/* Wait (bounded) until every device has sent what it holds; before the machine ends. Any context. */
void console_drain(void);

#define CONSOLE_LINE_MAX 256U
#define CONSOLE_RING_SIZE KIB(16)

/* A VM's end. The focus' bytes go out at once, everybody else's whole lines at a time. When something else has to be
 * printed while the focus' line is unfinished, that line is ended first and printed again, as far as it had come, after:
 * every line is whole somewhere, and a shell's prompt comes back. */
struct console_port {
    char name[32];
    void (*receive)(struct console_port *port, u8 byte); /* input for the VM; IRQ context */
    void *arg;
    bool bare;                   /* no prefix: Mote's own, which is never opened, only given the focus */
    char line[CONSOLE_LINE_MAX]; /* console.c's: the unfinished line */
    u32 line_len;
    u8 escape;                   /* console.c's: inside a terminal escape sequence */
    u8 ring[CONSOLE_RING_SIZE];  /* console.c's: the last output */
    u64 ring_head;
    struct console_port *next;
};

/* Call before any port is opened: how many VMs there will be, so that prefixing is decided once. */
void console_set_prefix(bool prefix);
/* The escape key, a control character 1..31; default 0x1D (Ctrl-]). */
void console_set_escape(u8 key);
/* The first port opened gets the focus. */
void console_open(struct console_port *port);
/* Finish the port's last line, and forget it: receive() is not running after return and the focus, if it was here, is at
 * the next port. Call it before the VM's exit is logged. Not from receive(). */
void console_close(struct console_port *port);
/* Give the focus to an open port; shows its unfinished line. Not from receive(). */
void console_set_focus(struct console_port *port);
/* The same for the port that follows the focus, or the index-th opened (0 = first; none: nothing happens); the last lines
 * of that port are shown again. Returns its name, or NULL. */
const char *console_focus_next(void);
const char *console_focus_index(u32 index);
/* Hand one byte to the focus as it is. IRQ context. */
void console_send(u8 byte);

/* One byte of VM output. Any context but NMI; bounded. */
void console_put(struct console_port *port, u8 byte);

/* One byte from a real device, IRQ context: escape commands are taken, the rest goes to the focus. */
void console_input(u8 byte);

/* Requests to quit (escape q) and to enter the monitor (escape m) call these, IRQ context; registered by kernel/init. */
void console_set_quit(void (*quit)(void));
void console_set_monitor(void (*enter)(void));

/* The last output of a port, oldest first, as far as the ring goes: copies at most size bytes. Returns how many. */
size_t console_last_output(const struct console_port *port, u8 *buf, size_t size);
