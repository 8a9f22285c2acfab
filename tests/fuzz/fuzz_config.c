/* The configuration parser on arbitrary lines, separated by newlines; the first is the hypervisor's; a module
 * with the role config holds all of them. */
/* units: vm/config_gdb.c vm/config.c vm/config_keys.c vm/config_console.c vm/config_value.c kernel/lib/fmt.c */
/* units: vm/config_copies.c vm/config_text.c vm/config_apply.c vm/config_uart.c vm/config_show.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "vm/config.h"

#define LINES_MAX 80U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_report(void *ctx, int module, const char *vm, const char *key, const char *why)
{
    (void)ctx;
    if (module < -1 || module >= (int)LINES_MAX || strlen(vm) >= VM_NAME_MAX || strlen(key) > 255 ||
        strlen(why) >= CONFIG_WHY_MAX || why[0] == '\0') {
        abort();
    }
}

static void check_vm(const struct vm_config *vm, u32 lines)
{
    if (vm->name[0] == '\0' || strnlen(vm->name, VM_NAME_MAX) == VM_NAME_MAX || vm->vcpus == 0 ||
        vm->vcpus > VM_VCPUS_MAX || vm->mem_bytes < MIB(1) || vm->module_count > VM_MODULES_MAX ||
        vm->module_count == 0 || cpuset_empty(&vm->pin)) {
        abort();
    }
    char shown[512];
    config_show_vm(vm, shown, sizeof(shown));
    for (u32 i = 0; i < vm->module_count; i++) {
        if (vm->modules[i].boot_module >= lines || strlen(vm->modules[i].cmdline) >= VM_CMDLINE_MAX) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mote_config config;
    struct config_source lines[LINES_MAX];
    u32 count = 0;
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    char *next = text;
    while (next != NULL && count < LINES_MAX) {
        lines[count++] = (struct config_source){next, (const char *)data, size};
        next = strchr(next, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
    }
    config_parse(lines[0].line, lines + 1, count - 1, check_report, NULL, &config);
    if (config.vm_count > VM_MAX) {
        abort();
    }
    for (u32 i = 0; i < config.vm_count; i++) {
        check_vm(&config.vms[i], count - 1);
    }
    free(text);
    return 0;
}
