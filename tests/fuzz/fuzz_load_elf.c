/* The ELF loader on arbitrary bytes: whatever is accepted must lie inside the VM's memory. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/unit/load_host.h"
#include "vm/load/x86_64/loaders.h"

#define RAM MIB(4)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *name = NULL;

    if (ram == NULL) {
        fake_vm(RAM);
    }
    memset(&fake_config, 0, sizeof(fake_config));
    fake_config.type = VM_TYPE_ELF;
    fake_module(ROLE_KERNEL, data, size, "a b");
    fake_module(ROLE_MODULE, data, size / 2, "");
    struct load_request rq = fake_request();
    fake_why[0] = '\0';
    int error = load_image(&rq, &fake_entry, &name);
    if (heap_blocks != 0 || (error == 0) != (name != NULL) || (error != 0 && fake_why[0] == '\0') ||
        (error == 0 && fake_entry.rip >= GIB(4))) {
        abort();
    }
    return 0;
}
