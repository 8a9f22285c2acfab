/* Linux/x86 boot protocol, Documentation/x86/boot.rst and zero-page.rst: offsets in a bzImage and in struct boot_params
 * (the setup header has the same offsets in both). */
#pragma once
#include "kernel/lib/types.h"

#define LINUX_SECTOR 512U
#define LINUX_SETUP_SECTS_DEFAULT 4U
#define LINUX_MAGIC "HdrS"
#define LINUX_BOOT_FLAG 0xAA55U
#define LINUX_VERSION_MIN 0x0206U
#define LINUX_VERSION_PREF_ADDRESS 0x020AU
#define LINUX_VERSION_XLOADFLAGS 0x020CU

#define LINUX_LOADFLAGS_LOADED_HIGH BIT32(0)
#define LINUX_XLF_KERNEL_64 BIT32(0)
#define LINUX_ENTRY_64_OFFSET 0x200U
#define LINUX_LOADER_UNDEFINED 0xFFU
#define LINUX_HIGH_LOAD_ADDRESS MIB(1)

struct linux_setup_header {
    u8 setup_sects;
    u16 root_flags;
    u32 syssize;
    u16 ram_size, vid_mode, root_dev, boot_flag;
    u16 jump;
    u8 header[4];
    u16 version;
    u32 realmode_swtch;
    u16 start_sys_seg, kernel_version;
    u8 type_of_loader, loadflags;
    u16 setup_move_size;
    u32 code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
    u16 heap_end_ptr;
    u8 ext_loader_ver, ext_loader_type;
    u32 cmd_line_ptr, initrd_addr_max, kernel_alignment;
    u8 relocatable_kernel, min_alignment;
    u16 xloadflags;
    u32 cmdline_size, hardware_subarch;
    u64 hardware_subarch_data;
    u32 payload_offset, payload_length;
    u64 setup_data, pref_address;
    u32 init_size, handover_offset, kernel_info_offset;
} PACKED;

#define LINUX_HEADER_OFFSET 0x1F1U
#define LINUX_AT(field) (LINUX_HEADER_OFFSET + offsetof(struct linux_setup_header, field))
_Static_assert(LINUX_AT(boot_flag) == 0x1FE, "boot_flag");
_Static_assert(LINUX_AT(header) == 0x202, "header");
_Static_assert(LINUX_AT(code32_start) == 0x214, "code32_start");
_Static_assert(LINUX_AT(cmd_line_ptr) == 0x228, "cmd_line_ptr");
_Static_assert(LINUX_AT(xloadflags) == 0x236, "xloadflags");
_Static_assert(LINUX_AT(pref_address) == 0x258, "pref_address");
_Static_assert(LINUX_AT(init_size) == 0x260, "init_size");
_Static_assert(LINUX_AT(kernel_info_offset) == 0x268, "kernel_info_offset");

#define LINUX_E820_RAM 1U
#define LINUX_E820_RESERVED 2U

struct linux_e820 {
    u64 addr, size;
    u32 type;
} PACKED;
_Static_assert(sizeof(struct linux_e820) == 20, "E820 entry");

/* struct boot_params, the "zero page"; only what a loader without firmware fills is named. */
struct linux_boot_params {
    u8 screen_info[0x70];
    u64 acpi_rsdp_addr;
    u8 reserved_078[0x1E8 - 0x78];
    u8 e820_entries;
    u8 reserved_1e9[LINUX_HEADER_OFFSET - 0x1E9];
    struct linux_setup_header hdr;
    u8 reserved_26c[0x2D0 - LINUX_AT(kernel_info_offset) - 4];
    struct linux_e820 e820_table[128];
    u8 reserved_cd0[0x1000 - 0xCD0];
} PACKED;
_Static_assert(offsetof(struct linux_boot_params, acpi_rsdp_addr) == 0x70, "acpi_rsdp_addr");
_Static_assert(offsetof(struct linux_boot_params, e820_entries) == 0x1E8, "e820_entries");
_Static_assert(offsetof(struct linux_boot_params, hdr) == LINUX_HEADER_OFFSET, "hdr");
_Static_assert(offsetof(struct linux_boot_params, e820_table) == 0x2D0, "e820_table");
_Static_assert(sizeof(struct linux_boot_params) == 0x1000, "boot_params");
