/* The reading half of the page-table walker. */
#include "kernel/lib/errno.h"
#include "mm/pt.h"
#include "mm/pt_walk.h"

bool pt_span_make(const struct pt *pt, u64 va, u64 len, struct pt_span *out)
{
    unsigned bits = pt_level_shift(pt->format->levels);
    u64 width = BIT(bits);

    if (!IS_ALIGNED(va, FRAME_SIZE) || !IS_ALIGNED(len, FRAME_SIZE) || len == 0) {
        return false;
    }
    if (pt->format->sign_extended) {
        u64 half = width / 2;
        bool upper = va >= half;
        if (!range_contains(upper ? 0 - half : 0, half, va, len)) {
            return false;
        }
        va &= width - 1;
    }
    *out = (struct pt_span){va, va + len};
    return range_contains(0, width, va, len);
}

/* The leaf that covers va: its entry and level; 0 when there is none. */
static u64 find_leaf(const struct pt *pt, u64 va, unsigned *level)
{
    const u64 *table = pt_table_ptr(pt->root);

    for (unsigned at = pt_root_level(pt);; at--) {
        u64 entry = table[pt_slot_of(va, at)];
        if (!pt_is_table(pt, entry, at)) {
            *level = at;
            return entry;
        }
        table = pt_child_of(pt, entry, at);
    }
}

int pt_query(struct pt *pt, u64 va, struct pt_mapping *out)
{
    struct pt_span span;
    unsigned level;

    if (!pt_span_make(pt, ALIGN_DOWN(va, FRAME_SIZE), FRAME_SIZE, &span)) {
        return -E_NOENT;
    }
    u64 flags = spin_lock(&pt->lock);
    u64 entry = find_leaf(pt, span.start, &level);
    spin_unlock(&pt->lock, flags);
    if (!pt->format->is_present(entry)) {
        return -E_NOENT;
    }
    u64 offset = va & (pt_level_size(level) - 1);
    *out = (struct pt_mapping){HPA(pt->format->entry_pa(entry, level).v + offset),
                               pt->format->leaf_attr(entry, level), level};
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): one call deeper for each level of the format */
static void count_leaves(const struct pt *pt, const u64 *table, unsigned level, u64 counts[3])
{
    for (u64 slot = 0; slot < PT_SLOTS; slot++) {
        if (table[slot] == 0) { /* nothing, in every format; and the lock is held */
            continue;
        }
        if (pt_is_mapped(pt, table[slot], level)) {
            counts[level]++;
        } else if (pt_is_table(pt, table[slot], level)) {
            count_leaves(pt, pt_child_of(pt, table[slot], level), level - 1, counts);
        }
    }
}

void pt_count_leaves(struct pt *pt, u64 counts[3])
{
    counts[0] = counts[1] = counts[2] = 0;
    u64 flags = spin_lock(&pt->lock);
    count_leaves(pt, pt_table_ptr(pt->root), pt_root_level(pt), counts);
    spin_unlock(&pt->lock, flags);
}
