/* What GDB wants watched, in the points that the hardware has. */
#include "kernel/lib/string.h"
#include "vm/gdb/session_parts.h"

#define POINT_BYTES_MAX 8U

/* No vCPU has it as such: what is read is what is accessed. */
static enum vcpu_debug_type type_of(enum gdb_point type)
{
    return type == GDB_POINT_EXECUTE ? VCPU_DEBUG_EXECUTE : type == GDB_POINT_WRITE ? VCPU_DEBUG_WRITE : VCPU_DEBUG_ACCESS;
}

/* The longest piece at the start of a range. */
static u32 piece_of(u64 address, u64 len)
{
    u32 piece = POINT_BYTES_MAX;

    while (piece > len || address % piece != 0) {
        piece /= 2;
    }
    return piece;
}

static bool is_same(const struct gdb_watch *a, const struct gdb_watch *b)
{
    return a->type == b->type && a->address == b->address && a->len == b->len;
}

static bool insert(struct gdb_session *s, const struct gdb_watch *watch)
{
    struct vcpu_debug_point points[VCPU_DEBUG_POINTS];
    struct gdb_watch watches[VCPU_DEBUG_POINTS];
    u64 address = watch->address, left = watch->type == GDB_POINT_EXECUTE ? 1 : watch->len;

    memcpy(points, s->points, sizeof(points));
    memcpy(watches, s->watches, sizeof(watches));
    for (u32 i = 0; i < VCPU_DEBUG_POINTS && left != 0; i++) {
        if (points[i].type != VCPU_DEBUG_NOTHING) {
            continue;
        }
        u32 len = piece_of(address, left);
        points[i] = (struct vcpu_debug_point){type_of(watch->type), len, address};
        watches[i] = *watch;
        address += len;
        left -= len;
    }
    if (left != 0) {
        return false; /* all or nothing */
    }
    memcpy(s->points, points, sizeof(points));
    memcpy(s->watches, watches, sizeof(watches));
    return true;
}

bool gdb_points_change(struct gdb_session *s, const struct gdb_watch *watch, bool set)
{
    bool found = false;

    for (u32 i = 0; i < VCPU_DEBUG_POINTS; i++) {
        bool same = s->points[i].type != VCPU_DEBUG_NOTHING && is_same(&s->watches[i], watch);
        found = found || same;
        if (same && !set) {
            s->points[i].type = VCPU_DEBUG_NOTHING;
        }
    }
    return !set || found || insert(s, watch);
}
