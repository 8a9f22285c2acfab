#include "vm/dev/x86_64/pit.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"

#define PIT_PORT 0x40U
#define PIT_CONTROL 3U
#define SYSTEM_CONTROL_PORT 0x61U

#define CONTROL_CHANNEL GENMASK(7, 6)
#define CONTROL_READ_BACK 3U
#define CONTROL_ACCESS GENMASK(5, 4)
#define CONTROL_MODE GENMASK(3, 1)
#define CONTROL_BCD BIT32(0)
#define READ_BACK_NO_COUNT BIT32(5)
#define READ_BACK_NO_STATUS BIT32(4)
#define STATUS_OUT BIT32(7)
#define STATUS_NULL BIT32(6)
#define ACCESS_LOW 1U
#define ACCESS_HIGH 2U

#define PORT61_GATE2 BIT32(0)
#define PORT61_SPEAKER BIT32(1)
#define PORT61_REFRESH BIT32(4)
#define PORT61_OUT2 BIT32(5)
#define REFRESH_NS 15085ULL

/* A period shorter than this is served at this distance: a guest may not keep its host busy with interrupts. */
#define SHORTEST_REARM_NS 200000ULL

enum { MODE_TERMINAL, MODE_ONE_SHOT, MODE_RATE, MODE_SQUARE, MODE_SOFT_STROBE, MODE_HARD_STROBE };

/* Two-step products keep 64 bits exact for centuries: whole seconds first. */
static u64 ns_to_clocks(u64 ns)
{
    return ns / NS_PER_SEC * PIT_HZ + ns % NS_PER_SEC * PIT_HZ / NS_PER_SEC;
}

static u64 clocks_to_ns(u64 clocks)
{
    return clocks / PIT_HZ * NS_PER_SEC + (clocks % PIT_HZ * NS_PER_SEC + PIT_HZ - 1) / PIT_HZ;
}

static bool periodic(const struct vpit_channel *ch)
{
    return ch->mode == MODE_RATE || ch->mode == MODE_SQUARE;
}

static bool gate_starts(const struct vpit_channel *ch)
{
    return ch->mode == MODE_ONE_SHOT || ch->mode == MODE_HARD_STROBE;
}

static u64 elapsed(const struct vpit_channel *ch, u64 now)
{
    if (!ch->running) {
        return ch->held_clocks;
    }
    return now > ch->start_ns ? ns_to_clocks(now - ch->start_ns) : 0;
}

static u16 count_now(const struct vpit_channel *ch, u64 now)
{
    u64 gone = elapsed(ch, now);
    u32 wrap = ch->bcd ? 10000U : 65536U;
    u64 count;

    if (ch->mode == MODE_SQUARE) {
        count = ch->reload - 2 * gone % ch->reload;
    } else if (ch->mode == MODE_RATE) {
        count = ch->reload - gone % ch->reload;
    } else {
        count = ch->reload + (u64)wrap - gone % wrap;
    }
    count %= wrap;
    if (!ch->bcd) {
        return (u16)count;
    }
    return (u16)(count / 1000 % 10 << 12 | count / 100 % 10 << 8 | count / 10 % 10 << 4 | count % 10);
}

static bool output_now(const struct vpit_channel *ch, u64 now)
{
    u64 gone = elapsed(ch, now);

    switch (ch->mode) {
    case MODE_TERMINAL:
        return gone >= ch->reload;
    case MODE_ONE_SHOT:
        return !ch->running || gone >= ch->reload;
    case MODE_SQUARE:
        return !ch->running || gone % ch->reload < (ch->reload + 1U) / 2;
    case MODE_RATE:
        return !ch->running || gone % ch->reload != ch->reload - 1U;
    default: /* the strobes are low for one clock */
        return !ch->running || gone != ch->reload;
    }
}

