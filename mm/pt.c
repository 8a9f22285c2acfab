/* The one radix page-table walker. Level 0 holds 4 KiB leaves; the root is level format->levels - 1. */
#include "mm/pt.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "mm/pt_walk.h"

static int table_new(struct pt *pt, hpa_t *out)
{
    int error = frame_alloc(0, pt->owner, out);

    if (error == 0) {
        pt->tables++;
    }
    return error;
}

static void table_free(struct pt *pt, hpa_t pa)
{
    int error = frame_free(pa, 0, pt->owner);

    ASSERT(error == 0);
    pt->tables--;
}

int pt_init(struct pt *pt, const struct pt_format *format, u16 owner)
{
    hpa_t root;
    int error = frame_alloc(0, owner, &root);

    if (error == 0) {
        *pt = (struct pt){.format = format, .root = root, .owner = owner, .tables = 1};
    }
    return error;
}

/* Free the tables below and the table itself. */
/* NOLINTNEXTLINE(misc-no-recursion): one call deeper for each level of the format */
static void destroy_table(struct pt *pt, hpa_t pa, unsigned level)
{
    const u64 *table = pt_table_ptr(pa);

    for (u64 slot = 0; level > 0 && slot < PT_SLOTS; slot++) {
        if (pt_is_table(pt, table[slot], level)) {
            destroy_table(pt, pt->format->entry_pa(table[slot], level), level - 1);
        }
    }
    table_free(pt, pa);
}

void pt_destroy(struct pt *pt)
{
    destroy_table(pt, pt->root, pt_root_level(pt));
    ASSERT(pt->tables == 0);
}

/* NOLINTNEXTLINE(misc-no-recursion): one call deeper for each level of the format */
static bool any_mapped(const struct pt *pt, const u64 *table, unsigned level, struct pt_span span)
{
    for (u64 va = span.start; va < span.end;) {
        u64 entry = table[pt_slot_of(va, level)];
        struct pt_span part = pt_slot_next(&va, span.end, level);
        if (pt_is_mapped(pt, entry, level)) {
            return true;
        }
        if (pt_is_table(pt, entry, level) && any_mapped(pt, pt_child_of(pt, entry, level), level - 1, part)) {
            return true;
        }
    }
    return false;
}

/* The slot for a leaf of *level at va, with its tables made; a table already in the way lowers *level. NULL: no memory.
 * No leaf covers va. */
static u64 *slot_make(struct pt *pt, u64 va, unsigned *level)
{
    u64 *table = pt_table_ptr(pt->root);

    for (unsigned at = pt_root_level(pt);; at--) {
        u64 *entry = &table[pt_slot_of(va, at)];
        if (at <= *level && !pt_is_table(pt, *entry, at)) {
            *level = at;
            return entry;
        }
        if (!pt->format->is_present(*entry)) {
            hpa_t fresh;
            if (table_new(pt, &fresh) != 0) {
                return NULL;
            }
            *entry = pt->format->make_table(fresh);
        }
        table = pt_child_of(pt, *entry, at);
    }
}

static unsigned leaf_level(const struct pt *pt, u64 va, u64 pa, u64 len)
{
    unsigned level = pt->format->max_leaf_level;

    while (level > 0 && (!IS_ALIGNED(va | pa, pt_level_size(level)) || len < pt_level_size(level))) {
        level--;
    }
    return level;
}

/* Fill an unmapped span; stops at the first failure with *done at what is not mapped yet. */
static int fill(struct pt *pt, struct pt_span span, u64 pa, u32 attr, u64 *done)
{
    *done = span.start;
    while (*done < span.end) {
        u64 at = pa + (*done - span.start);
        unsigned level = leaf_level(pt, *done, at, span.end - *done);
        u64 *slot = slot_make(pt, *done, &level);
        if (slot == NULL) {
            return -E_NOMEM;
        }
        WRITE_ONCE(*slot, pt->format->make_leaf(HPA(at), level, attr));
        *done += pt_level_size(level);
    }
    return 0;
}

static bool table_empty(const struct pt *pt, const u64 *table)
{
    for (u64 slot = 0; slot < PT_SLOTS; slot++) {
        if (pt->format->is_present(table[slot])) {
            return false;
        }
    }
    return true;
}

/* Remove every leaf of a span at whose edges no leaf is cut, and every table that is then empty. */
/* NOLINTNEXTLINE(misc-no-recursion): one call deeper for each level of the format */
static void clear(struct pt *pt, u64 *table, unsigned level, struct pt_span span)
{
    for (u64 va = span.start; va < span.end;) {
        u64 *slot = &table[pt_slot_of(va, level)];
        struct pt_span part = pt_slot_next(&va, span.end, level);
        if (pt_is_mapped(pt, *slot, level)) {
            WRITE_ONCE(*slot, 0);
        } else if (pt_is_table(pt, *slot, level)) {
            hpa_t below = pt->format->entry_pa(*slot, level);
            clear(pt, pt_table_ptr(below), level - 1, part);
            if (table_empty(pt, pt_table_ptr(below))) {
                WRITE_ONCE(*slot, 0);
                table_free(pt, below);
            }
        }
    }
}

