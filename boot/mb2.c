#include "boot/mb2.h"
#include "boot/mb2_tags.h"
#include "kernel/lib/errno.h"

/* Offsets in a tag's body, that is, behind type and size. */
#define INFO_TOTAL_SIZE 0U
#define INFO_TAGS 8U
#define TAG_HEADER 8U
#define TAG_TYPE 0U
#define TAG_SIZE 4U
#define TAG_ALIGN 8U
#define MODULE_START 0U
#define MODULE_END 4U
#define MODULE_STRING 8U
#define RSDP_OLD_SIZE 20U
#define RSDP_NEW_SIZE 36U
#define FB_BASE 0U
#define FB_PITCH 8U
#define FB_WIDTH 12U
#define FB_HEIGHT 16U
#define FB_BPP 20U
#define FB_TYPE 21U
#define FB_COLOURS 24U
#define FB_TYPE_RGB 1U
#define FB_TYPE_TEXT 2U

size_t mb2_total_size(const void *info)
{
    return MIN((size_t)mb2_u32((const u8 *)info + INFO_TOTAL_SIZE), (size_t)MB2_INFO_MAX);
}

static void parse_cmdline(const struct mb2_tag *tag, struct boot_info *out)
{
    size_t len = strnlen((const char *)tag->body, MIN(tag->len, (size_t)BOOT_CMDLINE_MAX - 1));

    memcpy(out->cmdline, tag->body, len);
    out->cmdline[len] = '\0';
}

static void parse_module(const struct mb2_tag *tag, struct boot_info *out)
{
    if (tag->len < MODULE_STRING) {
        return;
    }
    u32 start = mb2_u32(tag->body + MODULE_START);
    u32 end = mb2_u32(tag->body + MODULE_END);
    const char *string = (const char *)tag->body + MODULE_STRING;

    if (end < start || out->module_count == BOOT_MODULES_MAX) {
        out->modules_dropped++;
        return;
    }
    if (memchr(string, '\0', tag->len - MODULE_STRING) == NULL) {
        string = ""; /* not terminated inside its tag */
    }
    out->modules[out->module_count++] = (struct boot_module){HPA(start), end - start, string};
}

static void parse_rsdp(const struct mb2_tag *tag, struct boot_info *out)
{
    size_t len = tag->type == MB2_TAG_RSDP_NEW ? RSDP_NEW_SIZE : RSDP_OLD_SIZE;

    if (tag->len < len || out->rsdp_len > len) { /* the newer one stays, whichever comes first */
        return;
    }
    memcpy(out->rsdp, tag->body, len);
    out->rsdp_len = (u32)len;
}

static void parse_framebuffer(const struct mb2_tag *tag, struct boot_info *out)
{
    struct boot_framebuffer *fb = &out->framebuffer;
    bool rgb;

    if (tag->len < FB_COLOURS) {
        return;
    }
    rgb = tag->body[FB_TYPE] == FB_TYPE_RGB && tag->len >= FB_COLOURS + 6;
    if (!rgb && tag->body[FB_TYPE] != FB_TYPE_TEXT) {
        return;
    }
    fb->type = rgb ? BOOT_FB_RGB : BOOT_FB_TEXT;
    fb->base = HPA(mb2_u64(tag->body + FB_BASE));
    fb->pitch = mb2_u32(tag->body + FB_PITCH);
    fb->width = mb2_u32(tag->body + FB_WIDTH);
    fb->height = mb2_u32(tag->body + FB_HEIGHT);
    fb->bpp = tag->body[FB_BPP];
    if (rgb) {
        const u8 *colours = tag->body + FB_COLOURS;
        fb->red_pos = colours[0];
        fb->red_size = colours[1];
        fb->green_pos = colours[2];
        fb->green_size = colours[3];
        fb->blue_pos = colours[4];
        fb->blue_size = colours[5];
    }
}

static void parse_system_table(const struct mb2_tag *tag, struct boot_info *out)
{
    bool wide = tag->type == MB2_TAG_EFI64_SYSTEM_TABLE;

    out->efi = true;
    if (tag->len >= (wide ? sizeof(u64) : sizeof(u32))) {
        out->efi_system_table = wide ? mb2_u64(tag->body) : mb2_u32(tag->body);
    }
}

/* The maps of the block; the better one is used when all tags have been seen. */
struct maps {
    struct mb2_tag e820, efi;
    bool boot_services;
};

static void parse_tag(const struct mb2_tag *tag, struct boot_info *out, struct maps *maps)
{
    switch (tag->type) {
    case MB2_TAG_CMDLINE:
        parse_cmdline(tag, out);
        break;
    case MB2_TAG_MODULE:
        parse_module(tag, out);
        break;
    case MB2_TAG_MMAP:
        maps->e820 = *tag;
        break;
    case MB2_TAG_EFI_MMAP:
        out->efi = true;
        maps->efi = *tag;
        break;
    case MB2_TAG_EFI_BOOT_SERVICES:
        maps->boot_services = true;
        break;
    case MB2_TAG_FRAMEBUFFER:
        parse_framebuffer(tag, out);
        break;
    case MB2_TAG_EFI32_SYSTEM_TABLE:
    case MB2_TAG_EFI64_SYSTEM_TABLE:
        parse_system_table(tag, out);
        break;
    case MB2_TAG_RSDP_OLD:
    case MB2_TAG_RSDP_NEW:
        parse_rsdp(tag, out);
        break;
    default:
        break;
    }
}

/* The EFI map tells more, but is stale while boot services still allocate. */
static void parse_maps(const struct maps *maps, struct boot_info *out)
{
    if (maps->efi.body != NULL && !maps->boot_services) {
        mb2_parse_map(&maps->efi, out);
    }
    if (out->region_count == 0 && maps->e820.body != NULL) {
        mb2_parse_map(&maps->e820, out);
    }
}

int mb2_parse(const void *info, size_t size, struct boot_info *out)
{
    struct maps maps = {0};
    const u8 *block = info;
    size_t at = INFO_TAGS;
    int error = -E_TRUNC;

    memset(out, 0, sizeof(*out));
    while (range_contains(0, size, at, TAG_HEADER)) {
        struct mb2_tag tag = {mb2_u32(block + at + TAG_TYPE), block + at + TAG_HEADER, 0};
        size_t tag_size = mb2_u32(block + at + TAG_SIZE);

        if (tag.type == MB2_TAG_END) {
            error = 0;
            break;
        }
        if (tag_size < TAG_HEADER || !range_contains(0, size, at, tag_size)) {
            break;
        }
        tag.len = tag_size - TAG_HEADER;
        parse_tag(&tag, out, &maps);
        at += ALIGN_UP(tag_size, (size_t)TAG_ALIGN);
    }
    parse_maps(&maps, out);
    return error;
}
