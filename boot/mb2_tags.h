/* Tags of the multiboot2 information block, and a bounded view of one. Shared by the parser's two files. */
#pragma once
#include "boot/boot_info.h"
#include "kernel/lib/string.h"

enum mb2_tag_type {
    MB2_TAG_END = 0,
    MB2_TAG_CMDLINE = 1,
    MB2_TAG_MODULE = 3,
    MB2_TAG_MMAP = 6,
    MB2_TAG_FRAMEBUFFER = 8,
    MB2_TAG_EFI32_SYSTEM_TABLE = 11,
    MB2_TAG_EFI64_SYSTEM_TABLE = 12,
    MB2_TAG_RSDP_OLD = 14,
    MB2_TAG_RSDP_NEW = 15,
    MB2_TAG_EFI_MMAP = 17,
    MB2_TAG_EFI_BOOT_SERVICES = 18, /* not terminated */
};

/* A tag behind its type and size fields. */
struct mb2_tag {
    u32 type;
    const u8 *body;
    size_t len;
};

/* Little-endian values at an offset that the caller has checked. */
static inline u32 mb2_u32(const u8 *at)
{
    u32 value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline u64 mb2_u64(const u8 *at)
{
    u64 value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* Build out->regions from an E820 map (tag 6) or an EFI map (tag 17): sorted, without overlap, strictest type wins. A
 * malformed tag leaves no region. */
void mb2_parse_map(const struct mb2_tag *tag, struct boot_info *out);