static int map_locked(struct pt *pt, struct pt_span span, hpa_t pa, u32 attr)
{
    u64 *root = pt_table_ptr(pt->root);
    u64 done;

    if (any_mapped(pt, root, pt_root_level(pt), span)) {
        return -E_EXIST;
    }
    int error = fill(pt, span, pa.v, attr, &done);
    if (error != 0) {
        clear(pt, root, pt_root_level(pt), (struct pt_span){span.start, MIN(span.end, done + FRAME_SIZE)});
    }
    return error;
}

/* Can the format's entries hold every address of [pa, pa+len)? */
static bool pa_fits(const struct pt *pt, hpa_t pa, u64 len)
{
    u64 last = pa.v + len - FRAME_SIZE;

    return IS_ALIGNED(pa.v, FRAME_SIZE) && last >= pa.v &&
           pt->format->entry_pa(pt->format->make_leaf(HPA(last), 0, PT_READ), 0).v == last;
}

int pt_map(struct pt *pt, u64 va, hpa_t pa, u64 len, u32 attr)
{
    struct pt_span span;

    if (!pt_span_make(pt, va, len, &span) || !pa_fits(pt, pa, len) || (attr & PT_READ) == 0) {
        return -E_INVAL;
    }
    u64 flags = spin_lock(&pt->lock);
    int error = map_locked(pt, span, pa, attr);
    spin_unlock(&pt->lock, flags);
    return error;
}

/* Replace a leaf by a table of leaves one level down that map the same. */
static int split_leaf(struct pt *pt, u64 *slot, unsigned level)
{
    hpa_t fresh;
    hpa_t pa = pt->format->entry_pa(*slot, level);
    u32 attr = pt->format->leaf_attr(*slot, level);
    int error = table_new(pt, &fresh);

    if (error != 0) {
        return error;
    }
    u64 *table = pt_table_ptr(fresh);
    for (u64 i = 0; i < PT_SLOTS; i++) {
        table[i] = pt->format->make_leaf(HPA(pa.v + i * pt_level_size(level - 1)), level - 1, attr);
    }
    WRITE_ONCE(*slot, pt->format->make_table(fresh));
    return 0;
}

/* Make sure that no leaf straddles address edge. */
static int split_at(struct pt *pt, u64 edge)
{
    u64 *table = pt_table_ptr(pt->root);

    for (unsigned level = pt_root_level(pt); level > 0 && !IS_ALIGNED(edge, pt_level_size(level)); level--) {
        u64 *slot = &table[pt_slot_of(edge, level)];
        if (!pt->format->is_present(*slot)) {
            return 0;
        }
        int error = pt->format->is_leaf(*slot, level) ? split_leaf(pt, slot, level) : 0;
        if (error != 0) {
            return error;
        }
        table = pt_child_of(pt, *slot, level);
    }
    return 0;
}

static int split_edges(struct pt *pt, struct pt_span span)
{
    int error = split_at(pt, span.start);

    return error != 0 ? error : split_at(pt, span.end);
}

int pt_unmap(struct pt *pt, u64 va, u64 len)
{
    struct pt_span span;

    if (!pt_span_make(pt, va, len, &span)) {
        return -E_INVAL;
    }
    u64 flags = spin_lock(&pt->lock);
    int error = split_edges(pt, span);
    if (error == 0) {
        clear(pt, pt_table_ptr(pt->root), pt_root_level(pt), span);
        WRITE_ONCE(pt->generation, pt->generation + 1);
    }
    spin_unlock(&pt->lock, flags);
    return error;
}

/* Give every leaf of a span at whose edges no leaf is cut new attributes. */
/* NOLINTNEXTLINE(misc-no-recursion): one call deeper for each level of the format */
static void reattribute(struct pt *pt, u64 *table, unsigned level, struct pt_span span, u32 attr)
{
    for (u64 va = span.start; va < span.end;) {
        u64 *slot = &table[pt_slot_of(va, level)];
        struct pt_span part = pt_slot_next(&va, span.end, level);
        if (pt_is_mapped(pt, *slot, level)) {
            WRITE_ONCE(*slot, pt->format->make_leaf(pt->format->entry_pa(*slot, level), level, attr));
        } else if (pt_is_table(pt, *slot, level)) {
            reattribute(pt, pt_child_of(pt, *slot, level), level - 1, part, attr);
        }
    }
}

int pt_protect(struct pt *pt, u64 va, u64 len, u32 attr)
{
    struct pt_span span;

    if (!pt_span_make(pt, va, len, &span) || (attr & PT_READ) == 0) {
        return -E_INVAL;
    }
    u64 flags = spin_lock(&pt->lock);
    int error = split_edges(pt, span);
    if (error == 0) {
        reattribute(pt, pt_table_ptr(pt->root), pt_root_level(pt), span, attr);
        WRITE_ONCE(pt->generation, pt->generation + 1);
    }
    spin_unlock(&pt->lock, flags);
    return error;
}
