/* A buddy allocator over the frame table. Links of the free lists live in the table, so free memory is not touched. */
#include "mm/frame.h"
#include "kernel/base/lock.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "mm/frame_table.h"
#include "mm/physmap.h"
#include <arch/mem.h>

static struct spinlock lock = SPINLOCK_INIT; /* protects frames after frame_init() */
struct frame_state frames;

static const struct frame_zone *zone_search(u64 key, bool by_index)
{
    u32 low = 0;
    u32 high = frames.zone_count;

    while (low < high) {
        u32 mid = low + (high - low) / 2;
        const struct frame_zone *zone = &frames.zones[mid];
        u64 first = by_index ? zone->index : zone->first;
        if (key < first) {
            high = mid;
        } else if (key - first >= zone->count) {
            low = mid + 1;
        } else {
            return zone;
        }
    }
    return NULL;
}

const struct frame_zone *frame_zone_of(u64 pfn)
{
    return zone_search(pfn, false);
}

static unsigned pool_of(u64 pfn)
{
    return pfn < (LOW_LIMIT >> FRAME_SHIFT) ? POOL_LOW : POOL_HIGH;
}

static u32 index_of(const struct frame_zone *zone, u64 pfn)
{
    return zone->index + (u32)(pfn - zone->first);
}

static u64 pfn_of(const struct frame_zone *zone, u32 index)
{
    return zone->first + (index - zone->index);
}

static void list_push(unsigned pool, unsigned order, u32 index)
{
    u32 next = frames.heads[pool][order];

    frames.table[index] = FIELD_PREP(ENTRY_ORDER, order) | ENTRY_FREE | FIELD_PREP(ENTRY_NEXT, next) |
                         FIELD_PREP(ENTRY_PREV, INDEX_NONE);
    if (next != INDEX_NONE) {
        frames.table[next] = (frames.table[next] & ~ENTRY_PREV) | FIELD_PREP(ENTRY_PREV, index);
    }
    frames.heads[pool][order] = index;
    frames.nonempty[pool] |= BIT32(order);
}

static void list_remove_block(unsigned pool, unsigned order, u32 index)
{
    u32 next = (u32)FIELD_GET(ENTRY_NEXT, frames.table[index]);
    u32 prev = (u32)FIELD_GET(ENTRY_PREV, frames.table[index]);

    if (next != INDEX_NONE) {
        frames.table[next] = (frames.table[next] & ~ENTRY_PREV) | FIELD_PREP(ENTRY_PREV, prev);
    }
    if (prev != INDEX_NONE) {
        frames.table[prev] = (frames.table[prev] & ~ENTRY_NEXT) | FIELD_PREP(ENTRY_NEXT, next);
    } else {
        frames.heads[pool][order] = next;
    }
    if (frames.heads[pool][order] == INDEX_NONE) {
        frames.nonempty[pool] &= ~BIT32(order);
    }
    frames.table[index] = 0;
}

static bool is_free_block(u64 entry, unsigned order)
{
    return (entry & ENTRY_FREE) != 0 && FIELD_GET(ENTRY_ORDER, entry) == order;
}

/* Put a block on its list, joined with its free buddies as far as the zone allows. */
static void release_block(const struct frame_zone *zone, u64 pfn, unsigned order)
{
    unsigned pool = pool_of(pfn);

    while (order < FRAME_ORDER_MAX) {
        u64 buddy = pfn ^ BIT(order);
        if (!range_contains(zone->first, zone->count, buddy, BIT(order))) {
            break;
        }
        u32 index = index_of(zone, buddy);
        if (!is_free_block(frames.table[index], order)) {
            break;
        }
        list_remove_block(pool, order, index);
        pfn &= ~BIT(order);
        order++;
    }
    list_push(pool, order, index_of(zone, pfn));
}

void frame_add_run(const struct frame_zone *zone, u64 first, u64 count)
{
    frames.stats.total += count;
    frames.stats.free += count;
    while (count != 0) {
        unsigned order = first == 0 ? FRAME_ORDER_MAX : MIN((unsigned)__builtin_ctzll(first), FRAME_ORDER_MAX);
        while (BIT(order) > count) {
            order--;
        }
        release_block(zone, first, order);
        first += BIT(order);
        count -= BIT(order);
    }
}

/* Cut the free block at index down to order; the upper halves go back to their lists. */
static u64 carve(unsigned pool, unsigned from, unsigned order, u32 index, u16 owner)
{
    list_remove_block(pool, from, index);
    while (from > order) {
        from--;
        list_push(pool, from, index + (u32)BIT(from));
    }
    frames.table[index] = frame_entry_owned(order, owner);
    frames.stats.free -= BIT(order);
    return pfn_of(zone_search(index, true), index);
}

/* A first block of order or more in pool; false when there is none. */
static bool take_any(unsigned pool, unsigned order, u16 owner, u64 *pfn)
{
    u32 fitting = frames.nonempty[pool] & ~(BIT32(order) - 1);

    if (fitting == 0) {
        return false;
    }
    unsigned from = (unsigned)__builtin_ctz(fitting);
    *pfn = carve(pool, from, order, frames.heads[pool][from], owner);
    return true;
}

