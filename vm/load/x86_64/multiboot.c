/* Placing a multiboot kernel, its modules and its information block. */
#include "vm/load/x86_64/multiboot.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/heap.h"

#define INFO_FIXED KIB(2) /* headers, tags, map, loader name: everything but strings and sections */
#define PER_STRING 64U    /* a module's entry, alignment */
#define LIMIT_32 GIB(4)

int mb_plan_addresses(const struct image *image, const struct mb_addresses *f, struct load_plan *plan, char *why)
{
    u64 before = (u64)f->header_addr - f->load_addr; /* bytes loaded in front of the header */

    if (f->load_addr > f->header_addr || before > f->header_offset) {
        return load_fail(why, -E_FORMAT, "multiboot load_addr 0x%x does not fit header_addr 0x%x", f->load_addr,
                         f->header_addr);
    }
    u64 offset = f->header_offset - before;
    u64 size = f->load_end_addr != 0 ? (u64)f->load_end_addr - f->load_addr : image->size - offset;
    if (f->load_end_addr != 0 && f->load_end_addr <= f->load_addr) {
        return load_fail(why, -E_FORMAT, "multiboot load_end_addr 0x%x is not above load_addr 0x%x", f->load_end_addr,
                         f->load_addr);
    }
    if (!range_contains(0, image->size, offset, size)) {
        return load_fail(why, -E_TRUNC, "multiboot kernel is truncated: header says %llu bytes, module has %llu",
                         (unsigned long long)(offset + size), (unsigned long long)image->size);
    }
    u64 end = f->load_addr + size;
    if (f->bss_end_addr != 0 && f->bss_end_addr < end) {
        return load_fail(why, -E_FORMAT, "multiboot bss_end_addr 0x%x lies below the end of the data 0x%llx",
                         f->bss_end_addr, (unsigned long long)end);
    }
    end = f->bss_end_addr != 0 ? f->bss_end_addr : end;
    if (!range_contains(f->load_addr, end - f->load_addr, f->entry_addr, 1)) {
        return load_fail(why, -E_FORMAT, "entry 0x%x lies outside the kernel [0x%x,0x%llx)", f->entry_addr,
                         f->load_addr, (unsigned long long)end);
    }
    memset(plan, 0, sizeof(*plan));
    plan->segments[0] = (struct load_segment){offset, size, f->load_addr, end - f->load_addr};
    plan->count = 1;
    plan->entry = f->entry_addr;
    return 0;
}

int mb_plan_elf(const struct image *image, struct load_plan *plan, char *why)
{
    int error = elf_parse(image, plan, why);

    if (error == 0 && plan->machine != ELF_MACHINE_386 && plan->machine != ELF_MACHINE_X86_64) {
        return load_fail(why, -E_FORMAT, "ELF file for another machine (e_machine %u)", plan->machine);
    }
    return error;
}

static u64 plan_end(const struct load_plan *plan)
{
    u64 end = MIB(1);

    for (u32 i = 0; i < plan->count; i++) {
        end = MAX(end, plan->segments[i].gpa + plan->segments[i].size_mem);
    }
    return end;
}

/* Modules follow the kernel, where small kernels map memory first; any free place will do otherwise. */
static int place_modules(const struct load_request *rq, struct mb_boot *boot)
{
    u64 floor = plan_end(&boot->plan), at;

    for (u32 i = 1; i < rq->config->module_count; i++) {
        const struct image *image = &rq->images[i];
        if (load_space_low(&boot->space, floor, image->size, LOAD_PAGE, &at) != 0 &&
            load_space_low(&boot->space, MIB(1), image->size, LOAD_PAGE, &at) != 0) {
            return load_fail_space(rq, "a module", image->size);
        }
        int error = load_copy(rq, at, image->data, image->size);
        if (error != 0) {
            return error;
        }
        boot->modules[boot->module_count++] =
            (struct mb_module){(u32)at, (u32)(at + image->size), rq->config->modules[i].cmdline};
    }
    return 0;
}

static void describe_memory(const struct load_request *rq, struct mb_boot *boot)
{
    boot->map_count = load_memory_map(rq->ram_size, boot->map);
    for (u32 i = 0; i < boot->map_count; i++) {
        if (boot->map[i].ram && boot->map[i].base == 0) {
            boot->mem_lower = (u32)(boot->map[i].len >> 10);
        } else if (boot->map[i].ram && boot->map[i].base == MIB(1)) {
            boot->mem_upper = (u32)(boot->map[i].len >> 10);
        }
    }
}

