#include "kernel/init/setup.h"
#include "kernel/base/log.h"
#include "kernel/lib/fmt.h"
#include "mm/physmap.h"

#define SHOWN_MAX 512U

static struct mote_config config;

static void report(void *ctx, int module, const char *vm, const char *key, const char *why)
{
    char line[24] = "hypervisor";

    (void)ctx;
    if (module >= 0) {
        (void)fmt_snprintf(line, sizeof(line), "module-%d", module);
    }
    if (vm[0] != '\0') {
        log_event("vm=%s ev=config-error line=%s key=%s why=\"%s\"", vm, line, key, why);
    } else {
        log_event("ev=config-error line=%s key=%s why=\"%s\"", line, key, why);
    }
}

void setup_complain(struct mote_config *cfg, struct vm_config *vm, const char *key, const char *why)
{
    vm->bad = true;
    cfg->errors++;
    report(NULL, (int)vm->modules[0].boot_module, vm->name, key, why);
}

struct mote_config *setup_config(const struct boot_info *info)
{
    static struct config_source sources[BOOT_MODULES_MAX];

    for (u32 i = 0; i < info->module_count; i++) {
        const struct boot_module *module = &info->modules[i];
        sources[i] = (struct config_source){module->cmdline, phys_ptr(module->base), module->len};
    }
    config_parse(info->cmdline, sources, info->module_count, report, NULL, &config);
    if (info->modules_dropped != 0) {
        log_warn("modules-dropped=%u max=%u", info->modules_dropped, BOOT_MODULES_MAX);
    }
    return &config;
}

void setup_print(const struct mote_config *cfg)
{
    char text[SHOWN_MAX];

    config_show_mote(cfg, text, sizeof(text));
    log_event("ev=config %s", text);
    for (u32 i = 0; i < cfg->vm_count; i++) {
        config_show_vm(&cfg->vms[i], text, sizeof(text));
        log_event("vm=%s ev=config %s", cfg->vms[i].name, text);
    }
    if (cfg->vm_count == 0) {
        log_event("ev=error why=\"no module is a guest: add a line such as: module2 /boot/vmlinuz kernel vm=linux\"");
    }
}

size_t setup_reserved(const struct boot_info *info, struct frame_range extra, struct frame_range *ranges)
{
    size_t count = 0;

    ranges[count++] = extra;
    ranges[count++] = (struct frame_range){info->info_base.v, info->info_len};
    ranges[count++] = (struct frame_range){info->kernel_base.v, info->kernel_len};
    for (u32 i = 0; i < info->module_count; i++) {
        ranges[count++] = (struct frame_range){info->modules[i].base.v, info->modules[i].len};
    }
    return count;
}
