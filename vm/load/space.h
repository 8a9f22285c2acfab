/* Where a loader may still put things: the VM's memory below 4 GiB minus what has been placed. Also how loaders say why
 * they fail. Pure. */
#pragma once
#include "vm/load/load.h"

#define LOAD_RANGES_MAX 56U /* segments, modules and the loader's own data of one VM */
#define LOAD_DATA_FLOOR KIB(64) /* loader data starts here: below lie real-mode vectors and guests' trampolines */
#define LOAD_PAGE KIB(4)

struct load_range {
    u64 base, len;
};

struct load_space {
    struct load_range used[LOAD_RANGES_MAX]; /* no order; may overlap */
    u32 count;
    u64 end; /* end of the memory below the hole */
};

/* Everything that load_memory_map() shows as RAM below 4 GiB is free. */
void load_space_init(struct load_space *space, u64 ram_size);
/* Mark [base, base+len) as used, inside memory or not. 0, or -E_NOMEM when the table is full. */
MUST_CHECK int load_space_take(struct load_space *space, u64 base, u64 len);
/* Take every segment of a plan. 0 or -E_NOMEM. */
MUST_CHECK int load_space_take_plan(struct load_space *space, const struct load_plan *plan);
/* Find and take the lowest free len bytes at or above floor; align is a power of two. 0 with *out, or -E_NOMEM. */
MUST_CHECK int load_space_low(struct load_space *space, u64 floor, u64 len, u64 align, u64 *out);
/* Find and take the highest free len bytes that end at or below limit. 0 with *out, or -E_NOMEM. */
MUST_CHECK int load_space_high(struct load_space *space, u64 limit, u64 len, u64 align, u64 *out);

/* Fill why (LOAD_WHY_MAX bytes) and return error. */
int load_fail(char *why, int error, const char *format, ...) PRINTF_LIKE(3, 4);
/* The common failure: no free memory of len bytes for what. */
int load_fail_space(const struct load_request *rq, const char *what, u64 len);
/* gmem_load() of loader data, with why filled when it fails. */
MUST_CHECK int load_copy(const struct load_request *rq, u64 gpa, const void *data, u64 len);

/* Supplied by the ISA: put what firmware would have left in memory there, before the image. 0, or -E_* with why. */
MUST_CHECK int load_prepare(const struct load_request *rq);

/* Loaders of this ISA in the order in which they are asked; supplied by vm/load/<arch>/loaders.c. */
extern const struct loader *const load_loaders[];
extern const u32 load_loader_count;
/* What loads the role firmware: never sniffed. */
extern const struct loader load_firmware;