static int place_kernel(const struct load_request *rq, struct mb_boot *boot)
{
    int error = load_place(rq, &rq->images[0], &boot->plan);

    if (error != 0) {
        return error;
    }
    if (boot->plan.entry >= LIMIT_32) {
        return load_fail(rq->why, -E_RANGE, "entry 0x%llx is above 4 GiB", (unsigned long long)boot->plan.entry);
    }
    load_space_init(&boot->space, rq->ram_size);
    if (load_space_take_plan(&boot->space, &boot->plan) != 0) {
        return load_fail(rq->why, -E_NOMEM, "too many segments");
    }
    if (!elf_find_sections(&rq->images[0], &boot->sections)) {
        boot->sections.count = 0;
    }
    describe_memory(rq, boot);
    return place_modules(rq, boot);
}

static u64 block_capacity(const struct load_request *rq, const struct mb_boot *boot)
{
    u64 bytes = INFO_FIXED + (u64)boot->sections.count * boot->sections.entsize;

    for (u32 i = 0; i < rq->config->module_count; i++) {
        bytes += strlen(rq->config->modules[i].cmdline) + PER_STRING;
    }
    return bytes;
}

u32 mb_put(struct mb_boot *boot, const void *data, u64 len)
{
    u64 at = boot->len;

    ASSERT(range_contains(0, boot->capacity, at, len));
    memcpy(boot->block + at, data, (size_t)len);
    boot->len += len;
    return (u32)(boot->info + at);
}

u32 mb_put_string(struct mb_boot *boot, const char *text)
{
    return mb_put(boot, text, strlen(text) + 1);
}

void mb_align(struct mb_boot *boot, u64 align)
{
    boot->len = ALIGN_UP(boot->len, align);
    ASSERT(boot->len <= boot->capacity);
}

int mb_put_sections(const struct load_request *rq, struct mb_boot *boot, u32 *address)
{
    u64 at = boot->len, bytes = (u64)boot->sections.count * boot->sections.entsize;

    ASSERT(range_contains(0, boot->capacity, at, bytes));
    boot->len += bytes;
    *address = (u32)(boot->info + at);
    return elf_place_sections(rq, &boot->sections, &boot->space, boot->block + at);
}

static int place_block(const struct load_request *rq, struct mb_boot *boot, mb_builder build)
{
    boot->capacity = block_capacity(rq, boot);
    if (load_space_low(&boot->space, LOAD_DATA_FLOOR, boot->capacity, LOAD_PAGE, &boot->info) != 0) {
        return load_fail_space(rq, "the multiboot information", boot->capacity);
    }
    boot->block = heap_alloc((size_t)boot->capacity);
    if (boot->block == NULL) {
        return load_fail(rq->why, -E_NOMEM, "the host has no memory for the multiboot information");
    }
    int error = build(rq, boot);
    if (error == 0) {
        error = load_copy(rq, boot->info, boot->block, boot->len);
    }
    heap_free(boot->block);
    return error;
}

static int load_all(const struct load_request *rq, struct mb_boot *boot, mb_planner plan, mb_builder build,
                    struct vcpu_entry *entry)
{
    int error = plan(&rq->images[0], &boot->plan, rq->why);

    if (error == 0) {
        error = place_kernel(rq, boot);
    }
    if (error == 0) {
        error = place_block(rq, boot, build);
    }
    if (error == 0) {
        error = entry_prot(rq, &boot->space, boot->plan.entry, entry);
    }
    return error;
}

int mb_load(const struct load_request *rq, mb_planner plan, mb_builder build, u32 magic, struct vcpu_entry *entry)
{
    struct vcpu_entry start;
    struct mb_boot *boot = heap_alloc(sizeof(*boot));

    if (boot == NULL) {
        return load_fail(rq->why, -E_NOMEM, "the host has no memory for the loader");
    }
    int error = load_all(rq, boot, plan, build, &start);
    if (error == 0) {
        start.gpr[X86_RAX] = magic;
        start.gpr[X86_RBX] = boot->info;
        *entry = start;
    }
    heap_free(boot);
    return error;
}
