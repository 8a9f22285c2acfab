/* Multiboot 1 kernels: ELF32 or ELF64 by their program headers, or any file by the header's address fields. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/load/x86_64/multiboot.h"

#define UNDERSTOOD (MB1_HEADER_ALIGN_MODULES | MB1_HEADER_MEMORY | MB1_HEADER_VIDEO)

static bool find_header(const struct image *image, struct mb1_header *out, u64 *offset)
{
    u64 end = MIN(image->size, MB1_HEADER_WITHIN);

    for (u64 at = 0; range_contains(0, end, at, sizeof(*out)); at += MB1_HEADER_ALIGN) {
        memcpy(out, image->data + at, sizeof(*out));
        if (out->magic == MB1_HEADER_MAGIC && out->magic + out->flags + out->checksum == 0) {
            *offset = at;
            return true;
        }
    }
    return false;
}

static bool mb1_sniff(const struct image *image)
{
    struct mb1_header header;
    u64 offset;

    return find_header(image, &header, &offset);
}

static int plan_addresses(const struct image *image, u64 offset, struct load_plan *plan, char *why)
{
    struct mb1_header_addresses a;

    if (!range_contains(0, image->size, offset + sizeof(struct mb1_header), sizeof(a))) {
        return load_fail(why, -E_TRUNC, "multiboot header is truncated: address fields behind the module's %llu bytes",
                         (unsigned long long)image->size);
    }
    memcpy(&a, image->data + offset + sizeof(struct mb1_header), sizeof(a));
    struct mb_addresses fields = {offset, a.header_addr, a.load_addr, a.load_end_addr, a.bss_end_addr, a.entry_addr};
    return mb_plan_addresses(image, &fields, plan, why);
}

int mb1_plan(const struct image *image, struct load_plan *plan, char *why)
{
    struct mb1_header header;
    u64 offset;

    if (!find_header(image, &header, &offset)) {
        return load_fail(why, -E_FORMAT, "no multiboot header in the first 8192 bytes");
    }
    u32 unknown = header.flags & MB1_HEADER_REQUIRED & ~UNDERSTOOD;
    if (unknown != 0) {
        return load_fail(why, -E_FORMAT, "multiboot header requires unknown features (flags 0x%x)", unknown);
    }
    if ((header.flags & MB1_HEADER_ADDRESSES) != 0) {
        return plan_addresses(image, offset, plan, why);
    }
    return mb_plan_elf(image, plan, why);
}

static void put_modules(struct mb_boot *boot, struct mb1_info *info)
{
    struct mb1_module entries[VM_MODULES_MAX] = {0};

    for (u32 i = 0; i < boot->module_count; i++) {
        entries[i].mod_start = boot->modules[i].start;
        entries[i].mod_end = boot->modules[i].end;
        entries[i].string = mb_put_string(boot, boot->modules[i].string);
    }
    mb_align(boot, sizeof(u32));
    info->mods_count = boot->module_count;
    info->mods_addr = mb_put(boot, entries, sizeof(entries[0]) * boot->module_count);
}

static void put_map(struct mb_boot *boot, struct mb1_info *info)
{
    mb_align(boot, sizeof(u32));
    info->mmap_addr = (u32)(boot->info + boot->len);
    for (u32 i = 0; i < boot->map_count; i++) {
        const struct load_map_entry *m = &boot->map[i];
        struct mb1_mmap entry = {sizeof(entry) - sizeof(entry.size), m->base, m->len,
                                 m->ram ? MB_MEMORY_AVAILABLE : MB_MEMORY_RESERVED};
        (void)mb_put(boot, &entry, sizeof(entry));
    }
    info->mmap_length = boot->map_count * (u32)sizeof(struct mb1_mmap);
}

/* The structure comes first in the block; what it points to follows. */
static int build_info(const struct load_request *rq, struct mb_boot *boot)
{
    struct mb1_info info = {
        .flags = MB1_INFO_MEMORY | MB1_INFO_CMDLINE | MB1_INFO_MODS | MB1_INFO_MMAP | MB1_INFO_LOADER_NAME,
        .mem_lower = boot->mem_lower,
        .mem_upper = boot->mem_upper,
    };
    int error = 0;

    (void)mb_put(boot, &info, sizeof(info));
    info.cmdline = mb_put_string(boot, rq->config->modules[0].cmdline);
    info.boot_loader_name = mb_put_string(boot, MB_LOADER_NAME);
    put_modules(boot, &info);
    put_map(boot, &info);
    if (boot->sections.count != 0) {
        info.flags |= MB1_INFO_ELF_SHDR;
        info.shdr_num = boot->sections.count;
        info.shdr_size = boot->sections.entsize;
        info.shdr_shndx = boot->sections.strndx;
        mb_align(boot, MB2_ALIGN);
        error = mb_put_sections(rq, boot, &info.shdr_addr);
    }
    memcpy(boot->block, &info, sizeof(info));
    return error;
}

static int mb1_load(const struct load_request *rq, struct vcpu_entry *entry)
{
    return mb_load(rq, mb1_plan, build_info, MB1_BOOT_MAGIC, entry);
}

const struct loader loader_mb1 = {VM_TYPE_MB1, "mb1", mb1_sniff, mb1_load};
