/* The kernel's final address space. Built once by the boot CPU, then only added to. */
#include "mm/kmap.h"
#include "kernel/base/lock.h"
#include "kernel/base/panic.h"
#include "kernel/base/sections.h"
#include "kernel/lib/errno.h"
#include "mm/frame.h"
#include "mm/kmap_arch.h"
#include "mm/physmap.h"
#include "mm/pt.h"

#define STACK_ORDER 2U
_Static_assert(KSTACK_SIZE == FRAME_SIZE << STACK_ORDER, "a stack is one block");

static struct pt space;
static struct spinlock lock = SPINLOCK_INIT; /* protects the window cursors */
static u64 device_next;                      /* virtual addresses: the next unused of each window */
static u64 stack_next;

static int map_image_part(const char *start, const char *end, u32 attr)
{
    if (start == end) {
        return 0;
    }
    return pt_map(&space, (u64)start, kernel_pa(start), (u64)(end - start), attr | PT_READ | PT_GLOBAL);
}

static int map_image(void)
{
    int error = map_image_part(kernel_text_start, kernel_text_end, PT_EXEC);

    if (error == 0) {
        error = map_image_part(kernel_rodata_start, kernel_rodata_end, 0);
    }
    if (error == 0) {
        error = map_image_part(kernel_data_start, kernel_data_end, PT_WRITE);
    }
    return error;
}

static int map_direct(u64 base, u64 len, u32 attr)
{
    return pt_map(&space, physmap_base + base, HPA(base), len, attr | PT_READ | PT_GLOBAL);
}

static int map_ram(void)
{
    struct frame_range ram;

    for (u32 i = 0; frame_ram_range(i, &ram); i++) {
        int error = map_direct(ram.base, ram.len, PT_WRITE);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* ACPI memory by whole pages, read-only. A region that shares a page with RAM or another is left to kmap_firmware(). */
static int map_reclaimable(const struct boot_info *info)
{
    for (u32 i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        if (region->type != BOOT_REGION_RECLAIMABLE || region->len == 0 ||
            !range_contains(0, PHYSMAP_LIMIT, region->base, region->len)) {
            continue;
        }
        u64 base = ALIGN_DOWN(region->base, FRAME_SIZE);
        int error = map_direct(base, ALIGN_UP(region->base + region->len, FRAME_SIZE) - base, 0);
        if (error != 0 && error != -E_EXIST) {
            return error;
        }
    }
    return 0;
}

/* The image's constant part must not be writable through the direct map either. */
static int protect_image_alias(void)
{
    u64 alias = (u64)phys_ptr(kernel_pa(kernel_text_start));
    u64 len = (u64)kernel_rodata_end - (u64)kernel_text_start;

    return pt_protect(&space, alias, len, PT_READ | PT_GLOBAL);
}

static int map_all(const struct boot_info *info)
{
    int error = map_image();

    if (error == 0) {
        error = map_ram();
    }
    if (error == 0) {
        error = map_reclaimable(info);
    }
    if (error == 0) {
        error = protect_image_alias();
    }
    return error;
}

int kmap_init(const struct boot_info *info)
{
    int error = pt_init(&space, arch_kmap_format(), FRAME_OWNER_PAGETABLE);

    if (error != 0) {
        return error;
    }
    error = space.root.v < GIB(4) ? map_all(info) : -E_NOMEM; /* starting CPUs load the root in 32-bit mode */
    if (error != 0) {
        pt_destroy(&space);
        return error;
    }
    device_next = arch_kmap_layout.device_base;
    stack_next = arch_kmap_layout.stack_base;
    kmap_enter();
    return 0;
}

void kmap_enter(void)
{
    arch_kmap_enter(space.root);
}

hpa_t kmap_root(void)
{
    return space.root;
}

static int map_in_window(u64 base, u64 len, u32 attr, u64 *va)
{
    u64 flags = spin_lock(&lock);
    int error = -E_NOMEM;

    if (range_contains(device_next, arch_kmap_layout.device_end - device_next, device_next, len)) {
        error = pt_map(&space, device_next, HPA(base), len, attr);
    }
    if (error == 0) {
        *va = device_next;
        device_next += len;
    }
    spin_unlock(&lock, flags);
    return error;
}

/* Map the pages that [pa, pa+len) touches; returns where pa is, or NULL. */
static void *map_pages(hpa_t pa, u64 len, u32 attr)
{
    u64 base = ALIGN_DOWN(pa.v, FRAME_SIZE);
    u64 va;

    if (len == 0 || !range_contains(0, PHYSMAP_LIMIT, pa.v, len)) {
        return NULL;
    }
    if (map_in_window(base, ALIGN_UP(pa.v + len, FRAME_SIZE) - base, attr, &va) != 0) {
        return NULL;
    }
    return (void *)(va + (pa.v - base)); /* NOLINT: a window address becomes a pointer */
}

volatile void *kmap_device(hpa_t pa, u64 len)
{
    return map_pages(pa, len, PT_READ | PT_WRITE | PT_UNCACHED | PT_GLOBAL);
}

/* Does the direct map already show [pa, pa+len)? */
static bool in_direct_map(hpa_t pa, u64 len)
{
    struct pt_mapping found;
    u64 end = pa.v + len;

    for (u64 at = pa.v; at < end;) {
        if (pt_query(&space, physmap_base + at, &found) != 0) {
            return false;
        }
        u64 leaf = pt_leaf_bytes(found.level);
        at = ALIGN_DOWN(at, leaf) + leaf;
    }
    return true;
}

const void *kmap_firmware(hpa_t pa, u64 len)
{
    if (len == 0 || !range_contains(0, PHYSMAP_LIMIT, pa.v, len)) {
        return NULL;
    }
    return in_direct_map(pa, len) ? phys_ptr(pa) : map_pages(pa, len, PT_READ | PT_GLOBAL);
}

bool kmap_maps(u64 va)
{
    struct pt_mapping found;

    return pt_query(&space, va, &found) == 0;
}

static int map_stack(hpa_t pa, u64 *top)
{
    u64 flags = spin_lock(&lock);
    u64 bottom = stack_next + FRAME_SIZE; /* the page below stays unmapped */
    int error = -E_NOMEM;

    if (bottom + KSTACK_SIZE <= arch_kmap_layout.stack_end) {
        error = pt_map(&space, bottom, pa, KSTACK_SIZE, PT_READ | PT_WRITE | PT_GLOBAL);
    }
    if (error == 0) {
        *top = bottom + KSTACK_SIZE;
        stack_next = *top;
    }
    spin_unlock(&lock, flags);
    return error;
}

void *kmap_alloc_stack(void)
{
    hpa_t pa;
    u64 top;

    if (frame_alloc(STACK_ORDER, FRAME_OWNER_KERNEL, &pa) != 0) {
        return NULL;
    }
    if (map_stack(pa, &top) != 0) {
        int error = frame_free(pa, STACK_ORDER, FRAME_OWNER_KERNEL);
        ASSERT(error == 0);
        return NULL;
    }
    return (void *)top; /* NOLINT: a window address becomes a pointer */
}

int kmap_identity_page(hpa_t pa)
{
    return pt_map(&space, pa.v, pa, FRAME_SIZE, PT_READ | PT_EXEC);
}

void kmap_identity_drop(hpa_t pa)
{
    int error = pt_unmap(&space, pa.v, FRAME_SIZE);

    ASSERT(error == 0);
    arch_kmap_flush_page(pa.v);
}
