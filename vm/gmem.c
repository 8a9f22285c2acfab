/* Guest memory as a sorted table of naturally aligned blocks, each mapped whole in stage 2. */
#include "vm/gmem.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/frame.h"
#include "mm/physmap.h"

static u64 block_bytes(const struct gmem_block *block)
{
    return FRAME_SIZE << block->order;
}

/* How many blocks begin at or below gpa. */
static u32 blocks_up_to(const struct gmem *mem, u64 gpa)
{
    u32 low = 0;
    u32 high = mem->count;

    while (low < high) {
        u32 mid = low + (high - low) / 2;
        if (mem->blocks[mid].gpa <= gpa) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static const struct gmem_block *block_at(const struct gmem *mem, u64 gpa)
{
    u32 at = blocks_up_to(mem, gpa);

    if (at == 0 || gpa - mem->blocks[at - 1].gpa >= block_bytes(&mem->blocks[at - 1])) {
        return NULL;
    }
    return &mem->blocks[at - 1];
}

int gmem_init(struct gmem *mem, const struct pt_format *format, u16 owner)
{
    int error = pt_init(&mem->stage2, format, owner);

    if (error == 0) {
        mem->count = 0;
        mem->owner = owner;
        mem->bytes = 0;
        mem->restricted = false;
    }
    return error;
}

static void frames_give_back(const struct gmem *mem, hpa_t hpa, unsigned order)
{
    int error = frame_free(hpa, order, mem->owner);

    ASSERT(error == 0);
}

void gmem_destroy(struct gmem *mem)
{
    pt_destroy(&mem->stage2);
    for (u32 i = 0; i < mem->count; i++) {
        frames_give_back(mem, mem->blocks[i].hpa, mem->blocks[i].order);
    }
    mem->count = 0;
    mem->bytes = 0;
}

/* The largest block that fits at gpa and that there is; E_NOMEM when there is none at all. */
static int block_alloc(const struct gmem *mem, u64 gpa, u64 left, struct gmem_block *out)
{
    unsigned order = FRAME_ORDER_MAX;
    int error;

    while (!IS_ALIGNED(gpa, FRAME_SIZE << order) || FRAME_SIZE << order > left) {
        order--;
    }
    do {
        error = frame_alloc(order, mem->owner, &out->hpa);
        out->order = (u8)order;
    } while (error != 0 && order-- > 0);
    return error;
}

static u32 attributes(u32 flags)
{
    return PT_READ | ((flags & GMEM_WRITABLE) != 0 ? PT_WRITE : 0) | ((flags & GMEM_EXECUTABLE) != 0 ? PT_EXEC : 0);
}

/* Add one block at the table's place `at`; on success `left` bytes shrink by its size. */
static int block_add(struct gmem *mem, u32 at, u64 gpa, u64 left, u32 flags)
{
    struct gmem_block block = {.gpa = gpa, .flags = flags};

    if (mem->count == GMEM_BLOCKS_MAX) {
        return -E_NOMEM;
    }
    int error = block_alloc(mem, gpa, left, &block);
    if (error != 0) {
        return error;
    }
    error = pt_map(&mem->stage2, gpa, block.hpa, block_bytes(&block), attributes(flags));
    if (error != 0) {
        frames_give_back(mem, block.hpa, block.order);
        return error;
    }
    memmove(&mem->blocks[at + 1], &mem->blocks[at], (mem->count - at) * sizeof(mem->blocks[0]));
    mem->blocks[at] = block;
    mem->count++;
    mem->bytes += block_bytes(&block);
    return 0;
}

/* Undo block_add() for blocks [first, end) of the table. They were mapped whole, so nothing is split. */
static void blocks_remove(struct gmem *mem, u32 first, u32 end)
{
    for (u32 i = first; i < end; i++) {
        const struct gmem_block *block = &mem->blocks[i];
        int error = pt_unmap(&mem->stage2, block->gpa, block_bytes(block));
        ASSERT(error == 0);
        mem->bytes -= block_bytes(block);
        frames_give_back(mem, block->hpa, block->order);
    }
    memmove(&mem->blocks[first], &mem->blocks[end], (mem->count - end) * sizeof(mem->blocks[0]));
    mem->count -= end - first;
}

static bool overlaps(const struct gmem *mem, u64 gpa, u64 len)
{
    u32 at = blocks_up_to(mem, gpa + len - 1);

    return at > 0 && ranges_overlap(mem->blocks[at - 1].gpa, block_bytes(&mem->blocks[at - 1]), gpa, len);
}

int gmem_add(struct gmem *mem, u64 gpa, u64 len, u32 flags)
{
    if (len == 0 || !IS_ALIGNED(gpa | len, FRAME_SIZE) || len - 1 > ~gpa) {
        return -E_INVAL;
    }
    if (overlaps(mem, gpa, len)) {
        return -E_OVERLAP;
    }
    u32 first = blocks_up_to(mem, gpa);
    u32 at = first;
    for (u64 done = 0; done < len; at++) {
        int error = block_add(mem, at, gpa + done, len - done, flags);
        if (error != 0) {
            blocks_remove(mem, first, at);
            return error;
        }
        done += block_bytes(&mem->blocks[at]);
    }
    return 0;
}

/* Is [gpa, gpa+len) all RAM whose blocks carry these flags? */
static bool covered(const struct gmem *mem, u64 gpa, u64 len, u32 flags)
{
    for (u64 done = 0; done < len;) {
        const struct gmem_block *block = block_at(mem, gpa + done);
        if (block == NULL || gpa + done < gpa || (block->flags & flags) != flags) {
            return false;
        }
        done += block_bytes(block) - (gpa + done - block->gpa);
    }
    return true;
}

bool gmem_contains(const struct gmem *mem, gpa_t gpa, u64 len)
{
    return covered(mem, gpa.v, len, 0);
}

/* The part of [gpa, gpa+left) that lies in one block, as host memory. The range is covered. */
static void *piece_at(const struct gmem *mem, u64 gpa, u64 left, size_t *len)
{
    const struct gmem_block *block = block_at(mem, gpa);
    u64 offset = gpa - block->gpa;

    *len = (size_t)MIN(block_bytes(block) - offset, left);
    return phys_ptr(HPA(block->hpa.v + offset));
}

void *gmem_window(const struct gmem *mem, gpa_t gpa, size_t len)
{
    size_t piece;

    if (len == 0 || !covered(mem, gpa.v, len, GMEM_WRITABLE)) {
        return NULL;
    }
    void *window = piece_at(mem, gpa.v, len, &piece);
    return piece == len ? window : NULL;
}

int gmem_read(const struct gmem *mem, gpa_t gpa, void *buf, size_t len)
{
    size_t piece;

    if (!covered(mem, gpa.v, len, 0)) {
        return -E_FAULT;
    }
    for (size_t done = 0; done < len; done += piece) {
        const void *from = piece_at(mem, gpa.v + done, len - done, &piece);
        memcpy((u8 *)buf + done, from, piece);
    }
    return 0;
}

static int copy_in(struct gmem *mem, u64 gpa, const void *buf, size_t len, u32 flags)
{
    size_t piece;

    if (!covered(mem, gpa, len, flags)) {
        return -E_FAULT;
    }
    for (size_t done = 0; done < len; done += piece) {
        void *to = piece_at(mem, gpa + done, len - done, &piece);
        memcpy(to, (const u8 *)buf + done, piece);
    }
    return 0;
}

int gmem_write(struct gmem *mem, gpa_t gpa, const void *buf, size_t len)
{
    return copy_in(mem, gpa.v, buf, len, GMEM_WRITABLE);
}

int gmem_load(struct gmem *mem, gpa_t gpa, const void *buf, size_t len)
{
    return copy_in(mem, gpa.v, buf, len, 0);
}

int gmem_zero(struct gmem *mem, gpa_t gpa, u64 len)
{
    size_t piece;

    if (!covered(mem, gpa.v, len, 0)) {
        return -E_FAULT;
    }
    for (u64 done = 0; done < len; done += piece) {
        void *to = piece_at(mem, gpa.v + done, len - done, &piece);
        memset(to, 0, piece);
    }
    return 0;
}

u32 gmem_own_rights(const struct gmem *mem, gpa_t gpa)
{
    const struct gmem_block *block = block_at(mem, gpa.v);

    return block != NULL ? attributes(block->flags) : 0;
}

static bool rights_valid(u32 attr)
{
    return attr == 0 || ((attr & PT_READ) != 0 && (attr & ~(PT_READ | PT_WRITE | PT_EXEC)) == 0);
}

/* Map a page of RAM unless it is mapped, be it by another CPU at the same time. */
static int map_absent(struct gmem *mem, u64 gpa, u32 attr)
{
    struct pt_mapping found;

    if (pt_query(&mem->stage2, gpa, &found) == 0) {
        return 0;
    }
    const struct gmem_block *block = block_at(mem, gpa);
    int error = pt_map(&mem->stage2, gpa, HPA(block->hpa.v + (gpa - block->gpa)), FRAME_SIZE, attr);
    return error == -E_EXIST ? 0 : error;
}

int gmem_set_rights(struct gmem *mem, gpa_t gpa, u64 len, u32 attr)
{
    u32 needed = ((attr & PT_WRITE) != 0 ? GMEM_WRITABLE : 0) | ((attr & PT_EXEC) != 0 ? GMEM_EXECUTABLE : 0);

    if (!rights_valid(attr) || len == 0 || len > GMEM_RIGHTS_MAX || !IS_ALIGNED(gpa.v | len, FRAME_SIZE) ||
        !covered(mem, gpa.v, len, needed)) {
        return -E_INVAL;
    }
    WRITE_ONCE(mem->restricted, true);
    if (attr == 0) {
        return pt_unmap(&mem->stage2, gpa.v, len);
    }
    int error = pt_protect(&mem->stage2, gpa.v, len, attr);
    for (u64 done = 0; error == 0 && done < len; done += FRAME_SIZE) {
        error = map_absent(mem, gpa.v + done, attr);
    }
    return error;
}

bool gmem_permits_now(struct gmem *mem, gpa_t gpa, u64 len, u32 attr)
{
    u64 pages = ((gpa.v & (FRAME_SIZE - 1)) + len + FRAME_SIZE - 1) / FRAME_SIZE;

    for (u64 i = 0; i < pages; i++) {
        struct pt_mapping found;
        if (pt_query(&mem->stage2, gpa.v + i * FRAME_SIZE, &found) != 0 || (found.attr & attr) != attr) {
            return false;
        }
    }
    return true;
}
