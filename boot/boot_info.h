/* What the boot code hands to kernel_main(): the loader's facts, bounded and copied. Pure data, no arch words. */
#pragma once
#include "kernel/lib/types.h"

#define BOOT_CMDLINE_MAX 4096U
#define BOOT_REGIONS_MAX 512U
#define BOOT_MODULES_MAX 64U

enum boot_region_type {
    BOOT_REGION_RAM,         /* free to use */
    BOOT_REGION_RECLAIMABLE, /* ACPI tables and the like: readable, not to be allocated by us */
    BOOT_REGION_RESERVED,    /* firmware, MMIO, unusable */
};

struct boot_region {
    u64 base;
    u64 len; /* bytes; base + len never wraps */
    enum boot_region_type type;
};

struct boot_module {
    hpa_t base;
    u64 len;             /* bytes */
    const char *cmdline; /* the module's string, NUL-terminated, never NULL */
};

enum boot_fb_type { BOOT_FB_NONE, BOOT_FB_RGB, BOOT_FB_TEXT };

struct boot_framebuffer {
    enum boot_fb_type type;
    hpa_t base;
    u32 pitch; /* bytes per line */
    u32 width; /* pixels, or characters for TEXT */
    u32 height;
    u8 bpp;
    u8 red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

struct boot_info {
    char cmdline[BOOT_CMDLINE_MAX];
    struct boot_region regions[BOOT_REGIONS_MAX]; /* sorted by base, no overlap; the strictest type wins an overlap */
    u32 region_count;
    struct boot_module modules[BOOT_MODULES_MAX];
    u32 module_count;
    u32 modules_dropped; /* modules beyond BOOT_MODULES_MAX */
    u32 regions_dropped; /* map entries that did not fit */
    hpa_t info_base;     /* the loader's information block itself, to be kept out of the allocator */
    u64 info_len;
    hpa_t kernel_base; /* physical extent of the kernel image, bss included */
    u64 kernel_len;
    u8 rsdp[64]; /* a copy of the RSDP structure; rsdp_len = 0 when the loader gave none */
    u32 rsdp_len;
    bool efi;                /* loaded by EFI firmware */
    u64 efi_system_table;    /* physical, 0 when absent */
    struct boot_framebuffer framebuffer;
    u64 start_ticks; /* the CPU's counter (arch_counter()) at the loader's hand-off */
};
