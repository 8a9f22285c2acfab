/* Inside of the frame allocator: the per-frame table and the zones it covers. Only frame*.c include this. */
#pragma once
#include "kernel/lib/types.h"
#include "mm/frame.h"

/* A run of RAM without holes. Its frames have consecutive table indexes; blocks never cross a zone's edge. */
struct frame_zone {
    u64 first;   /* frame number (physical address >> FRAME_SHIFT) */
    u64 count;   /* frames */
    u32 index;   /* table index of the first frame */
};

/* One table entry per frame of every zone, 8 bytes:
 *   free head:      FREE, order, next and prev (table indexes of the free list)
 *   allocated head: order, owner
 *   reserved:       order 0, owner FRAME_OWNER_RESERVED or FRAME_OWNER_PINNED
 *   any other frame of a block: 0 */
#define ENTRY_ORDER GENMASK(4, 0)
#define ENTRY_FREE BIT(5)
#define ENTRY_OWNER GENMASK(21, 6)
#define ENTRY_NEXT GENMASK(34, 6)
#define ENTRY_PREV GENMASK(63, 35)
#define FRAME_OWNER_PINNED 15U /* reserved and never released: frame 0, the kernel, the table */
#define INDEX_BITS 29U
#define INDEX_NONE ((u32)BIT(INDEX_BITS) - 1)
#define FRAMES_MAX ((u64)INDEX_NONE) /* 2 TiB of RAM; more is left out */

#define ZONES_MAX BOOT_REGIONS_MAX

/* Blocks of up to 1 GiB lie wholly below or wholly above 4 GiB. */
#define LOW_LIMIT GIB(4)
enum { POOL_LOW, POOL_HIGH, POOL_COUNT };
#define ORDER_COUNT (FRAME_ORDER_MAX + 1)

struct frame_state {
    u64 *table;
    u32 indexes; /* entries in table */
    u32 zone_count;
    struct frame_zone zones[ZONES_MAX]; /* sorted, disjoint, not adjacent */
    u32 heads[POOL_COUNT][ORDER_COUNT];
    u32 nonempty[POOL_COUNT]; /* bit n: heads[n] is not empty */
    struct frame_stats stats;
};

extern struct frame_state frames;

static inline u64 frame_entry_owned(unsigned order, u16 owner)
{
    return FIELD_PREP(ENTRY_ORDER, order) | FIELD_PREP(ENTRY_OWNER, owner);
}

/* Give the free run [first, first+count) of one zone to the free lists as maximal blocks, and count it. The run's
 * entries are zero or reserved. Lock held, or boot. */
void frame_add_run(const struct frame_zone *zone, u64 first, u64 count);

/* The zone that holds frame number pfn, or NULL. */
const struct frame_zone *frame_zone_of(u64 pfn);
