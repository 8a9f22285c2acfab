/* The kernel's own address space after boot: W^X image, direct map, device mappings, guarded stacks. */
#pragma once
#include "boot/boot_info.h"
#include "kernel/lib/types.h"

/* Leave the boot page tables: build the final kernel tables (image sections with their permissions, direct map of RAM
 * with the largest pages, NX) and switch this CPU to them. Needs frame_init(). Returns 0 or -E_NOMEM. Boot CPU.
 * The root lies below 4 GiB: starting CPUs load it in 32-bit mode. */
MUST_CHECK int kmap_init(const struct boot_info *info);

/* Switch the calling (application) CPU to the kernel's tables. */
void kmap_enter(void);

/* Physical root for the AP trampoline. */
hpa_t kmap_root(void);

/* Map a device range [pa, pa+len) uncached, never executable. Returns the virtual address of pa or NULL (no memory).
 * Page-granular inside; mappings live for ever. */
volatile void *kmap_device(hpa_t pa, u64 len);

/* Map firmware memory (ACPI tables) readable, cached; as kmap_device() otherwise. Valid for RAM and non-RAM. */
const void *kmap_firmware(hpa_t pa, u64 len);

/* A stack of KSTACK_SIZE with an unmapped guard page below. Returns its top (16-byte aligned) or NULL. */
void *kmap_alloc_stack(void);
#define KSTACK_SIZE KIB(16)

/* Is anything of the kernel's at this virtual address? Any context but NMI. */
bool kmap_maps(u64 va);

/* Map one page at its own physical address, read and execute, while CPUs start on it. Page-aligned, below 4 GiB.
 * Returns 0, -E_INVAL, -E_EXIST, -E_NOMEM. Boot CPU. */
MUST_CHECK int kmap_identity_page(hpa_t pa);

/* Take it away again; CPUs that used it keep a stale translation until they load their root. Boot CPU. */
void kmap_identity_drop(hpa_t pa);
