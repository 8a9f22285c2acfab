/* The key copies=: several VMs of one line. */
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

static bool taken(const struct mote_config *config, const char *name)
{
    for (u32 i = 0; i < config->vm_count; i++) {
        if (strcmp(config->vms[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool config_add_copy(struct mote_config *config, u32 index, u32 number, char *why)
{
    const struct vm_config *vm = &config->vms[index];
    char name[VM_NAME_MAX + 8];

    (void)fmt_snprintf(name, sizeof(name), "%s-%u", vm->name, number);
    if (config->vm_count == VM_MAX) {
        (void)fmt_snprintf(why, CONFIG_WHY_MAX, "too many VMs (%u)", VM_MAX);
        return false;
    }
    if (!config_name_valid(name) || taken(config, name)) {
        (void)fmt_snprintf(why, CONFIG_WHY_MAX, "%s cannot be a copy's name: %s", name,
                           config_name_valid(name) ? "another VM has it" : "too long");
        return false;
    }
    struct vm_config *copy = &config->vms[config->vm_count++];
    *copy = *vm;
    memcpy(copy->name, name, strlen(name) + 1);
    return true;
}