/* Choose channel 0's next rising edge. Called with the lock held. */
static void schedule(struct vpit *pit, u64 now)
{
    struct vpit_channel *ch = &pit->channel[0];

    if (!ch->running || pit->stopped) {
        return;
    }
    u64 edge = ch->reload;
    if (periodic(ch)) {
        edge = (elapsed(ch, now) / ch->reload + 1) * ch->reload;
    } else if (elapsed(ch, now) >= edge) {
        return;
    }
    pit->next_edge_ns = ch->start_ns + clocks_to_ns(edge);
    timer_arm(&pit->timer, MAX(pit->next_edge_ns, now + SHORTEST_REARM_NS));
}

static void fire(struct timer *timer)
{
    struct vpit *pit = timer->arg;
    u64 flags = spin_lock(&pit->lock);
    struct irqline irq = pit->irq;
    bool due = pit->channel[0].running && !pit->stopped && time_now_ns() >= pit->next_edge_ns;

    if (due && periodic(&pit->channel[0])) {
        schedule(pit, MAX(time_now_ns(), pit->next_edge_ns));
    }
    spin_unlock(&pit->lock, flags);
    if (due) {
        irqline_set(&irq, false);
        irqline_set(&irq, true);
    }
}

static u32 reload_value(const struct vpit_channel *ch, u16 raw)
{
    u32 value = raw;

    if (ch->bcd) {
        value = (raw >> 12 & 15U) * 1000U + (raw >> 8 & 15U) * 100U + (raw >> 4 & 15U) * 10U + (raw & 15U);
    }
    if (value == 0) {
        value = ch->bcd ? 10000U : 65536U;
    }
    /* A periodic count of 1 is illegal (8254 data sheet, modes 2 and 3); 2 is the fastest there is. */
    return periodic(ch) && value == 1 ? 2 : value;
}

static void load(struct vpit *pit, u32 index, u16 raw)
{
    struct vpit_channel *ch = &pit->channel[index];
    u64 now = time_now_ns();

    ch->reload = reload_value(ch, raw);
    ch->start_ns = now;
    ch->held_clocks = 0;
    ch->running = !gate_starts(ch) && ch->gate;
    if (index == 0) {
        schedule(pit, now);
    }
}

static void write_counter(struct vpit *pit, u32 index, u8 byte)
{
    struct vpit_channel *ch = &pit->channel[index];

    if (ch->access == ACCESS_LOW) {
        load(pit, index, byte);
    } else if (ch->access == ACCESS_HIGH) {
        load(pit, index, (u16)(byte << 8));
    } else if (!ch->write_high) {
        ch->write_low = byte;
        ch->write_high = true;
    } else {
        ch->write_high = false;
        load(pit, index, (u16)(byte << 8 | ch->write_low));
    }
}

static u8 read_counter(struct vpit_channel *ch)
{
    if (ch->status_latched) {
        ch->status_latched = false;
        return ch->status;
    }
    u16 count = ch->latched ? ch->latch : count_now(ch, time_now_ns());
    bool high = ch->access == ACCESS_HIGH || (ch->access == 3U && ch->read_high);

    if (ch->access == 3U) {
        ch->read_high = !ch->read_high;
    }
    if (ch->access != 3U || high) {
        ch->latched = false;
    }
    return (u8)(high ? count >> 8 : count);
}

static void latch_count(struct vpit_channel *ch)
{
    if (!ch->latched) {
        ch->latch = count_now(ch, time_now_ns());
        ch->latched = true;
    }
}

static void latch_status(struct vpit_channel *ch)
{
    if (ch->status_latched) {
        return;
    }
    ch->status = (u8)(FIELD_PREP(CONTROL_ACCESS, ch->access) | FIELD_PREP(CONTROL_MODE, ch->mode) | (ch->bcd ? CONTROL_BCD : 0U));
    ch->status |= output_now(ch, time_now_ns()) ? (u8)STATUS_OUT : 0;
    ch->status |= ch->running ? 0 : (u8)STATUS_NULL;
    ch->status_latched = true;
}

static void read_back(struct vpit *pit, u8 command)
{
    for (u32 i = 0; i < 3; i++) {
        if ((command & BIT32(i + 1)) == 0) {
            continue;
        }
        if ((command & READ_BACK_NO_COUNT) == 0) {
            latch_count(&pit->channel[i]);
        }
        if ((command & READ_BACK_NO_STATUS) == 0) {
            latch_status(&pit->channel[i]);
        }
    }
}

