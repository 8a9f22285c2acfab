/* ONE radix page-table walker for every format: host, EPT, NPT (later Arm stage 2, Sv39x4). A format is a table of
 * functions; the walker knows none of them. Pure but for physmap and frames; also built on the host. */
#pragma once
#include "kernel/base/lock.h"
#include "kernel/lib/types.h"

/* Permissions and memory type of a mapping, neutral. */
#define PT_READ BIT32(0)
#define PT_WRITE BIT32(1)
#define PT_EXEC BIT32(2)
#define PT_USER BIT32(3)     /* formats without the notion ignore it */
#define PT_UNCACHED BIT32(4) /* device memory; else write-back */
#define PT_GLOBAL BIT32(5)

struct pt_format {
    const char *name;
    u8 levels;          /* tables from the root to 4 KiB leaves: 4 for the host, EPT, NPT */
    bool sign_extended; /* addresses above the lower half continue with ones, as canonical virtual addresses do */
    u8 max_leaf_level;  /* highest level that may hold a leaf: 0 = 4 KiB only, 1 = 2 MiB, 2 = 1 GiB */
    u64 (*make_leaf)(hpa_t pa, unsigned level, u32 attr);
    u64 (*make_table)(hpa_t pa);
    bool (*is_present)(u64 entry);
    bool (*is_leaf)(u64 entry, unsigned level);
    hpa_t (*entry_pa)(u64 entry, unsigned level);
    u32 (*leaf_attr)(u64 entry, unsigned level);
};

struct pt {
    const struct pt_format *format;
    struct spinlock lock; /* protects the tree */
    hpa_t root;
    u16 owner;      /* frame owner tag of the tables */
    u64 tables;     /* frames held by the tree, root included */
    u64 generation; /* bumped after every change to what was mapped; users compare and flush */
};

struct pt_mapping {
    hpa_t pa;     /* of the queried address itself */
    u32 attr;     /* PT_* */
    unsigned level;
};

/* Bytes that a leaf of this level maps. */
static inline u64 pt_leaf_bytes(unsigned level)
{
    return KIB(4) << (9 * level);
}

/* Make an empty tree. Returns 0 or -E_NOMEM. */
MUST_CHECK int pt_init(struct pt *pt, const struct pt_format *format, u16 owner);

/* Free every table (not the mapped memory). The tree must not be in use by any CPU. */
void pt_destroy(struct pt *pt);

/* Map [va, va+len) to [pa, pa+len) with the largest leaves that alignment allows. All 4 KiB aligned.
 * Returns 0; -E_INVAL (alignment, wrap, outside the format's width, len 0, attr without PT_READ); -E_EXIST when any
 * byte is mapped already; -E_NOMEM. On failure nothing stays mapped. */
MUST_CHECK int pt_map(struct pt *pt, u64 va, hpa_t pa, u64 len, u32 attr);

/* Unmap [va, va+len), splitting large leaves at the edges; holes are fine. Empty tables are freed. Bumps generation.
 * Freed tables are reused at once: no CPU may walk what goes away (stage 2: all of its vCPUs are out of the guest).
 * Returns 0, -E_INVAL, -E_NOMEM (a split needed a table; nothing changed). */
MUST_CHECK int pt_unmap(struct pt *pt, u64 va, u64 len);

/* Change the attributes of what is mapped in [va, va+len), splitting at the edges. As pt_unmap(). */
MUST_CHECK int pt_protect(struct pt *pt, u64 va, u64 len, u32 attr);

/* Look one address up. Returns 0 or -E_NOENT. Lock-free readers are not supported: takes the lock. */
MUST_CHECK int pt_query(struct pt *pt, u64 va, struct pt_mapping *out);

/* Count leaves per level (0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB); for dumps and tests. */
void pt_count_leaves(struct pt *pt, u64 counts[3]);
