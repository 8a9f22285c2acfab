/* Who may print while the devices lag behind. Guests that look at their UART stop at CONSOLE_ROOM_STOP, others are cut off at
 * CONSOLE_ROOM_LAST; but a share of what leaves the line is everybody's, so no flood silences another port. A port pays for all
 * that its bytes put on the line: the name before a line, the focus' unfinished line shown again, the way of a cursor. */
#include "kernel/console.h"
#include "kernel/console_wire.h"

#define OWN_TURN 512U /* bytes that leave a crowded line between two turns of Mote's own, but for twice what it printed */
#define OWN_DEBT 8192U /* and at most so many */
#define BURST 16U     /* bytes that a guest sends once it was told that it may: a UART's FIFO */
#define ROOM_GRANTED 2560U /* with less, they are lost all the same; a line and that of the focus, shown again, still fit */
#define SAVED (CONSOLE_ROOM_LAST - CONSOLE_ROOM_LITTLE) /* a share that is not used grows to this much of the line */

static bool full;                      /* guests should stop printing; written with the lock held */
static bool crowded;                   /* at the last byte that was admitted: each pays; under the lock */
static bool waiters;                   /* a port waits for the end of that */
static u32 ports;                      /* that are open; under the lock, as are */
static struct console_turn *turns;     /* of Mote's own that wait, in the order of their coming, */
static u64 next_turn;                  /* and what will have left the line before the first of them */

void console_count_port(struct console_port *port, bool open)
{
    ports = open ? ports + 1 : ports - 1;
    port->used = 0;
    port->granted = 0;
}

/* What the line moves on while a port may cost it a byte: half of it is the ports', in equal shares. */
static u64 price(void)
{
    return 2ULL * ports;
}

/* Has the port a share left? The line is crowded. */
static bool has_share(struct console_port *port)
{
    u64 left = console_left();

    port->used = MAX(port->used, left - MIN(left, SAVED));
    return port->used <= left;
}

/* Who was told that it may print a burst may owe it. The lock is held. */
static bool take_granted(struct console_port *port)
{
    u32 granted = READ_ONCE(port->granted);

    WRITE_ONCE(port->granted, granted - MIN(granted, 1U));
    return granted != 0;
}

bool console_admit(struct console_port *port)
{
    u32 room = console_room();
    bool granted = take_granted(port);

    WRITE_ONCE(full, room < CONSOLE_ROOM_STOP);
    crowded = room < CONSOLE_ROOM_LAST;
    return !crowded || port->bare || (granted && room >= ROOM_GRANTED) ||
           (room >= CONSOLE_ROOM_LITTLE && has_share(port));
}

bool console_pays(const struct console_port *port)
{
    return crowded || port->bare;
}

void console_charge(struct console_port *port, u64 bytes)
{
    if (port == NULL || port->bare) {
        next_turn += 2 * bytes;
    } else {
        (void)has_share(port); /* which forgets what was saved long ago */
        port->used += bytes * price();
    }
}

/* Tell it, or do not, that it may print. */
static bool grant(struct console_port *port, bool ready)
{
    if (ready) {
        WRITE_ONCE(port->granted, BURST);
    }
    return ready;
}

static bool may_print(struct console_port *port, u32 room)
{
    return room >= CONSOLE_ROOM_STOP || (room >= CONSOLE_ROOM_SHARE && has_share(port));
}

/* Mote's own does with less room than guests that do as they like leave, but only half of what leaves the line is its. */
static bool own_may(u32 room)
{
    u64 left = console_left();

    next_turn = MIN(next_turn, left + OWN_DEBT);
    return room >= CONSOLE_ROOM_STOP || (room >= CONSOLE_ROOM_OWN && left >= next_turn);
}

static void wait_turn(struct console_turn *turn)
{
    struct console_turn **link = &turns;

    while (*link != NULL && *link != turn) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        turn->next = NULL;
        *link = turn;
    }
}

/* Nobody passes those who wait. */
bool console_turn(struct console_turn *turn)
{
    u64 flags = console_lock();
    bool may = turn->given || (turns == NULL && own_may(console_room()));

    if (!may) {
        wait_turn(turn);
    } else if (!turn->given) {
        next_turn = console_left() + OWN_TURN;
    }
    turn->given = false;
    console_unlock(flags);
    return may;
}

/* The turn that is given now, or NULL. */
static struct console_turn *give_turn(void)
{
    u64 flags = console_lock();
    struct console_turn *turn = own_may(console_room()) ? turns : NULL;

    if (turn != NULL) {
        turns = turn->next;
        turn->given = true;
        next_turn = console_left() + OWN_TURN;
    }
    console_unlock(flags);
    return turn;
}

bool console_ready(struct console_port *port)
{
    if (!READ_ONCE(full)) {
        return grant(port, true);
    }
    __atomic_store_n(&port->waiting, true, __ATOMIC_SEQ_CST);
    __atomic_store_n(&waiters, true, __ATOMIC_SEQ_CST); /* before the second look: console_service() does the reverse */
    u64 flags = console_lock();
    bool ready = grant(port, may_print(port, console_room()));
    console_unlock(flags);
    return ready;
}

static void tell_waiting(struct console_port *port)
{
    if (!READ_ONCE(port->waiting)) {
        return;
    }
    u64 flags = console_lock();
    bool ready = grant(port, may_print(port, console_room()));
    console_unlock(flags);
    if (!ready) {
        __atomic_store_n(&waiters, true, __ATOMIC_SEQ_CST);
    } else if (__atomic_exchange_n(&port->waiting, false, __ATOMIC_SEQ_CST) && port->writable != NULL) {
        port->writable(port);
    }
}

void console_service(struct console_device *device)
{
    u64 flags = console_lock();

    device->send(device);
    WRITE_ONCE(full, console_room() < CONSOLE_ROOM_STOP);
    console_unlock(flags);
    for (struct console_turn *turn = give_turn(); turn != NULL; turn = give_turn()) {
        turn->granted(turn);
    }
    if (__atomic_exchange_n(&waiters, false, __ATOMIC_SEQ_CST)) {
        console_each_port(tell_waiting);
    }
}
