/* Where the linker put the image: page-aligned symbols of linker.ld. Physical = virtual - KERNEL_VMA. */
#pragma once
#include "kernel/lib/types.h"

#define KERNEL_VMA 0xFFFFFFFF80000000ULL /* virtual address of physical 0 in the image mapping; linker.ld says the same */

extern char kernel_start[], kernel_end[];               /* the whole image, bss included */
extern char kernel_text_start[], kernel_text_end[];     /* read, execute */
extern char kernel_rodata_start[], kernel_rodata_end[]; /* read */
extern char kernel_data_start[], kernel_data_end[];     /* read, write; bss included */

/* Physical address of an object in the image (code, data, bss), not in the heap or the direct map. */
static inline hpa_t kernel_pa(const void *object)
{
    return HPA((u64)object - KERNEL_VMA);
}
