/* Free space for loader data. See vm/load/space.h. */
#include "vm/load/space.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"

#define MAP_MAX 8U

int load_fail(char *why, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fmt_vsnprintf(why, LOAD_WHY_MAX, format, args);
    va_end(args);
    return error;
}

int load_fail_space(const struct load_request *rq, const char *what, u64 len)
{
    return load_fail(rq->why, -E_NOMEM, "no room for %s of %llu bytes in the VM's %lluM of memory", what,
                     (unsigned long long)len, (unsigned long long)(rq->ram_size >> 20));
}

int load_copy(const struct load_request *rq, u64 gpa, const void *data, u64 len)
{
    int error = len == 0 ? 0 : gmem_load(rq->mem, GPA(gpa), data, (size_t)len);

    if (error != 0) {
        return load_fail(rq->why, error, "cannot write %llu bytes at 0x%llx", (unsigned long long)len,
                         (unsigned long long)gpa);
    }
    return 0;
}

/* Takes the gaps between the pieces of RAM, which load_memory_map() gives in ascending order. */
void load_space_init(struct load_space *space, u64 ram_size)
{
    struct load_map_entry map[MAP_MAX];
    u32 count = load_memory_map(ram_size, map);

    space->count = 0;
    space->end = 0;
    for (u32 i = 0; i < count; i++) {
        if (!map[i].ram || map[i].base >= LOAD_HOLE_START) {
            continue;
        }
        if (map[i].base > space->end) {
            space->used[space->count++] = (struct load_range){space->end, map[i].base - space->end};
        }
        space->end = map[i].base + map[i].len;
    }
}

int load_space_take(struct load_space *space, u64 base, u64 len)
{
    if (space->count == LOAD_RANGES_MAX) {
        return -E_NOMEM;
    }
    space->used[space->count++] = (struct load_range){base, len};
    return 0;
}

int load_space_take_plan(struct load_space *space, const struct load_plan *plan)
{
    int error = 0;

    for (u32 i = 0; i < plan->count && error == 0; i++) {
        error = load_space_take(space, plan->segments[i].gpa, plan->segments[i].size_mem);
    }
    return error;
}

static const struct load_range *find_user(const struct load_space *space, u64 base, u64 len)
{
    for (u32 i = 0; i < space->count; i++) {
        if (ranges_overlap(base, len, space->used[i].base, space->used[i].len)) {
            return &space->used[i];
        }
    }
    return NULL;
}

/* Each turn moves behind one used range, so there are at most count turns. */
int load_space_low(struct load_space *space, u64 floor, u64 len, u64 align, u64 *out)
{
    u64 base = ALIGN_UP(floor, align);

    while (range_contains(0, space->end, base, len)) {
        const struct load_range *user = find_user(space, base, len);
        if (user == NULL) {
            int error = load_space_take(space, base, len);
            if (error == 0) {
                *out = base;
            }
            return error;
        }
        base = ALIGN_UP(user->base + user->len, align);
    }
    return -E_NOMEM;
}

int load_space_high(struct load_space *space, u64 limit, u64 len, u64 align, u64 *out)
{
    u64 top = MIN(limit, space->end);

    while (len <= top) {
        u64 base = ALIGN_DOWN(top - len, align);
        const struct load_range *user = find_user(space, base, len);
        if (user == NULL) {
            int error = load_space_take(space, base, len);
            if (error == 0) {
                *out = base;
            }
            return error;
        }
        top = user->base;
    }
    return -E_NOMEM;
}
