/* The physical frame allocator: power-of-two blocks of 4 KiB frames, each with an owner tag. Pure but for its lock and
 * physmap; also built on the host. */
#pragma once
#include "boot/boot_info.h"
#include "kernel/lib/types.h"

#define FRAME_SHIFT 12U
#define FRAME_SIZE KIB(4)
#define FRAME_ORDER_2M 9U
#define FRAME_ORDER_1G 18U
#define FRAME_ORDER_MAX FRAME_ORDER_1G

/* Owner tags. A VM's memory and structures carry FRAME_OWNER_VM(id), so that a leak names its VM. */
enum { FRAME_OWNER_FREE = 0, FRAME_OWNER_RESERVED = 1, FRAME_OWNER_KERNEL = 2, FRAME_OWNER_PAGETABLE = 3,
       FRAME_OWNER_HEAP = 4, FRAME_OWNER_VCPU = 5, FRAME_OWNER_VM_FIRST = 16 };
#define FRAME_OWNER_VM(id) ((u16)(FRAME_OWNER_VM_FIRST + (id)))

struct frame_range {
    u64 base;
    u64 len;
};

struct frame_stats {
    u64 total;    /* frames under management, reserved ones not counted */
    u64 free;
    u64 reserved; /* RAM frames kept out: kernel, modules, trampoline, allocator's own map */
};

/* Build the allocator from the boot memory map. Nothing in reserved[] is ever handed out, nor what boot_info names
 * (kernel, modules, the loader's block); frame 0 never is. The allocator's own table (8 bytes per frame) is carved out
 * of RAM. Absurd maps (overlaps, wraps, holes) are survived; RAM above the direct map's limit or beyond 2 TiB in sum
 * is left out. Until kmap_init() only the first 4 GiB are mapped: the table and blocks below 2 MiB come from there
 * while it has any. Returns 0, -E_NOMEM when no RAM region can hold the table. Boot CPU, once. */
MUST_CHECK int frame_init(const struct boot_info *info, const struct frame_range *reserved, size_t reserved_count);

/* Allocate 2^order frames, naturally aligned, zeroed, tagged owner. 0 <= order <= FRAME_ORDER_MAX.
 * Returns 0, -E_NOMEM, -E_INVAL (bad order or owner). Any context but NMI. */
MUST_CHECK int frame_alloc(unsigned order, u16 owner, hpa_t *out);

/* As frame_alloc() with the whole block below limit (bytes). */
MUST_CHECK int frame_alloc_below(unsigned order, u16 owner, u64 limit, hpa_t *out);

/* Free a block exactly as it was allocated. A wrong owner, order, alignment or a double free returns -E_INVAL and
 * changes nothing (the caller treats it as a host bug). */
MUST_CHECK int frame_free(hpa_t pa, unsigned order, u16 owner);

/* Take RAM that was reserved at boot (a consumed module) into the allocator. */
void frame_release_reserved(u64 base, u64 len);

/* Frames now held by owner. Linear in memory; for audits, never for hot paths. */
u64 frame_count_owned(u16 owner);

struct frame_stats frame_get_stats(void);

/* The index-th run of RAM under management, ascending; reserved parts included. False when there are fewer. */
bool frame_ram_range(u32 index, struct frame_range *out);

/* Highest physical address + 1 of any RAM under management. */
u64 frame_phys_limit(void);
