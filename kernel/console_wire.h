/* What console.c writes on: console_wire.c has the devices, all at once; console_hold.c the line that is on them now. Private to
 * kernel/console*.c. */
#pragma once
#include "kernel/console_line.h"
#include "kernel/lib/types.h"

/* The output lock protects the devices and all that console.c knows about ports. Not a spinlock: a panic inside the console,
 * or while another CPU that will never run again holds it, must still get its text out. Interrupts are off inside. */
u64 console_lock(void);
void console_unlock(u64 flags);

/* To every device. The lock is held. */
void console_emit(const char *text, size_t len);
void console_drain_devices(void);

/* The least that a device takes without waiting; how many bytes have left that one, but for a constant. */
u32 console_room(void);
u64 console_left(void);
u64 console_emitted(void); /* how many bytes they were given */
#define CONSOLE_ROOM_STOP 10240U  /* with less, guests should stop */
#define CONSOLE_ROOM_LAST 8192U   /* with less, they are cut off, but for their shares */
#define CONSOLE_ROOM_SHARE 7168U  /* with less, nobody is told that a share is left */
#define CONSOLE_ROOM_LITTLE 6144U /* with less, no share helps; what is left is for Mote's own */
#define CONSOLE_ROOM_OWN 5120U    /* with less, the monitor waits; the line and all that waits for its end still fit */

/* The port prints a byte: is there room? If so, does it pay for what it puts on the line? So many bytes were that: they are taken
 * from its share, or from Mote's (NULL). The lock is held. */
struct console_port;
bool console_admit(struct console_port *port);
bool console_pays(const struct console_port *port);
void console_charge(struct console_port *port, u64 bytes);
/* A port opens or closes, with an unused share. The lock is held. */
void console_count_port(struct console_port *port, bool open);
/* Calls fn for each open port; none closes meanwhile. Without the lock. */
void console_each_port(void (*fn)(struct console_port *port));

/* Lines of the log, each ended by a bare newline. Takes the lock. */
void console_log_lines(const char *text, size_t len);

/* Take lines apart: whole ones, CR LF in place of the newline, go to out. */
void console_split_lines(const char *text, size_t len, void (*out)(void *ctx, const char *text, size_t len), void *ctx);

/* --- the wire's line: the lock is held in all of these ----------------------------------------------------------------- */

void console_emit_newline(void);
bool console_prefixed(void);
/* "[name] " by show, which is console_emit() or console_say(): for a line from the background; for the focus', when there are
 * several VMs. */
void console_name(console_show show, const struct console_port *port);
void console_prefix(console_show show, const struct console_port *port);

/* The focus begins a line on the wire, unless it is in one; it has printed; its line has ended, and others' follow. */
void console_open_line(struct console_port *port);
void console_line_moved(void);
void console_line_done(void);
/* End the line on the wire and show that of another port (may be NULL), as far as it had come. */
void console_set_line(struct console_port *port);

/* Whole lines of another follow, by console_say(). When the focus is in the middle of a line they wait for its end. */
void console_interject_begin(void);
void console_say(const char *text, size_t len);
void console_interject_end(void);
u64 console_said(void); /* console_emitted(), and what waits for the end of the focus' line */

/* Before the first port prints; again is harmless. */
void console_hold_init(void);
