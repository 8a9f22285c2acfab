/* What the unit tests of virtual devices share: a bus, time that the test moves, timers that fire as it moves, wires that
 * remember. */
#pragma once
#include "tests/unit/host.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "vm/bus.h"
#include "vm/irqline.h"

extern u64 dev_now;          /* time_now_ns() */
extern u64 dev_wall_at_boot; /* time_wall_seconds() at time 0 */
extern struct bus dev_pio;
extern unsigned dev_timers_fired;

/* A wire: its level, and how often it rose. */
struct dev_wire {
    bool level;
    unsigned rises;
};
struct irqline dev_line(struct dev_wire *wire);

/* cmocka setup: time 1 s, nothing armed, an empty bus. */
int dev_setup(void **state);
/* Time goes on to `ns`; timers fire in order, each at its own deadline. */
void dev_run_until(u64 ns);
/* When the next timer fires; ~0: none is armed. */
u64 dev_next_timer(void);

u32 dev_in(u16 port, u8 size);
void dev_out(u16 port, u8 size, u32 value);
static inline u8 inb(u16 port)
{
    return (u8)dev_in(port, 1);
}
static inline void outb(u16 port, u8 value)
{
    dev_out(port, 1, value);
}
