/* Choose a loader, and copy a plan into guest memory. */
#include "kernel/lib/errno.h"
#include "vm/load/space.h"

#define MAP_MAX 8U

/* Is [base, base+len) inside one piece of the VM's RAM? */
static bool inside_ram(u64 ram_size, u64 base, u64 len)
{
    struct load_map_entry map[MAP_MAX];
    u32 count = load_memory_map(ram_size, map);

    for (u32 i = 0; i < count; i++) {
        if (map[i].ram && range_contains(map[i].base, map[i].len, base, len)) {
            return true;
        }
    }
    return false;
}

static int check_segments(const struct load_request *rq, const struct image *image, const struct load_plan *plan)
{
    for (u32 i = 0; i < plan->count; i++) {
        const struct load_segment *s = &plan->segments[i];
        unsigned long long start = s->gpa, end = s->gpa + s->size_mem;
        if (!range_contains(0, image->size, s->offset, s->size_file) || s->size_file > s->size_mem) {
            return load_fail(rq->why, -E_TRUNC, "segment %u is not inside the module", i);
        }
        if (!inside_ram(rq->ram_size, s->gpa, s->size_mem)) {
            return load_fail(rq->why, -E_FAULT, "segment %u [0x%llx,0x%llx) lies outside the VM's %lluM of memory", i,
                             start, end, (unsigned long long)(rq->ram_size >> 20));
        }
        for (u32 j = 0; j < i; j++) {
            if (ranges_overlap(s->gpa, s->size_mem, plan->segments[j].gpa, plan->segments[j].size_mem)) {
                return load_fail(rq->why, -E_OVERLAP, "segments %u and %u overlap at 0x%llx", j, i,
                                 MAX(start, (unsigned long long)plan->segments[j].gpa));
            }
        }
    }
    return 0;
}

int load_place(const struct load_request *rq, const struct image *image, const struct load_plan *plan)
{
    int error = check_segments(rq, image, plan);

    for (u32 i = 0; i < plan->count && error == 0; i++) {
        const struct load_segment *s = &plan->segments[i];
        error = load_copy(rq, s->gpa, image->data + s->offset, s->size_file);
        if (error == 0 && s->size_mem > s->size_file) {
            error = gmem_zero(rq->mem, GPA(s->gpa + s->size_file), s->size_mem - s->size_file);
            if (error != 0) {
                return load_fail(rq->why, error, "cannot clear the end of segment %u", i);
            }
        }
    }
    return error;
}

static const struct loader *choose_loader(const struct load_request *rq)
{
    const struct image *kernel = &rq->images[0];

    if (vm_config_firmware(rq->config)) {
        return &load_firmware;
    }
    for (u32 i = 0; i < load_loader_count; i++) {
        const struct loader *loader = load_loaders[i];
        bool fits = rq->config->type == VM_TYPE_AUTO ? loader->sniff != NULL && loader->sniff(kernel)
                                                     : loader->type == rq->config->type;
        if (fits) {
            return loader;
        }
    }
    return NULL;
}

/* Keys that only some types of image understand. */
static int check_keys(const struct load_request *rq, const struct loader *loader)
{
    const struct vm_config *config = rq->config;

    if (loader == &load_firmware && config->type != VM_TYPE_AUTO) {
        return load_fail(rq->why, -E_INVAL, "type= is for kernels, this image is firmware");
    }
    if (config->has_load && loader->type != VM_TYPE_FLAT) {
        return load_fail(rq->why, -E_INVAL, "load= is for type=flat, this image is %s", loader->name);
    }
    if (loader->type == VM_TYPE_FLAT || loader->type == VM_TYPE_ELF) {
        return 0;
    }
    if (config->has_entry) {
        return load_fail(rq->why, -E_INVAL, "entry= is for type=flat and type=elf, this image is %s", loader->name);
    }
    if (config->mode != VM_MODE_AUTO) {
        return load_fail(rq->why, -E_INVAL, "mode= is for type=flat and type=elf, this image is %s", loader->name);
    }
    return 0;
}

int load_image(const struct load_request *rq, struct vcpu_entry *entry, const char **name)
{
    if (rq->images[0].size == 0) {
        return load_fail(rq->why, -E_FORMAT, "the %s module is empty",
                         vm_config_firmware(rq->config) ? "firmware" : "kernel");
    }
    const struct loader *loader = choose_loader(rq);
    if (loader == NULL) {
        return load_fail(rq->why, -E_FORMAT,
                         "the module is no kernel: no bzImage, multiboot or ELF (else say type=flat)");
    }
    int error = check_keys(rq, loader);
    if (error == 0 && loader != &load_firmware) {
        error = load_prepare(rq);
    }
    if (error == 0) {
        error = loader->load(rq, entry);
    }
    if (error == 0) {
        *name = loader->name;
    }
    return error;
}
