/* The 8254 interval timer and port 61h (Intel 8254 data sheet). Counters are computed from host time when they are
 * looked at; only channel 0 keeps a host timer, for its interrupt. */
#pragma once
#include "kernel/base/lock.h"
#include "kernel/timer.h"
#include "vm/bus.h"
#include "vm/irqline.h"

#define PIT_HZ 1193182ULL

struct vpit_channel {
    u64 start_ns;    /* when the count was loaded, or the gate rose */
    u64 held_clocks; /* counted before the gate fell */
    u32 reload;      /* 1..65536 (BCD: ..10000) */
    u16 latch;
    u8 status;
    u8 mode;         /* 0..5 */
    u8 access;       /* 1 low, 2 high, 3 low then high */
    u8 write_low;    /* first byte of a two-byte load */
    bool bcd, gate;
    bool running;    /* a count has been loaded since the mode was set */
    bool latched, status_latched;
    bool read_high, write_high; /* the flip-flops */
};

struct vpit {
    struct spinlock lock; /* protects everything below */
    struct vpit_channel channel[3];
    bool speaker;         /* port 61h bit 1 */
    bool stopped;
    u64 next_edge_ns;     /* of channel 0 */
    struct timer timer;
    struct irqline irq;
};

void vpit_init(struct vpit *pit, const struct irqline *irq);

/* Claim ports 40h-43h and 61h. 0 or bus_add()'s error. */
MUST_CHECK int vpit_attach(struct vpit *pit, struct bus *pio);

/* No interrupt comes after this returns. Not with the PIT's lock held; task context. */
void vpit_stop(struct vpit *pit);