/* As take_any(), but the block must end at or below frame number limit. Walks the lists. */
static bool take_below(unsigned pool, unsigned order, u16 owner, u64 limit, u64 *pfn)
{
    for (unsigned from = order; from < ORDER_COUNT; from++) {
        u32 index = frames.heads[pool][from];
        while (index != INDEX_NONE) {
            u64 first = pfn_of(zone_search(index, true), index);
            if (first + BIT(order) <= limit) {
                *pfn = carve(pool, from, order, index, owner);
                return true;
            }
            index = (u32)FIELD_GET(ENTRY_NEXT, frames.table[index]);
        }
    }
    return false;
}

/* The kernel's small structures stay low, where the boot tables and 32-bit code reach them; guests' large blocks come
 * from above 4 GiB while there are any. */
static bool take(unsigned order, u16 owner, u64 limit, u64 *pfn)
{
    unsigned first = order >= FRAME_ORDER_2M ? POOL_HIGH : POOL_LOW;

    if (limit >= frame_phys_limit()) {
        return take_any(first, order, owner, pfn) || take_any(POOL_HIGH - first, order, owner, pfn);
    }
    if (limit >= LOW_LIMIT) {
        return take_any(POOL_LOW, order, owner, pfn) ||
               take_below(POOL_HIGH, order, owner, limit >> FRAME_SHIFT, pfn);
    }
    return take_below(POOL_LOW, order, owner, limit >> FRAME_SHIFT, pfn);
}

static bool owner_valid(u16 owner)
{
    return owner != FRAME_OWNER_FREE && owner != FRAME_OWNER_RESERVED && owner != FRAME_OWNER_PINNED;
}

int frame_alloc_below(unsigned order, u16 owner, u64 limit, hpa_t *out)
{
    u64 pfn;

    if (order > FRAME_ORDER_MAX || !owner_valid(owner)) {
        return -E_INVAL;
    }
    u64 flags = spin_lock(&lock);
    bool found = take(order, owner, limit, &pfn);
    spin_unlock(&lock, flags);
    if (!found) {
        return -E_NOMEM;
    }
    hpa_t pa = HPA(pfn << FRAME_SHIFT);
    arch_mem_zero(phys_ptr(pa), FRAME_SIZE << order);
    *out = pa;
    return 0;
}

int frame_alloc(unsigned order, u16 owner, hpa_t *out)
{
    return frame_alloc_below(order, owner, ~0ULL, out);
}

int frame_free(hpa_t pa, unsigned order, u16 owner)
{
    u64 pfn = pa.v >> FRAME_SHIFT;
    int error = -E_INVAL;

    if (order > FRAME_ORDER_MAX || !IS_ALIGNED(pa.v, FRAME_SIZE) || !owner_valid(owner)) {
        return -E_INVAL;
    }
    u64 flags = spin_lock(&lock);
    const struct frame_zone *zone = frame_zone_of(pfn);
    if (zone != NULL && frames.table[index_of(zone, pfn)] == frame_entry_owned(order, owner)) {
        frames.table[index_of(zone, pfn)] = 0;
        frames.stats.free += BIT(order);
        release_block(zone, pfn, order);
        error = 0;
    }
    spin_unlock(&lock, flags);
    return error;
}

void frame_release_reserved(u64 base, u64 len)
{
    u64 pfn = (base + MIN(FRAME_SIZE - 1, ~0ULL - base)) >> FRAME_SHIFT;
    u64 end = (base + MIN(len, ~0ULL - base)) >> FRAME_SHIFT;
    u64 flags = spin_lock(&lock);

    end = MIN(end, frame_phys_limit() >> FRAME_SHIFT);
    for (; pfn < end; pfn++) {
        const struct frame_zone *zone = frame_zone_of(pfn);
        if (zone != NULL && frames.table[index_of(zone, pfn)] == frame_entry_owned(0, FRAME_OWNER_RESERVED)) {
            frames.table[index_of(zone, pfn)] = 0;
            frames.stats.reserved--;
            frame_add_run(zone, pfn, 1);
        }
    }
    spin_unlock(&lock, flags);
}

u64 frame_count_owned(u16 owner)
{
    u64 count = 0;
    u64 flags = spin_lock(&lock);

    for (u32 index = 0; index < frames.indexes;) {
        u64 entry = frames.table[index];
        unsigned order = (unsigned)FIELD_GET(ENTRY_ORDER, entry);
        u16 tag = (entry & ENTRY_FREE) != 0 ? (u16)FRAME_OWNER_FREE : (u16)FIELD_GET(ENTRY_OWNER, entry);
        if (tag == owner) {
            count += BIT(order);
        }
        index += (u32)BIT(order);
    }
    spin_unlock(&lock, flags);
    return count;
}

struct frame_stats frame_get_stats(void)
{
    u64 flags = spin_lock(&lock);
    struct frame_stats stats = frames.stats;

    spin_unlock(&lock, flags);
    return stats;
}

u64 frame_phys_limit(void)
{
    if (frames.zone_count == 0) {
        return 0;
    }
    const struct frame_zone *last = &frames.zones[frames.zone_count - 1];
    return (last->first + last->count) << FRAME_SHIFT;
}

bool frame_ram_range(u32 index, struct frame_range *out)
{
    if (index >= frames.zone_count) {
        return false;
    }
    *out = (struct frame_range){frames.zones[index].first << FRAME_SHIFT, frames.zones[index].count << FRAME_SHIFT};
    return true;
}
