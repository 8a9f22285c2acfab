/* Multiboot Specification 0.6.96 and Multiboot2 Specification 2.0: headers in kernels, information for them. */
#pragma once
#include "kernel/lib/types.h"

/* --- Multiboot 1 --- */
#define MB1_HEADER_MAGIC 0x1BADB002U
#define MB1_HEADER_WITHIN 8192U
#define MB1_HEADER_ALIGN 4U
#define MB1_BOOT_MAGIC 0x2BADB002U
#define MB1_HEADER_ALIGN_MODULES BIT32(0)
#define MB1_HEADER_MEMORY BIT32(1)
#define MB1_HEADER_VIDEO BIT32(2)
#define MB1_HEADER_REQUIRED 0xFFFFU /* bits that a loader must understand or refuse */
#define MB1_HEADER_ADDRESSES BIT32(16)

struct mb1_header {
    u32 magic, flags, checksum;
};

struct mb1_header_addresses { /* behind struct mb1_header with MB1_HEADER_ADDRESSES */
    u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

#define MB1_INFO_MEMORY BIT32(0)
#define MB1_INFO_CMDLINE BIT32(2)
#define MB1_INFO_MODS BIT32(3)
#define MB1_INFO_ELF_SHDR BIT32(5)
#define MB1_INFO_MMAP BIT32(6)
#define MB1_INFO_LOADER_NAME BIT32(9)

struct mb1_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    u32 shdr_num, shdr_size, shdr_addr, shdr_shndx;
    u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
    u32 vbe[4], framebuffer[7];
};
_Static_assert(offsetof(struct mb1_info, mmap_length) == 44, "multiboot mmap_length");
_Static_assert(offsetof(struct mb1_info, boot_loader_name) == 64, "multiboot boot_loader_name");
_Static_assert(sizeof(struct mb1_info) == 116, "multiboot information");

struct mb1_module {
    u32 mod_start, mod_end, string, reserved;
};

struct mb1_mmap {
    u32 size; /* of the rest */
    u64 addr, len;
    u32 type;
} PACKED;
_Static_assert(sizeof(struct mb1_mmap) == 24, "multiboot memory map entry");

#define MB_MEMORY_AVAILABLE 1U
#define MB_MEMORY_RESERVED 2U

/* --- Multiboot 2 --- */
#define MB2_HEADER_MAGIC 0xE85250D6U
#define MB2_HEADER_WITHIN 32768U
#define MB2_ALIGN 8U
#define MB2_ARCH_I386 0U
#define MB2_BOOT_MAGIC 0x36D76289U

struct mb2_header {
    u32 magic, architecture, header_length, checksum;
};

#define MB2_TAG_OPTIONAL BIT32(0)

enum mb2_header_tag_type {
    MB2_HEADER_END,
    MB2_HEADER_INFORMATION,
    MB2_HEADER_ADDRESS,
    MB2_HEADER_ENTRY,
    MB2_HEADER_CONSOLE,
    MB2_HEADER_FRAMEBUFFER,
    MB2_HEADER_MODULE_ALIGN,
    MB2_HEADER_EFI_BS,
    MB2_HEADER_ENTRY_EFI32,
    MB2_HEADER_ENTRY_EFI64,
    MB2_HEADER_RELOCATABLE,
    MB2_HEADER_TYPES
};

struct mb2_header_tag {
    u16 type, flags;
    u32 size;
};

struct mb2_header_address {
    u32 header_addr, load_addr, load_end_addr, bss_end_addr;
};

enum mb2_info_tag_type {
    MB2_INFO_END,
    MB2_INFO_CMDLINE,
    MB2_INFO_LOADER_NAME,
    MB2_INFO_MODULE,
    MB2_INFO_BASIC_MEMORY,
    MB2_INFO_BOOT_DEVICE,
    MB2_INFO_MMAP,
    MB2_INFO_VBE,
    MB2_INFO_FRAMEBUFFER,
    MB2_INFO_ELF_SECTIONS,
    MB2_INFO_APM,
    MB2_INFO_EFI32,
    MB2_INFO_EFI64,
    MB2_INFO_SMBIOS,
    MB2_INFO_ACPI_OLD,
    MB2_INFO_ACPI_NEW,
    MB2_INFO_NETWORK,
    MB2_INFO_EFI_MMAP,
    MB2_INFO_EFI_BS,
    MB2_INFO_EFI32_IH,
    MB2_INFO_EFI64_IH,
    MB2_INFO_LOAD_BASE,
    MB2_INFO_TYPES
};

struct mb2_info {
    u32 total_size, reserved;
};

struct mb2_info_tag {
    u32 type, size;
};

struct mb2_mmap {
    u64 base_addr, length;
    u32 type, reserved;
};
_Static_assert(sizeof(struct mb2_mmap) == 24, "multiboot2 memory map entry");
