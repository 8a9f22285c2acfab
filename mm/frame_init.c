/* From the boot memory map to zones, the frame table and the first free lists. Runs once; trusts no number it reads. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/frame.h"
#include "mm/frame_table.h"
#include "mm/physmap.h"
#include <arch/mem.h>

#define LIMIT_PFN (PHYSMAP_LIMIT >> FRAME_SHIFT)

/* Half-open, in frame numbers. */
struct run {
    u64 first;
    u64 end;
};

/* What must stay out of the free lists, by source. */
struct keep_out {
    const struct boot_info *info;
    const struct frame_range *reserved;
    size_t reserved_count;
    struct run table; /* the frame table, once placed */
};

/* The frames that [base, base+len) touches (outward) or fills (inward), clipped at the direct map's limit. */
static struct run run_of(u64 base, u64 len, bool outward)
{
    u64 end = MIN(base, PHYSMAP_LIMIT) + MIN(len, PHYSMAP_LIMIT - MIN(base, PHYSMAP_LIMIT));
    u64 slack = FRAME_SIZE - 1;
    struct run run = {(MIN(base, PHYSMAP_LIMIT) + (outward ? 0 : slack)) >> FRAME_SHIFT,
                      (end + (outward ? slack : 0)) >> FRAME_SHIFT};

    if (len == 0 || run.end < run.first) {
        run.end = run.first;
    }
    return run;
}

static void zone_remove(u32 at)
{
    frames.zone_count--;
    memmove(&frames.zones[at], &frames.zones[at + 1], (frames.zone_count - at) * sizeof(frames.zones[0]));
}

/* A zone too many is left out. */
static void zone_insert(u32 at, struct run run)
{
    if (frames.zone_count < ZONES_MAX) {
        memmove(&frames.zones[at + 1], &frames.zones[at], (frames.zone_count - at) * sizeof(frames.zones[0]));
        frames.zones[at] = (struct frame_zone){.first = run.first, .count = run.end - run.first};
        frames.zone_count++;
    }
}

/* Add RAM, joined with every zone that it overlaps or touches. */
static void zone_add(struct run run)
{
    u32 at = 0;

    while (at < frames.zone_count && frames.zones[at].first + frames.zones[at].count < run.first) {
        at++;
    }
    while (at < frames.zone_count && frames.zones[at].first <= run.end) {
        run.first = MIN(run.first, frames.zones[at].first);
        run.end = MAX(run.end, frames.zones[at].first + frames.zones[at].count);
        zone_remove(at);
    }
    zone_insert(at, run);
}

/* Take what is not RAM out of the zones that claim it. */
static void zone_cut(struct run cut)
{
    for (u32 at = frames.zone_count; cut.first != cut.end && at-- > 0;) {
        struct run below = {frames.zones[at].first, frames.zones[at].first + frames.zones[at].count};
        struct run above = {MAX(below.first, cut.end), below.end};
        below.end = MIN(below.end, cut.first);
        if (below.first >= cut.end || above.end <= cut.first) {
            continue;
        }
        zone_remove(at);
        if (above.first < above.end) {
            zone_insert(at, above);
        }
        if (below.first < below.end) {
            zone_insert(at, below);
        }
    }
}

/* Number the frames; RAM beyond what an index can name is left out. */
static void zones_number(void)
{
    u64 index = 0;

    for (u32 i = 0; i < frames.zone_count; i++) {
        struct frame_zone *zone = &frames.zones[i];
        zone->index = (u32)index;
        zone->count = MIN(zone->count, FRAMES_MAX - index);
        index += zone->count;
        if (zone->count == 0) {
            frames.zone_count = i;
        }
    }
    frames.indexes = (u32)index;
}

static void zones_build(const struct boot_info *info)
{
    u32 count = MIN(info->region_count, BOOT_REGIONS_MAX);

    frames.zone_count = 0;
    for (u32 i = 0; i < count; i++) {
        struct run run = run_of(info->regions[i].base, info->regions[i].len, false);
        if (info->regions[i].type == BOOT_REGION_RAM && run.first != run.end) {
            zone_add(run);
        }
    }
    for (u32 i = 0; i < count; i++) {
        if (info->regions[i].type != BOOT_REGION_RAM) {
            zone_cut(run_of(info->regions[i].base, info->regions[i].len, true));
        }
    }
    zones_number();
}

/* Shorten *run, which starts at a frame of interest, by one blocked range: a block that covers the start moves it
 * (returns true: look at all of them again), one further up ends the run. */
static bool run_avoid(struct run *run, struct run blocked)
{
    if (blocked.first == blocked.end || blocked.end <= run->first || blocked.first >= run->end) {
        return false;
    }
    if (blocked.first > run->first) {
        run->end = blocked.first;
        return false;
    }
    run->first = MIN(blocked.end, run->end);
    return true;
}

static bool run_avoid_range(struct run *run, u64 base, u64 len)
{
    return run_avoid(run, run_of(base, len, true));
}

