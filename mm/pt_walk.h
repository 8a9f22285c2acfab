/* Inside of the page-table walker: levels, slots and spans. Only pt*.c include this. */
#pragma once
#include "mm/frame.h"
#include "mm/physmap.h"
#include "mm/pt.h"

#define PT_LEVEL_BITS 9U
#define PT_SLOTS BIT(PT_LEVEL_BITS)

/* A span of table addresses: half-open, sign extension taken off. */
struct pt_span {
    u64 start;
    u64 end;
};

static inline unsigned pt_level_shift(unsigned level)
{
    return FRAME_SHIFT + PT_LEVEL_BITS * level;
}

static inline u64 pt_level_size(unsigned level)
{
    return BIT(pt_level_shift(level));
}

static inline u64 pt_slot_of(u64 va, unsigned level)
{
    return (va >> pt_level_shift(level)) % PT_SLOTS;
}

static inline unsigned pt_root_level(const struct pt *pt)
{
    return pt->format->levels - 1U;
}

static inline u64 *pt_table_ptr(hpa_t pa)
{
    return phys_ptr(pa);
}

static inline u64 *pt_child_of(const struct pt *pt, u64 entry, unsigned level)
{
    return pt_table_ptr(pt->format->entry_pa(entry, level));
}

static inline bool pt_is_table(const struct pt *pt, u64 entry, unsigned level)
{
    return level > 0 && pt->format->is_present(entry) && !pt->format->is_leaf(entry, level);
}

static inline bool pt_is_mapped(const struct pt *pt, u64 entry, unsigned level)
{
    return pt->format->is_present(entry) && pt->format->is_leaf(entry, level);
}

/* The part of a span that one slot covers, for slot-by-slot walks: moves *va to the next slot. */
static inline struct pt_span pt_slot_next(u64 *va, u64 end, unsigned level)
{
    struct pt_span part = {*va, MIN(end, ALIGN_DOWN(*va, pt_level_size(level)) + pt_level_size(level))};

    *va = part.end;
    return part;
}

/* Check an argument range and take the sign extension off; false when it does not lie in the format's address space. */
bool pt_span_make(const struct pt *pt, u64 va, u64 len, struct pt_span *out);
