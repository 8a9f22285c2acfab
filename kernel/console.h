/* Consoles: real output devices below, one port per VM above. Output of a VM is line-whole: with one port bytes pass
 * untouched, with several each line carries "[name] ". The escape key and the focus live here. */
#pragma once
#include "kernel/lib/types.h"

/* A real device. write() must not block beyond a bounded wait. */
struct console_device {
    const char *name;
    void (*write)(struct console_device *device, const char *text, size_t len);
    struct console_device *next;
};
void console_add_device(struct console_device *device);

#define CONSOLE_LINE_MAX 256U
#define CONSOLE_RING_SIZE KIB(16)

/* A VM's end. */
struct console_port {
    char name[32];
    void (*receive)(struct console_port *port, u8 byte); /* input for the VM; IRQ context */
    void *arg;
    char line[CONSOLE_LINE_MAX]; /* console.c's: the unfinished line */
    u32 line_len;
    u8 ring[CONSOLE_RING_SIZE];  /* console.c's: the last output */
    u64 ring_head;
    struct console_port *next;
};

/* Call before any port is opened: how many VMs there will be, so that prefixing is decided once. */
void console_set_prefix(bool prefix);
/* The escape key, a control character 1..31; default 0x1D (Ctrl-]). */
void console_set_escape(u8 key);
void console_open(struct console_port *port);
void console_close(struct console_port *port);
void console_set_focus(struct console_port *port);

/* One byte of VM output. Any context but NMI; bounded. */
void console_put(struct console_port *port, u8 byte);

/* One byte from a real device, IRQ context: escape commands are taken, the rest goes to the focus. */
void console_input(u8 byte);

/* A quit request (escape q) calls this; registered by kernel/init. */
void console_set_quit(void (*quit)(void));
