/* Guest physical memory: RAM and ROM regions of a VM, backed by host frames, mapped in stage 2. */
#pragma once
#include "kernel/lib/types.h"
#include "mm/pt.h"

#define GMEM_BLOCKS_MAX 1024U
#define GMEM_WRITABLE BIT32(0)
#define GMEM_EXECUTABLE BIT32(1)
#define GMEM_RAM (GMEM_WRITABLE | GMEM_EXECUTABLE)
#define GMEM_RIGHTS_MAX MIB(2) /* the most that one call changes: it bounds the call's time */

struct gmem_block {
    u64 gpa;
    hpa_t hpa;
    u8 order; /* frames: 2^order */
    u32 flags;
};

struct gmem {
    struct pt stage2;
    struct gmem_block blocks[GMEM_BLOCKS_MAX]; /* sorted by gpa */
    u32 count;
    u16 owner;
    u64 bytes;
    bool restricted; /* rights were changed once: a guest's access asks for them; atomic */
};

MUST_CHECK int gmem_init(struct gmem *mem, const struct pt_format *format, u16 owner);
/* Free all memory and tables. No vCPU may use it. */
void gmem_destroy(struct gmem *mem);
/* Allocate zeroed memory for [gpa, gpa+len) (4 KiB aligned), largest blocks first, and map it.
 * 0, -E_NOMEM (nothing stays), -E_OVERLAP, -E_INVAL. */
MUST_CHECK int gmem_add(struct gmem *mem, u64 gpa, u64 len, u32 flags);
/* Copy; the whole range must be RAM: 0 or -E_FAULT (nothing copied). Write also refuses read-only blocks. Any CPU. */
MUST_CHECK int gmem_read(const struct gmem *mem, gpa_t gpa, void *buf, size_t len);
MUST_CHECK int gmem_write(struct gmem *mem, gpa_t gpa, const void *buf, size_t len);
/* As gmem_write() but also into read-only blocks: for loaders only. */
MUST_CHECK int gmem_load(struct gmem *mem, gpa_t gpa, const void *buf, size_t len);
MUST_CHECK int gmem_zero(struct gmem *mem, gpa_t gpa, u64 len);
/* The range as host memory, for as long as the memory exists; NULL: not all writable RAM of one block. */
void *gmem_window(const struct gmem *mem, gpa_t gpa, size_t len);
/* Change what stage 2 lets the guest do in [gpa, gpa+len): attr is 0 or PT_READ with any of PT_WRITE, PT_EXEC. Contents stay, and
 * the host reads and writes as before. Large leaves are split; they are not joined again. When rights are taken away no CPU
 * is in the guest (vm_cpus_exclude()); giving some back wants nothing. 0; -E_INVAL (alignment, len 0 or beyond
 * GMEM_RIGHTS_MAX, not all RAM, rights that the memory never had: nothing changed); -E_NOMEM (no frame for a table: a part may
 * have changed). */
MUST_CHECK int gmem_set_rights(struct gmem *mem, gpa_t gpa, u64 len, u32 attr);
/* The rights of the page at gpa as it was added, PT_*; 0: no RAM. */
u32 gmem_own_rights(const struct gmem *mem, gpa_t gpa);
/* Has the guest these rights now in the whole of [gpa, gpa+len)? true as long as no rights were ever changed. Any CPU. Asked for
 * each access of each emulated instruction. */
bool gmem_permits_now(struct gmem *mem, gpa_t gpa, u64 len, u32 attr); /* by what stage 2 says */
static inline bool gmem_permits(struct gmem *mem, gpa_t gpa, u64 len, u32 attr)
{
    return !READ_ONCE(mem->restricted) || gmem_permits_now(mem, gpa, len, attr);
}
/* Is the whole range RAM? */
bool gmem_contains(const struct gmem *mem, gpa_t gpa, u64 len);
