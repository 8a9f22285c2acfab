#include "vm/board/board.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "vm/load/load.h"

_Static_assert(VM_WHY_MAX >= LOAD_WHY_MAX, "a loader's reason fits");

static int fail(char *why, int rc, const char *what)
{
    (void)fmt_snprintf(why, VM_WHY_MAX, "%s: %s", what, errno_text(rc));
    return rc;
}

static int add_memory(struct vm *vm, char *why)
{
    struct frame_stats stats = frame_get_stats();
    u64 free_bytes = stats.free * FRAME_SIZE;

    if (vm->config->mem_bytes > free_bytes) {
        (void)fmt_snprintf(why, VM_WHY_MAX, "mem=%lluM is more than the machine has free (%lluM)",
                           (unsigned long long)(vm->config->mem_bytes / MIB(1)), (unsigned long long)(free_bytes / MIB(1)));
        return -E_NOMEM;
    }
    int rc = board_add_memory(vm);
    return rc == 0 ? 0 : fail(why, rc, "guest memory");
}

static int load(struct vm *vm, const struct image *images, struct vcpu_entry *entry, char *why)
{
    const struct load_request request = {
        .mem = &vm->mem,
        .ram_size = vm->config->mem_bytes,
        .config = vm->config,
        .images = images,
        .why = why,
    };

    vm->image = images[0];
    vm->find_symbol = load_find_symbol;
    return load_image(&request, entry, &vm->type);
}

static int assemble(struct vm *vm, const struct image *images, char *why)
{
    const struct irqchip_ops *chip_ops = NULL;
    void *chip = NULL;
    struct vcpu_entry entry = {0};
    int rc = add_memory(vm, why);

    if (rc != 0) {
        return rc;
    }
    rc = board_attach(vm, &chip_ops, &chip);
    if (rc == 0) {
        rc = vm_create_vcpus(vm, chip_ops, chip);
    }
    if (rc == 0) {
        rc = board_describe(vm);
    }
    if (rc != 0) {
        return fail(why, rc, "board");
    }
    rc = load(vm, images, &entry, why);
    if (rc != 0) {
        return rc;
    }
    rc = vcpu_set_entry(&vm->vcpus[0], &entry);
    return rc == 0 ? 0 : fail(why, rc, "entry state");
}

int board_build_vm(struct vm *vm, u32 id, const struct vm_config *config, const struct image *images, char *why)
{
    int rc = vm_init(vm, id, config);

    if (rc != 0) {
        return fail(why, rc, "page tables");
    }
    rc = assemble(vm, images, why);
    if (rc != 0) {
        vm_destroy(vm);
    }
    return rc;
}