static void write_control(struct vpit *pit, u8 command)
{
    u32 index = (u32)FIELD_GET(CONTROL_CHANNEL, command);
    u8 access = (u8)FIELD_GET(CONTROL_ACCESS, command);

    if (index == CONTROL_READ_BACK) {
        read_back(pit, command);
        return;
    }
    struct vpit_channel *ch = &pit->channel[index];
    if (access == 0) {
        latch_count(ch);
        return;
    }
    u8 mode = (u8)FIELD_GET(CONTROL_MODE, command);
    bool gate = ch->gate;
    memset(ch, 0, sizeof(*ch));
    ch->gate = gate;
    ch->access = access;
    ch->mode = mode > MODE_HARD_STROBE ? mode - 4 : mode; /* 6 and 7 are 2 and 3 */
    ch->bcd = (command & CONTROL_BCD) != 0;
    ch->reload = ch->bcd ? 10000U : 65536U;
}

static void counter_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct vpit *pit = device;
    u64 flags = spin_lock(&pit->lock);

    (void)size;
    if (offset == PIT_CONTROL) {
        if (write) {
            write_control(pit, (u8)*value);
        } else {
            *value = ~0ULL;
        }
    } else if (write) {
        write_counter(pit, (u32)offset, (u8)*value);
    } else {
        *value = read_counter(&pit->channel[offset]);
    }
    spin_unlock(&pit->lock, flags);
}

/* The table "Gate Pin Operations": low holds the count of modes 0 and 4, which then goes on; it ends a period of modes 2
 * and 3, which begin anew; a rising edge starts modes 1 and 5. */
static void set_gate2(struct vpit_channel *ch, bool gate)
{
    u64 now = time_now_ns();

    if (gate && !ch->gate && ch->reload != 0) {
        ch->start_ns = now - clocks_to_ns(ch->held_clocks);
        ch->held_clocks = 0;
        ch->running = true;
    } else if (!gate && ch->gate && !gate_starts(ch)) {
        ch->held_clocks = periodic(ch) ? 0 : elapsed(ch, now);
        ch->running = false;
    }
    ch->gate = gate;
}

static void system_control_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct vpit *pit = device;
    u64 flags = spin_lock(&pit->lock);
    struct vpit_channel *ch = &pit->channel[2];
    u64 now = time_now_ns();

    (void)offset;
    (void)size;
    if (write) {
        set_gate2(ch, (*value & PORT61_GATE2) != 0);
        pit->speaker = (*value & PORT61_SPEAKER) != 0;
    } else {
        *value = (ch->gate ? PORT61_GATE2 : 0U) | (pit->speaker ? PORT61_SPEAKER : 0U) |
                 (now / REFRESH_NS % 2 != 0 ? PORT61_REFRESH : 0U) | (output_now(ch, now) ? PORT61_OUT2 : 0U);
    }
    spin_unlock(&pit->lock, flags);
}

void vpit_init(struct vpit *pit, const struct irqline *irq)
{
    memset(pit, 0, sizeof(*pit));
    pit->irq = *irq;
    timer_init(&pit->timer, fire, pit);
    for (u32 i = 0; i < 3; i++) {
        pit->channel[i].gate = i != 2;
        pit->channel[i].access = 3;
        pit->channel[i].reload = 65536;
    }
}

int vpit_attach(struct vpit *pit, struct bus *pio)
{
    const struct bus_range counters = {PIT_PORT, 4, 1, counter_access, pit};
    const struct bus_range control = {SYSTEM_CONTROL_PORT, 1, 1, system_control_access, pit};
    int rc = bus_add(pio, &counters);

    return rc != 0 ? rc : bus_add(pio, &control);
}

void vpit_stop(struct vpit *pit)
{
    u64 flags = spin_lock(&pit->lock);

    pit->stopped = true;
    spin_unlock(&pit->lock, flags);
    timer_cancel(&pit->timer);
}
