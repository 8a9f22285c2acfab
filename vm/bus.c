#include "vm/bus.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

#define ACCESS_MAX 8U

/* How many ranges begin at or below addr. */
static __attribute__((noinline)) u32 ranges_up_to(const struct bus *bus, u64 addr)
{
    u32 below = 0;

    if (bus->count == 0) {
        return 0;
    }
    for (u32 step = BIT32(31 - (u32)__builtin_clz(bus->count)); step != 0; step /= 2) {
        if (below + step <= bus->count && bus->bases[below + step - 1] <= addr) {
            below += step;
        }
    }
    return below;
}

/* The same, found again without a search when the last access with this hash was near. The number never exceeds the count,
 * which only grows. */
static inline u32 locate(struct bus *bus, u64 addr)
{
    u8 *hint = &bus->hints[(addr ^ addr / BUS_HINTS) % BUS_HINTS];
    u32 at = READ_ONCE(*hint);

    if ((at != 0 && bus->bases[at - 1] > addr) || (at != bus->count && bus->bases[at] <= addr)) {
        at = ranges_up_to(bus, addr);
        WRITE_ONCE(*hint, (u8)at);
    }
    return at;
}

/* The range that covers addr among the first `at`. */
static inline const struct bus_range *range_at(const struct bus *bus, u32 at, u64 addr)
{
    if (at == 0) {
        return NULL;
    }
    const struct bus_range *range = &bus->ranges[at - 1];
    return addr - range->base < range->len ? range : NULL;
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
    memmove(&bus->bases[at + 1], &bus->bases[at], (bus->count - at) * sizeof(bus->bases[0]));
    bus->ranges[at] = *range;
    bus->bases[at] = range->base;
    bus->count++;
    return 0;
}

void bus_set_rest(struct bus *bus, bus_handler handler, void *device)
{
    bus->rest = handler;
    bus->rest_device = device;
}

/* size: 1, 2, 4 or 8 */
static inline u64 value_mask(u8 size)
{
    static const u64 masks[] = {[1] = GENMASK(7, 0), [2] = GENMASK(15, 0), [4] = GENMASK(31, 0), [8] = ~0ULL};

    return masks[size];
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

/* An access that no single range takes as it is. Returns whether any byte was claimed. */
static __attribute__((noinline)) bool access_in_pieces(const struct bus *bus, u64 addr, u8 size, bool write, u64 *value)
{
    u64 result = write ? *value : value_mask(size);
    bool claimed = false;
    u8 step;

    for (u8 done = 0; done < size; done = (u8)(done + step)) {
        const struct bus_range *range = range_at(bus, ranges_up_to(bus, addr + done), addr + done);
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

/* A read's value is all ones so far. */
static __attribute__((noinline)) void access_rest(const struct bus *bus, u64 addr, u8 size, bool write, u64 *value)
{
    *value &= value_mask(size);
    bus->rest(bus->rest_device, addr, size, write, value);
    *value &= value_mask(size);
}

bool bus_access(struct bus *bus, u64 addr, u8 size, bool write, u64 *value)
{
    u32 at = locate(bus, addr);
    const struct bus_range *range = range_at(bus, at, addr);

    if (range == NULL && (at == bus->count || bus->bases[at] - addr >= size)) {
        if (!write) {
            *value = value_mask(size);
        }
        if (bus->rest != NULL) {
            access_rest(bus, addr, size, write, value);
        }
        return false;
    }
    if (range == NULL || size > range->width || size > range->len - (addr - range->base)) {
        return access_in_pieces(bus, addr, size, write, value);
    }
    u64 mask = value_mask(size);
    *value = write ? *value & mask : mask;
    range->handler(range->device, addr - range->base, size, write, value);
    if (!write) {
        *value &= mask;
    }
    return true;
}
