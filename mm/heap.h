/* Small kernel objects of any size up to 1 MiB, over the frame allocator. Zeroed. */
#pragma once
#include "kernel/lib/types.h"

/* Zeroed memory, 16-byte aligned, or NULL. 0 < size. Task context or boot; not from IRQ handlers.
 * Above 2000 bytes an object takes a power-of-two block of frames, less 80 bytes. */
void *heap_alloc(size_t size);

/* Free what heap_alloc() returned; NULL is ignored. Anything else, or twice, is a host bug: panic. */
void heap_free(void *ptr);

/* Bytes now handed out, for leak checks. */
u64 heap_bytes_used(void);
