/* What the loaders' fuzz targets share: load arbitrary bytes, on which the magic numbers were stamped, or hardly any
 * input would get beyond them; whatever is accepted must lie inside the VM's memory. */
#pragma once
#include "tests/unit/load_host.h"
#include "vm/load/x86_64/loaders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static UNUSED void stamp(u8 *image, size_t size, size_t at, const void *bytes, size_t len)
{
    if (range_contains(0, size, at, len)) {
        memcpy(image + at, bytes, len);
    }
}

static int fuzz_load(u8 *image, size_t size, u64 vm_bytes, enum vm_type type, enum vm_role second)
{
    const char *name = NULL;

    if (ram == NULL) {
        fake_vm(vm_bytes);
    }
    memset(&fake_config, 0, sizeof(fake_config));
    fake_config.type = type;
    fake_module(ROLE_KERNEL, image, size, "a b");
    fake_module(second, image, size / 2, "");
    struct load_request rq = fake_request();
    fake_why[0] = '\0';
    int error = load_image(&rq, &fake_entry, &name);
    if (heap_blocks != 0 || (error == 0) != (name != NULL) || (error != 0 && fake_why[0] == '\0') ||
        (error == 0 && fake_entry.rip >= GIB(4))) {
        abort();
    }
    return 0;
}

/* A writable copy of exact size. */
static UNUSED u8 *fuzz_copy(const uint8_t *data, size_t size)
{
    u8 *copy = malloc(size != 0 ? size : 1);

    memcpy(copy, data, size);
    return copy;
}