static bool run_avoid_info(struct run *run, const struct boot_info *info)
{
    bool moved = run_avoid_range(run, 0, FRAME_SIZE);

    moved |= run_avoid_range(run, info->kernel_base.v, info->kernel_len);
    moved |= run_avoid_range(run, info->info_base.v, info->info_len);
    for (u32 i = 0; i < MIN(info->module_count, BOOT_MODULES_MAX); i++) {
        moved |= run_avoid_range(run, info->modules[i].base.v, info->modules[i].len);
    }
    return moved;
}

/* The first usable run of zone at or after *cursor; false when there is none. Moves *cursor behind it. */
static bool run_next(const struct keep_out *keep, const struct frame_zone *zone, u64 *cursor, struct run *out)
{
    u64 zone_end = zone->first + zone->count;
    struct run run = {MAX(*cursor, zone->first), zone_end};
    bool moved = true;

    while (moved && run.first < zone_end) {
        run.end = zone_end;
        moved = run_avoid(&run, keep->table);
        moved |= run_avoid_info(&run, keep->info);
        for (size_t i = 0; i < keep->reserved_count; i++) {
            moved |= run_avoid_range(&run, keep->reserved[i].base, keep->reserved[i].len);
        }
    }
    *cursor = run.end;
    *out = run;
    return run.first < run.end;
}

/* The table goes to the top of the last run below 4 GiB that can hold it, else of the first above. */
static int table_place(struct keep_out *keep, u64 table_frames)
{
    struct run found = {0, 0};

    for (u32 i = 0; i < frames.zone_count; i++) {
        u64 cursor = 0;
        struct run run;
        while (run_next(keep, &frames.zones[i], &cursor, &run)) {
            u64 end = run.first < (LOW_LIMIT >> FRAME_SHIFT) ? MIN(run.end, LOW_LIMIT >> FRAME_SHIFT) : run.end;
            bool better = found.end == 0 || end <= (LOW_LIMIT >> FRAME_SHIFT);
            if (end - run.first >= table_frames && better) {
                found = (struct run){end - table_frames, end};
            }
        }
    }
    if (found.end == 0) {
        return -E_NOMEM;
    }
    keep->table = found;
    return 0;
}

/* Tag what lies between two usable runs as reserved. */
static void hold_back(const struct frame_zone *zone, u64 first, u64 end)
{
    frames.stats.reserved += end - first;
    for (; first < end; first++) {
        frames.table[zone->index + (first - zone->first)] = frame_entry_owned(0, FRAME_OWNER_RESERVED);
    }
}

static void zone_fill(const struct keep_out *keep, const struct frame_zone *zone)
{
    u64 cursor = 0;
    u64 done = zone->first;
    struct run run;

    while (run_next(keep, zone, &cursor, &run)) {
        hold_back(zone, done, run.first);
        frame_add_run(zone, run.first, run.end - run.first);
        done = run.end;
    }
    hold_back(zone, done, zone->first + zone->count);
}

/* Retag reserved frames that nobody may release, whatever a module's address range claims. */
static void pin(struct run run)
{
    for (u32 i = 0; i < frames.zone_count; i++) {
        const struct frame_zone *zone = &frames.zones[i];
        u64 end = MIN(run.end, zone->first + zone->count);
        for (u64 pfn = MAX(run.first, zone->first); pfn < end; pfn++) {
            frames.table[zone->index + (pfn - zone->first)] = frame_entry_owned(0, FRAME_OWNER_PINNED);
        }
    }
}

static void pin_all(const struct keep_out *keep)
{
    pin((struct run){0, 1});
    pin(keep->table);
    pin(run_of(keep->info->kernel_base.v, keep->info->kernel_len, true));
}

static void lists_clear(void)
{
    for (unsigned pool = 0; pool < POOL_COUNT; pool++) {
        for (unsigned order = 0; order < ORDER_COUNT; order++) {
            frames.heads[pool][order] = INDEX_NONE;
        }
        frames.nonempty[pool] = 0;
    }
    frames.stats = (struct frame_stats){0, 0, 0};
}

int frame_init(const struct boot_info *info, const struct frame_range *reserved, size_t reserved_count)
{
    struct keep_out keep = {info, reserved, reserved_count, {0, 0}};

    zones_build(info);
    lists_clear();
    u64 table_bytes = ALIGN_UP((u64)frames.indexes * sizeof(u64), FRAME_SIZE);
    int error = table_place(&keep, table_bytes >> FRAME_SHIFT);
    if (error != 0) {
        return error;
    }
    frames.table = phys_ptr(HPA(keep.table.first << FRAME_SHIFT));
    arch_mem_zero(frames.table, table_bytes);
    for (u32 i = 0; i < frames.zone_count; i++) {
        zone_fill(&keep, &frames.zones[i]);
    }
    pin_all(&keep);
    return 0;
}
