/* Registers, memory and breakpoints of a VM that stands still, for GDB's commands. */
#include "kernel/lib/string.h"
#include "mm/frame.h"
#include "vm/gdb/session_parts.h"

static bool reg_read(void *ctx, u32 reg, u8 *bytes)
{
    struct gdb_session *s = ctx;

    vcpu_debug_reg_read(s->v, reg, bytes);
    return true;
}

static bool reg_write(void *ctx, u32 reg, const u8 *bytes)
{
    struct gdb_session *s = ctx;

    return vcpu_debug_reg_write(s->v, reg, bytes) == 0;
}

/* How far the page goes. */
static size_t in_page(u64 address, size_t len)
{
    return MIN(len, FRAME_SIZE - address % FRAME_SIZE);
}

/* What the guest has where we put breakpoints: out of a copy of [address, address+len), or into what we keep. */
static void swap_saved(struct gdb_session *s, u64 address, u8 *bytes, size_t len, bool keep)
{
    for (u32 i = 0; i < GDB_BREAKPOINTS; i++) {
        struct gdb_breakpoint *b = &s->breakpoints[i];
        for (u32 at = 0; b->used && at < vcpu_debug_trap_len(); at++) {
            u64 offset = b->address + at - address;
            if (offset < len && keep) {
                b->saved[at] = bytes[offset];
                bytes[offset] = vcpu_debug_trap[at];
            } else if (offset < len) {
                bytes[offset] = b->saved[at];
            }
        }
    }
}

/* RAM only: devices would notice. */
static size_t mem_read(void *ctx, u64 address, u8 *bytes, size_t len)
{
    struct gdb_session *s = ctx;
    size_t done = 0;

    while (done < len) {
        size_t part = in_page(address + done, len - done);
        gpa_t gpa;
        if (vcpu_translate(s->v, GVA(address + done), &gpa) != 0 || gmem_read(&s->vm->mem, gpa, bytes + done, part) != 0) {
            break;
        }
        done += part;
    }
    swap_saved(s, address, bytes, done, false);
    return done;
}

static bool mem_write(void *ctx, u64 address, const u8 *bytes, size_t len)
{
    struct gdb_session *s = ctx;
    u8 copy[256];

    for (size_t done = 0; done < len;) {
        size_t part = MIN(in_page(address + done, len - done), sizeof(copy));
        gpa_t gpa;
        if (vcpu_translate(s->v, GVA(address + done), &gpa) != 0 || !gmem_contains(&s->vm->mem, gpa, part)) {
            return false;
        }
        memcpy(copy, bytes + done, part);
        swap_saved(s, address + done, copy, part, true);
        if (gmem_write(&s->vm->mem, gpa, copy, part) != 0) {
            return false;
        }
        done += part;
    }
    return true;
}

const struct gdb_breakpoint *gdb_breakpoint_at(const struct gdb_session *s, u64 address)
{
    for (u32 i = 0; i < GDB_BREAKPOINTS; i++) {
        if (s->breakpoints[i].used && s->breakpoints[i].address == address) {
            return &s->breakpoints[i];
        }
    }
    return NULL;
}

static bool insert(struct gdb_session *s, u64 address)
{
    u32 len = vcpu_debug_trap_len();

    for (u32 i = 0; i < GDB_BREAKPOINTS; i++) {
        struct gdb_breakpoint *b = &s->breakpoints[i];
        if (b->used) {
            continue;
        }
        b->address = address;
        b->used = vcpu_translate(s->v, GVA(address), &b->gpa) == 0 && gmem_read(&s->vm->mem, b->gpa, b->saved, len) == 0 &&
                  gmem_write(&s->vm->mem, b->gpa, vcpu_debug_trap, len) == 0;
        return b->used;
    }
    return false;
}

/* Unless the guest has put other code there meanwhile. */
static void take_out(struct gdb_session *s, struct gdb_breakpoint *b)
{
    u8 now[VCPU_DEBUG_TRAP_MAX];
    u32 len = vcpu_debug_trap_len();
    bool ours = gmem_read(&s->vm->mem, b->gpa, now, len) == 0 && memcmp(now, vcpu_debug_trap, len) == 0;

    b->used = ours && gmem_write(&s->vm->mem, b->gpa, b->saved, len) != 0; /* it was written when it was set */
}

static bool point(void *ctx, enum gdb_point type, u64 address, u64 len, bool set)
{
    struct gdb_session *s = ctx;

    if (type != GDB_POINT_MEMORY) {
        return gdb_points_change(s, &(struct gdb_watch){type, address, len}, set);
    }
    const struct gdb_breakpoint *found = gdb_breakpoint_at(s, address);

    if (set) {
        return found != NULL || insert(s, address);
    }
    if (found != NULL) {
        take_out(s, &s->breakpoints[found - s->breakpoints]);
    }
    return true;
}

void gdb_breakpoints_remove(struct gdb_session *s)
{
    for (u32 i = 0; i < GDB_BREAKPOINTS; i++) {
        if (s->breakpoints[i].used) {
            take_out(s, &s->breakpoints[i]);
        }
    }
    memset(s->points, 0, sizeof(s->points));
}

static const char *thread_text(void *ctx, u32 thread)
{
    const struct gdb_session *s = ctx;
    const struct vcpu *v = &s->vm->vcpus[thread - 1];

    if (READ_ONCE(s->vm->cpus[thread - 1].parked)) {
        return "parked";
    }
    return READ_ONCE(v->state) == VCPU_BLOCKED ? "halted" : "ready";
}

void gdb_target_init(struct gdb_session *s)
{
    s->target = (struct gdb_target){
        .threads = s->vm->vcpu_count,
        .registers = vcpu_debug_reg_count(),
        .description = vcpu_debug_description,
        .reg_size = vcpu_debug_reg_size,
        .reg_read = reg_read,
        .reg_write = reg_write,
        .mem_read = mem_read,
        .mem_write = mem_write,
        .point = point,
        .thread_text = thread_text,
    };
    s->gdb.target = &s->target;
    s->gdb.ctx = s;
}
