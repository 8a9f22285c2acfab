/* Fake physical memory for the tests of mm and of what stands on it: a sparse mapping behind phys_ptr(), and a frame
 * allocator over it. */
#pragma once
#include "kernel/lib/types.h"

/* cmocka group fixtures: reserve 16 GiB of address space without committing it; give it back. */
int memory_reserve(void **context);
int memory_drop(void **context);

/* Zero it all. */
void memory_clear(void);

/* Start afresh: zeroed memory, frames over the single RAM region [base, base+len). Fails the test on error. */
void memory_start(u64 base, u64 len);

/* Take every free frame but `spare` under the given owner, so that the next allocations fail; give them back. */
#define MEMORY_HOG_OWNER 14U
void memory_hog(u64 spare);
void memory_unhog(void);
