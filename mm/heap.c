/* Small objects in pages of one size each, larger ones in blocks of their own. A header at the start of the page (or
 * block) says what it holds; objects carry nothing. Pages that are empty go back to the frames. */
#include "mm/heap.h"
#include "kernel/base/lock.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/frame.h"
#include "mm/physmap.h"

#define HEAP_MAX MIB(1)
#define HEAP_MAGIC 0x70616548U /* "Heap" */
#define UNIT 16U
#define SLOTS_MAX (FRAME_SIZE / UNIT)
#define CLASS_LARGE 0xFFFFU

struct heap_page {
    u32 magic;
    u16 class;    /* index into sizes[], or CLASS_LARGE */
    u16 order;    /* of the frames */
    u64 capacity; /* bytes of one object */
    u64 taken[SLOTS_MAX / 64]; /* bit n: object n is handed out */
    struct heap_page *next, *prev; /* pages of this class with a free object */
};
_Static_assert(sizeof(struct heap_page) % UNIT == 0, "objects are 16-byte aligned");

/* Multiples of 16; the upper ones divide a page without its header into 2, 3, 4 and 6. */
static const u16 sizes[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 672, 992, 1328, 2000};

static struct spinlock lock = SPINLOCK_INIT; /* protects all below and the headers */
static struct heap_page *partial[ARRAY_SIZE(sizes)];
static u64 bytes_used;

static u32 slots_of(u32 class)
{
    return (u32)((FRAME_SIZE - sizeof(struct heap_page)) / sizes[class]);
}

static void page_link(struct heap_page *page)
{
    page->prev = NULL;
    page->next = partial[page->class];
    if (page->next != NULL) {
        page->next->prev = page;
    }
    partial[page->class] = page;
}

static void page_unlink(struct heap_page *page)
{
    if (page->next != NULL) {
        page->next->prev = page->prev;
    }
    if (page->prev != NULL) {
        page->prev->next = page->next;
    } else {
        partial[page->class] = page->next;
    }
}

static u32 count_taken(const struct heap_page *page)
{
    u32 count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(page->taken); i++) {
        for (u64 word = page->taken[i]; word != 0; word &= word - 1) {
            count++;
        }
    }
    return count;
}

static struct heap_page *page_new(u32 class, unsigned order, u64 capacity)
{
    hpa_t pa;

    if (frame_alloc(order, FRAME_OWNER_HEAP, &pa) != 0) {
        return NULL;
    }
    struct heap_page *page = phys_ptr(pa);
    page->magic = HEAP_MAGIC;
    page->class = (u16)class;
    page->order = (u16)order;
    page->capacity = capacity;
    return page;
}

static void page_delete(struct heap_page *page)
{
    page->magic = 0;
    int error = frame_free(phys_of(page), page->order, FRAME_OWNER_HEAP);
    ASSERT(error == 0);
}

static void *object_at(struct heap_page *page, u32 slot)
{
    return (u8 *)(page + 1) + slot * page->capacity;
}

/* The lowest free object; the page has one. */
static u32 slot_take(struct heap_page *page)
{
    u32 word = 0;

    while (~page->taken[word] == 0) {
        word++;
    }
    u32 bit = (u32)__builtin_ctzll(~page->taken[word]);
    page->taken[word] |= BIT(bit);
    return word * 64 + bit;
}

static void *small_alloc_locked(u32 class)
{
    struct heap_page *page = partial[class];

    if (page == NULL) {
        page = page_new(class, 0, sizes[class]);
        if (page == NULL) {
            return NULL;
        }
        page_link(page);
    }
    u32 slot = slot_take(page);
    if (count_taken(page) == slots_of(class)) {
        page_unlink(page);
    }
    bytes_used += page->capacity;
    return object_at(page, slot);
}

static void *large_alloc_locked(size_t size)
{
    unsigned order = 0;

    while ((FRAME_SIZE << order) - sizeof(struct heap_page) < size) {
        order++;
    }
    struct heap_page *page = page_new(CLASS_LARGE, order, (FRAME_SIZE << order) - sizeof(struct heap_page));
    if (page == NULL) {
        return NULL;
    }
    page->taken[0] = 1;
    bytes_used += page->capacity;
    return object_at(page, 0);
}

void *heap_alloc(size_t size)
{
    u32 class = 0;

    if (size == 0 || size > HEAP_MAX) {
        return NULL;
    }
    while (class < ARRAY_SIZE(sizes) && sizes[class] < size) {
        class++;
    }
    bool small = class < ARRAY_SIZE(sizes);
    u64 flags = spin_lock(&lock);
    void *ptr = small ? small_alloc_locked(class) : large_alloc_locked(size);
    spin_unlock(&lock, flags);
    if (ptr != NULL && small) {
        memset(ptr, 0, sizes[class]); /* large blocks come zeroed from the frames */
    }
    return ptr;
}

static void free_locked(struct heap_page *page, u32 slot)
{
    bool was_full = page->class != CLASS_LARGE && count_taken(page) == slots_of(page->class);

    page->taken[slot / 64] &= ~BIT(slot % 64);
    bytes_used -= page->capacity;
    if (was_full) {
        page_link(page);
    }
    if (count_taken(page) == 0) {
        if (page->class != CLASS_LARGE) {
            page_unlink(page);
        }
        page_delete(page);
    }
}

void heap_free(void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    struct heap_page *page = (void *)ALIGN_DOWN((uintptr_t)ptr, FRAME_SIZE);
    u64 offset = (uintptr_t)ptr - (uintptr_t)(page + 1);
    u64 flags = spin_lock(&lock);

    ASSERT(page->magic == HEAP_MAGIC && (void *)page != ptr && offset % page->capacity == 0);
    u64 slot = offset / page->capacity;
    ASSERT(slot < SLOTS_MAX && (page->taken[slot / 64] & BIT(slot % 64)) != 0);
    free_locked(page, (u32)slot);
    spin_unlock(&lock, flags);
}

u64 heap_bytes_used(void)
{
    u64 flags = spin_lock(&lock);
    u64 used = bytes_used;

    spin_unlock(&lock, flags);
    return used;
}
