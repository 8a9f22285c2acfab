#include "vm/bus.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

#define ACCESS_MAX 8U

/* How many ranges begin at or below addr. */
static u32 ranges_up_to(const struct bus *bus, u64 addr)
{
    u32 low = 0;
    u32 high = bus->count;

    while (low < high) {
        u32 mid = low + (high - low) / 2;
        if (bus->ranges[mid].base <= addr) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static const struct bus_range *range_at(const struct bus *bus, u64 addr)
{
    u32 at = ranges_up_to(bus, addr);

    if (at == 0 || !range_contains(bus->ranges[at - 1].base, bus->ranges[at - 1].len, addr, 1)) {
        return NULL;
    }
    return &bus->ranges[at - 1];
}

static bool range_valid(const struct bus_range *range)
{
    return range->len != 0 && range->len - 1 <= ~range->base && range->handler != NULL && range->width != 0 &&
           range->width <= ACCESS_MAX && (range->width & (range->width - 1)) == 0;
}

int bus_add(struct bus *bus, const struct bus_range *range)
{
    u32 at = ranges_up_to(bus, range->base);

    if (!range_valid(range)) {
        return -E_INVAL;
    }
    if ((at > 0 && range->base - bus->ranges[at - 1].base < bus->ranges[at - 1].len) ||
        (at < bus->count && bus->ranges[at].base - range->base < range->len)) {
        return -E_OVERLAP;
    }
    if (bus->count == BUS_RANGES_MAX) {
        return -E_NOMEM;
    }
    memmove(&bus->ranges[at + 1], &bus->ranges[at], (bus->count - at) * sizeof(bus->ranges[0]));
    bus->ranges[at] = *range;
    bus->count++;
    return 0;
}

static u64 value_mask(u8 size)
{
    return ~0ULL >> (64 - 8 * size);
}

/* The largest piece that a range takes at addr: a power of two, within its width, its end and what is left. */
static u8 piece_size(const struct bus_range *range, u64 addr, u8 left)
{
    u64 room = range->len - (addr - range->base);
    u8 size = range->width;

    while (size > left || size > room) {
        size /= 2;
    }
    return size;
}

bool bus_access(const struct bus *bus, u64 addr, u8 size, bool write, u64 *value)
{
    u64 result = write ? *value : value_mask(size);
    bool claimed = false;
    u8 step;

    for (u8 done = 0; done < size; done = (u8)(done + step)) {
        const struct bus_range *range = range_at(bus, addr + done);
        step = 1;
        if (range == NULL) {
            continue;
        }
        step = piece_size(range, addr + done, (u8)(size - done));
        u64 mask = value_mask(step);
        u64 piece = write ? (*value >> (8 * done)) & mask : mask;
        range->handler(range->device, addr + done - range->base, step, write, &piece);
        result = (result & ~(mask << (8 * done))) | (piece & mask) << (8 * done);
        claimed = true;
    }
    if (!write) {
        *value = result;
    }
    return claimed;
}
