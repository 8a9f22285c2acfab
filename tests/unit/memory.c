/* See memory.h. Linked into the tests that name it in their units line. */
#include "tests/unit/memory.h"
#include "tests/unit/host.h"
#include <stdlib.h>
#include <sys/mman.h>
#include "mm/frame.h"

#define SPAN GIB(16)

static hpa_t *hogged;
static u64 hogged_count;

int memory_reserve(void **context)
{
    (void)context;
    void *base = mmap(NULL, SPAN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    physmap_base = (u64)base;
    return base == MAP_FAILED ? -1 : 0;
}

int memory_drop(void **context)
{
    (void)context;
    return munmap((void *)physmap_base, SPAN);
}

void memory_clear(void)
{
    assert_int_equal(madvise((void *)physmap_base, SPAN, MADV_DONTNEED), 0);
}

void memory_start(u64 base, u64 len)
{
    static struct boot_info info;

    memory_clear();
    info.region_count = 1;
    info.regions[0] = (struct boot_region){base, len, BOOT_REGION_RAM};
    assert_int_equal(frame_init(&info, NULL, 0), 0);
}

void memory_hog(u64 spare)
{
    u64 count = frame_get_stats().free - spare;

    hogged = calloc(count + 1, sizeof(*hogged));
    assert_non_null(hogged);
    for (hogged_count = 0; hogged_count < count; hogged_count++) {
        assert_int_equal(frame_alloc(0, MEMORY_HOG_OWNER, &hogged[hogged_count]), 0);
    }
}

void memory_unhog(void)
{
    while (hogged_count > 0) {
        hogged_count--;
        assert_int_equal(frame_free(hogged[hogged_count], 0, MEMORY_HOG_OWNER), 0);
    }
    free(hogged);
}
