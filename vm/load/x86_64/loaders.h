/* The loaders of x86 and their pure parts. */
#pragma once
#include "vm/load/x86_64/entry.h"
#include "vm/load/x86_64/linux_abi.h"

extern const struct loader loader_linux, loader_mb2, loader_mb1, loader_elf, loader_flat;

/* What a bzImage says about itself, checked. */
struct linux_image {
    struct linux_setup_header header; /* fields beyond the image's own header are 0 */
    u64 kernel_offset, kernel_bytes;  /* the protected-mode part in the file */
    u64 load;                         /* where it goes */
    u64 init_bytes;                   /* memory it needs from there on until it reads the memory map */
    u64 cmdline_max;                  /* characters */
    u64 initrd_limit;                 /* first address that an initrd must not touch */
    bool entry64;
};
/* Pure. 0, or -E_FORMAT, -E_TRUNC with why. */
MUST_CHECK int linux_parse(const struct image *image, struct linux_image *out, char *why);

/* Pure: where a multiboot 1 or 2 kernel goes. 0, or -E_* with why. */
MUST_CHECK int mb1_plan(const struct image *image, struct load_plan *plan, char *why);
MUST_CHECK int mb2_plan(const struct image *image, struct load_plan *plan, char *why);

/* The guest-physical address of the board's ACPI RSDP with its length, or 0 when the board has put none there. */
u64 loader_find_rsdp(const struct load_request *rq, u8 copy[36], u32 *len);
