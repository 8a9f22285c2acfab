/* Consoles: real output devices below, one port per VM above. Output of a VM is line-whole: with one port bytes pass
 * untouched, with several each line carries "[name] ". The escape key and the focus live here. */
#pragma once
#include "kernel/console_line.h"
#include "kernel/lib/types.h"

/* A real device. No function may block beyond a bounded wait; all are called with the console's lock held. */
struct console_device {
    const char *name;
    void (*write)(struct console_device *device, const char *text, size_t len);
    void (*drain)(struct console_device *device);  /* until the last byte has left; may be NULL */
    void (*send)(struct console_device *device);   /* of what waits, as much as goes; NULL: nothing ever waits */
    u32 (*room)(struct console_device *device);    /* bytes that write() takes without waiting; NULL: any number */
    bool has_log; /* the log so far has been shown there already */
    struct console_device *next;
};

/* Output goes to this device too from now on; what was logged so far is shown there first (unless device->has_log). Lines
 * that Mote itself prints end in CR LF; guest bytes are never changed. Boot CPU, while no other CPU runs. */
void console_add_device(struct console_device *device);

/* The device may be able to send more: its send() is called, and ports that wait are told. IRQ context. */
void console_service(struct console_device *device);

/* To a device that need not be a console, as its write() does. Any context but NMI. */
void console_write_device(struct console_device *device, const char *text, size_t len);

/* Wait (bounded) until every device has sent what it holds; before the machine ends. Any context. */
void console_drain(void);

#define CONSOLE_RING_SIZE KIB(16)

/* A VM's end. The focus' bytes go out at once, everybody else's whole lines at a time. With several VMs a line holds text
 * only, what console_line_put() makes of the bytes, so that no guest can move out of its line or look like Mote; with one
 * VM the focus' bytes go out as they are.
 * A line of another VM, or of Mote, never stands inside the focus' line: it waits for that line's end, but at most 50 ms. A
 * line that is not finished by then (a shell's prompt) is ended on the wire and shown again, as far as it had come, behind
 * the other. */
struct console_port {
    char name[32];
    void (*receive)(struct console_port *port, u8 byte); /* input for the VM; IRQ context */
    void (*writable)(struct console_port *port);         /* console_ready() is true again; IRQ context; may be NULL */
    void *arg;
    bool waiting;                /* console_room.c's: it wants writable() */
    u64 lost;                    /* console.c's: bytes since the last report, */
    u64 told_ns;                 /* which was then */
    u64 used;                    /* console_room.c's: what will have left the line when its share allows what it printed */
    u32 granted;                 /* and how many bytes it may print whatever its share is: it was told so */
    bool bare;                   /* no prefix: Mote's own, which is never opened, only given the focus */
    struct console_line line;    /* console.c's: the unfinished line */
    u8 ring[CONSOLE_RING_SIZE];  /* console.c's: the last output */
    u64 ring_head;
    u32 place;                   /* among the ports, for console_focus_next() and console_focus_index() */
    struct console_port *next;
};

/* Call before any port is opened: will there be several, so that each line carries its port's name? Of a lone one those do that it
 * prints in the background. */
void console_set_prefix(bool prefix);
/* The escape key, a control character 1..31, or 0: none, all input is the guests'; default 0x1D (Ctrl-]). */
void console_set_escape(u8 key);
/* The first port opened gets the focus, and so does one that is opened again and had been given it, if none was since. */
void console_open(struct console_port *port);
/* Finish the port's last line, and forget it: receive() is not running after return and the focus, if it was here, is at
 * the next port. Call it before the VM's exit is logged. Not from receive(). */
void console_close(struct console_port *port);
/* Give the focus to an open port: its last lines and its unfinished one are shown again, of a bare port the latter. Not from
 * receive(). */
void console_set_focus(struct console_port *port);
bool console_has_focus(const struct console_port *port);
/* The same for the port that follows the focus, or the index-th by place (0 = first); nothing happens where there is none. Returns
 * the name of the port that has the focus then, or NULL. */
const char *console_focus_next(void);
const char *console_focus_index(u32 index);
/* Hand one byte to the focus as it is. IRQ context. */
void console_send(u8 byte);

/* One byte of VM output; never waits. What no device has room for is not shown, and an event line, one a second, tells how much;
 * while others flood, half of the line is shared equally among the ports. Any context but NMI, and without a lock that logging
 * takes. */
void console_put(struct console_port *port, u8 byte);

/* May the VM print 16 bytes? When not, writable() is called as soon as it may. One that goes on loses output in the end. Any
 * context but NMI. */
bool console_ready(struct console_port *port);

/* Somebody of Mote's own who prints much, and so in turns: who does not makes its CPU wait for the line. */
struct console_turn {
    void (*granted)(struct console_turn *turn); /* it may: the next time it asks, at any rate; IRQ context */
    struct console_turn *next;                  /* console_room.c's: behind whom it waits, */
    bool given;                                 /* or that it has been granted */
};

/* May it print a kilobyte or a report? When not, granted() is called as soon as it is its turn. Beside guests that print, Mote's
 * own has half of the line. Any context but NMI. */
bool console_turn(struct console_turn *turn);

/* One byte from a real device, IRQ context: escape commands are taken, the rest goes to the focus. */
void console_input(u8 byte);

/* Requests to quit (escape q) and to enter the monitor (escape m) call these, IRQ context; registered by kernel/init. */
void console_set_quit(void (*quit)(void));
void console_set_monitor(void (*enter)(void));

/* The last output of a port, oldest first, as far as the ring goes: copies at most size bytes, and begins with a whole line
 * when there was more. Returns how many. */
size_t console_last_output(const struct console_port *port, u8 *buf, size_t size);
