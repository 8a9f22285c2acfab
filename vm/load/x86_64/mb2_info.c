/* The multiboot 2 information block: a size, then tags, each aligned to eight bytes. */
#include "kernel/lib/string.h"
#include "vm/load/x86_64/mb2.h"

/* Open a tag; close_tag() fills in its size and pads. */
static u64 open_tag(struct mb_boot *boot, u32 type)
{
    struct mb2_info_tag tag = {type, 0};
    u64 at = boot->len;

    (void)mb_put(boot, &tag, sizeof(tag));
    return at;
}

static void close_tag(struct mb_boot *boot, u64 at)
{
    u32 size = (u32)(boot->len - at);

    memcpy(boot->block + at + offsetof(struct mb2_info_tag, size), &size, sizeof(size));
    mb_align(boot, MB2_ALIGN);
}

static void put_tag(struct mb_boot *boot, u32 type, const void *body, u64 len)
{
    u64 at = open_tag(boot, type);

    (void)mb_put(boot, body, len);
    close_tag(boot, at);
}

static void put_modules(struct mb_boot *boot)
{
    for (u32 i = 0; i < boot->module_count; i++) {
        const struct mb_module *m = &boot->modules[i];
        const u32 range[2] = {m->start, m->end};
        u64 at = open_tag(boot, MB2_INFO_MODULE);
        (void)mb_put(boot, range, sizeof(range));
        (void)mb_put_string(boot, m->string);
        close_tag(boot, at);
    }
}

static void put_memory(struct mb_boot *boot)
{
    const u32 basic[2] = {boot->mem_lower, boot->mem_upper};
    const u32 head[2] = {sizeof(struct mb2_mmap), 0}; /* entry_size, entry_version */

    put_tag(boot, MB2_INFO_BASIC_MEMORY, basic, sizeof(basic));
    u64 at = open_tag(boot, MB2_INFO_MMAP);
    (void)mb_put(boot, head, sizeof(head));
    for (u32 i = 0; i < boot->map_count; i++) {
        const struct load_map_entry *m = &boot->map[i];
        struct mb2_mmap entry = {m->base, m->len, m->ram ? MB_MEMORY_AVAILABLE : MB_MEMORY_RESERVED, 0};
        (void)mb_put(boot, &entry, sizeof(entry));
    }
    close_tag(boot, at);
}

static int put_sections(const struct load_request *rq, struct mb_boot *boot)
{
    const u32 head[3] = {boot->sections.count, boot->sections.entsize, boot->sections.strndx};
    u32 address;

    if (boot->sections.count == 0) {
        return 0;
    }
    u64 at = open_tag(boot, MB2_INFO_ELF_SECTIONS);
    (void)mb_put(boot, head, sizeof(head));
    int error = mb_put_sections(rq, boot, &address);
    close_tag(boot, at);
    return error;
}

static void put_rsdp(const struct load_request *rq, struct mb_boot *boot)
{
    u8 rsdp[36];
    u32 len;

    if (loader_find_rsdp(rq, rsdp, &len) != 0) {
        put_tag(boot, len < sizeof(rsdp) ? MB2_INFO_ACPI_OLD : MB2_INFO_ACPI_NEW, rsdp, len);
    }
}

static u32 load_base(const struct load_plan *plan)
{
    u64 base = plan->segments[0].gpa;

    for (u32 i = 1; i < plan->count; i++) {
        base = MIN(base, plan->segments[i].gpa);
    }
    return (u32)base;
}

int mb2_build_info(const struct load_request *rq, struct mb_boot *boot)
{
    struct mb2_info head = {0, 0};
    u32 base = load_base(&boot->plan);
    const char *cmdline = rq->config->modules[0].cmdline;

    (void)mb_put(boot, &head, sizeof(head));
    put_tag(boot, MB2_INFO_CMDLINE, cmdline, strlen(cmdline) + 1);
    put_tag(boot, MB2_INFO_LOADER_NAME, MB_LOADER_NAME, sizeof(MB_LOADER_NAME));
    put_modules(boot);
    put_memory(boot);
    int error = put_sections(rq, boot);
    put_rsdp(rq, boot);
    put_tag(boot, MB2_INFO_LOAD_BASE, &base, sizeof(base));
    close_tag(boot, open_tag(boot, MB2_INFO_END));
    head.total_size = (u32)boot->len;
    memcpy(boot->block, &head, sizeof(head));
    return error;
}
