/* Multiboot 2 kernels: the tags of the header, then the plan. The information block is in mb2_info.c. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/load/x86_64/mb2.h"

/* What the header's tags ask for. */
struct wishes {
    u64 header_offset;
    bool has_addresses, has_entry;
    struct mb2_header_address addresses;
    u32 entry;
};

static bool find_header(const struct image *image, struct mb2_header *out, u64 *offset)
{
    u64 end = MIN(image->size, MB2_HEADER_WITHIN);

    for (u64 at = 0; range_contains(0, end, at, sizeof(*out)); at += MB2_ALIGN) {
        memcpy(out, image->data + at, sizeof(*out));
        u32 sum = out->magic + out->architecture + out->header_length + out->checksum;
        if (out->magic == MB2_HEADER_MAGIC && sum == 0) {
            *offset = at;
            return true;
        }
    }
    return false;
}

static bool mb2_sniff(const struct image *image)
{
    struct mb2_header header;
    u64 offset;

    return find_header(image, &header, &offset);
}

static int fail_size(const struct mb2_header_tag *tag, char *why)
{
    return load_fail(why, -E_FORMAT, "multiboot2 header tag %u has a bad size of %u bytes", tag->type, tag->size);
}

/* A kernel may ask for information of any type that the specification names; which of it there is, the block shows. */
static int check_information(const struct mb2_header_tag *tag, const u8 *body, char *why)
{
    u32 count = (tag->size - (u32)sizeof(*tag)) / (u32)sizeof(u32), type;

    for (u32 i = 0; i < count && (tag->flags & MB2_TAG_OPTIONAL) == 0; i++) {
        memcpy(&type, body + i * sizeof(type), sizeof(type));
        if (type >= MB2_INFO_TYPES) {
            return load_fail(why, -E_FORMAT, "multiboot2 kernel requires unknown information (type %u)", type);
        }
    }
    return 0;
}

static int take_tag(const struct mb2_header_tag *tag, const u8 *body, struct wishes *w, char *why)
{
    u32 bytes = tag->size - (u32)sizeof(*tag);

    switch (tag->type) {
    case MB2_HEADER_INFORMATION:
        return check_information(tag, body, why);
    case MB2_HEADER_ADDRESS:
        if (bytes < sizeof(w->addresses)) {
            return fail_size(tag, why);
        }
        memcpy(&w->addresses, body, sizeof(w->addresses));
        w->has_addresses = true;
        return 0;
    case MB2_HEADER_ENTRY:
        if (bytes < sizeof(w->entry)) {
            return fail_size(tag, why);
        }
        memcpy(&w->entry, body, sizeof(w->entry));
        w->has_entry = true;
        return 0;
    case MB2_HEADER_EFI_BS:
        return (tag->flags & MB2_TAG_OPTIONAL) != 0
                   ? 0
                   : load_fail(why, -E_FORMAT, "multiboot2 kernel requires EFI boot services");
    default:
        break; /* console, framebuffer, alignment, other entries, relocation: nothing to do, or a default that fits */
    }
    if (tag->type >= MB2_HEADER_TYPES && (tag->flags & MB2_TAG_OPTIONAL) == 0) {
        return load_fail(why, -E_FORMAT, "multiboot2 kernel requires an unknown feature (header tag %u)", tag->type);
    }
    return 0;
}

static int read_tags(const struct image *image, const struct mb2_header *header, struct wishes *w, char *why)
{
    u64 at = w->header_offset + sizeof(*header), end = w->header_offset + header->header_length;
    struct mb2_header_tag tag;

    while (range_contains(at, end - MIN(at, end), at, sizeof(tag))) {
        memcpy(&tag, image->data + at, sizeof(tag));
        if (tag.type == MB2_HEADER_END) {
            break;
        }
        if (tag.size < sizeof(tag) || tag.size > end - at) {
            return fail_size(&tag, why);
        }
        int error = take_tag(&tag, image->data + at + sizeof(tag), w, why);
        if (error != 0) {
            return error;
        }
        at += ALIGN_UP((u64)tag.size, MB2_ALIGN);
    }
    return 0;
}

static int check_header(const struct image *image, const struct mb2_header *header, u64 offset, char *why)
{
    if (header->architecture != MB2_ARCH_I386) {
        return load_fail(why, -E_FORMAT, "multiboot2 kernel for another architecture (%u)", header->architecture);
    }
    if (header->header_length < sizeof(*header) || !range_contains(0, image->size, offset, header->header_length)) {
        return load_fail(why, -E_TRUNC, "multiboot2 header of %u bytes at 0x%llx, module has %llu",
                         header->header_length, (unsigned long long)offset, (unsigned long long)image->size);
    }
    return 0;
}

static int plan_wishes(const struct image *image, const struct wishes *w, struct load_plan *plan, char *why)
{
    const struct mb2_header_address *a = &w->addresses;

    if (w->has_addresses && !w->has_entry) {
        return load_fail(why, -E_FORMAT, "multiboot2 header has load addresses but no entry address");
    }
    if (w->has_addresses) {
        struct mb_addresses fields = {w->header_offset, a->header_addr, a->load_addr, a->load_end_addr, a->bss_end_addr,
                                      w->entry};
        return mb_plan_addresses(image, &fields, plan, why);
    }
    int error = mb_plan_elf(image, plan, why);
    if (error == 0 && w->has_entry) {
        plan->entry = w->entry;
    }
    return error;
}

int mb2_plan(const struct image *image, struct load_plan *plan, char *why)
{
    struct mb2_header header;
    struct wishes w = {0};

    if (!find_header(image, &header, &w.header_offset)) {
        return load_fail(why, -E_FORMAT, "no multiboot2 header in the first 32768 bytes");
    }
    int error = check_header(image, &header, w.header_offset, why);
    if (error == 0) {
        error = read_tags(image, &header, &w, why);
    }
    return error != 0 ? error : plan_wishes(image, &w, plan, why);
}

static int mb2_load(const struct load_request *rq, struct vcpu_entry *entry)
{
    return mb_load(rq, mb2_plan, mb2_build_info, MB2_BOOT_MAGIC, entry);
}

const struct loader loader_mb2 = {VM_TYPE_MB2, "mb2", mb2_sniff, mb2_load};
