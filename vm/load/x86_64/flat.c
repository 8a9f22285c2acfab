/* Flat images (copied to one address and started in the mode that the user names) and plain ELF files. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/heap.h"
#include "vm/load/elf.h"
#include "vm/load/x86_64/loaders.h"

#define REAL_LOAD 0x7C00ULL
#define FLAT_LOAD MIB(1)
#define REAL_SEGMENT KIB(64)
#define REAL_END MIB(1)
#define PARAGRAPH_SHIFT 4U

struct flat_boot {
    struct load_plan plan;
    struct load_space space;
};

/* CS is 0 below 64 KiB; above, the segment starts at the paragraph of the entry. The stack lies below a boot sector as
 * BIOSes have it, else at the end of the image's segment. */
static int entry_real(const struct load_request *rq, u64 rip, struct vcpu_entry *entry)
{
    memset(entry, 0, sizeof(*entry));
    if (rip >= REAL_END) {
        return load_fail(rq->why, -E_RANGE, "entry 0x%llx is out of reach in real mode", (unsigned long long)rip);
    }
    entry->mode = X86_ENTRY_REAL;
    entry->real_cs = rip < REAL_SEGMENT ? 0 : (u16)(rip >> PARAGRAPH_SHIFT);
    entry->real_ds = entry->real_cs;
    entry->rip = rip - ((u64)entry->real_cs << PARAGRAPH_SHIFT);
    entry->rsp = entry->real_cs == 0 && rip >= REAL_LOAD ? REAL_LOAD : 0;
    return 0;
}

static int make_entry(const struct load_request *rq, struct flat_boot *boot, enum vm_mode mode,
                      struct vcpu_entry *entry)
{
    u64 rip = boot->plan.entry;

    if (rip >= GIB(4)) {
        return load_fail(rq->why, -E_RANGE, "entry 0x%llx is above 4 GiB", (unsigned long long)rip);
    }
    load_space_init(&boot->space, rq->ram_size);
    if (load_space_take_plan(&boot->space, &boot->plan) != 0) {
        return load_fail(rq->why, -E_NOMEM, "too many segments");
    }
    switch (mode) {
    case VM_MODE_REAL:
        return entry_real(rq, rip, entry);
    case VM_MODE_PROT:
        return entry_prot(rq, &boot->space, rip, entry);
    case VM_MODE_LONG:
    case VM_MODE_AUTO:
        break;
    }
    return entry_long(rq, &boot->space, rip, entry);
}

static int plan_flat(const struct load_request *rq, struct load_plan *plan, enum vm_mode *mode)
{
    const struct vm_config *config = rq->config;
    u64 size = rq->images[0].size;

    *mode = config->mode == VM_MODE_AUTO ? VM_MODE_REAL : config->mode;
    u64 load = config->has_load ? config->load : *mode == VM_MODE_REAL ? REAL_LOAD : FLAT_LOAD;
    u64 entry = config->has_entry ? config->entry : load;
    if (load + size < load) {
        return load_fail(rq->why, -E_RANGE, "load address 0x%llx is out of range", (unsigned long long)load);
    }
    if (!range_contains(load, size, entry, 1)) {
        return load_fail(rq->why, -E_RANGE, "entry 0x%llx lies outside the image [0x%llx,0x%llx)",
                         (unsigned long long)entry, (unsigned long long)load, (unsigned long long)(load + size));
    }
    plan->segments[0] = (struct load_segment){0, size, load, size};
    plan->count = 1;
    plan->entry = entry;
    return 0;
}

static int plan_elf(const struct load_request *rq, struct load_plan *plan, enum vm_mode *mode)
{
    const struct vm_config *config = rq->config;
    int error = elf_parse(&rq->images[0], plan, rq->why);

    if (error != 0) {
        return error;
    }
    if (plan->machine != ELF_MACHINE_386 && plan->machine != ELF_MACHINE_X86_64) {
        return load_fail(rq->why, -E_FORMAT, "ELF file for another machine (e_machine %u)", plan->machine);
    }
    if (config->has_entry) {
        plan->entry = config->entry;
    }
    *mode = config->mode != VM_MODE_AUTO ? config->mode : plan->elf64 ? VM_MODE_LONG : VM_MODE_PROT;
    return 0;
}

typedef int (*planner)(const struct load_request *rq, struct load_plan *plan, enum vm_mode *mode);

static int load_planned(const struct load_request *rq, planner make_plan, struct vcpu_entry *entry)
{
    struct flat_boot *boot = heap_alloc(sizeof(*boot));
    struct vcpu_entry start;
    enum vm_mode mode = VM_MODE_REAL;

    if (boot == NULL) {
        return load_fail(rq->why, -E_NOMEM, "the host has no memory for the loader");
    }
    int error = make_plan(rq, &boot->plan, &mode);
    if (error == 0) {
        error = load_place(rq, &rq->images[0], &boot->plan);
    }
    if (error == 0) {
        error = make_entry(rq, boot, mode, &start);
    }
    if (error == 0) {
        *entry = start;
    }
    heap_free(boot);
    return error;
}

static int flat_load(const struct load_request *rq, struct vcpu_entry *entry)
{
    return load_planned(rq, plan_flat, entry);
}

static int elf_load(const struct load_request *rq, struct vcpu_entry *entry)
{
    return load_planned(rq, plan_elf, entry);
}

const struct loader loader_flat = {VM_TYPE_FLAT, "flat", NULL, flat_load};
const struct loader loader_elf = {VM_TYPE_ELF, "elf", elf_sniff, elf_load};
