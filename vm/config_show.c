/* The effective configuration in words, as the keys have them. */
#include "kernel/base/log.h"
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define NS_PER_MS 1000000ULL
#define CONTROL_BIT 0x40U
#define LLX(x) ((unsigned long long)(x))

static void PRINTF_LIKE(3, 4) append(char *text, size_t size, const char *format, ...)
{
    size_t used = strnlen(text, size);
    va_list args;

    va_start(args, format);
    (void)fmt_vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static void append_pin(const struct vm_config *vm, char *text, size_t size)
{
    const char *separator = "";

    append(text, size, " pin=");
    if (!vm->pinned) {
        append(text, size, "all");
        return;
    }
    for (u32 first = 0; first < CPU_MAX; first++) {
        u32 last = first;
        if (!cpuset_has(&vm->pin, first)) {
            continue;
        }
        while (cpuset_has(&vm->pin, last + 1)) {
            last++;
        }
        append(text, size, first == last ? "%s%u" : "%s%u-%u", separator, first, last);
        separator = ",";
        first = last;
    }
}

static void append_address(const char *key, bool given, u64 address, char *text, size_t size)
{
    if (given) {
        append(text, size, " %s=0x%llx", key, LLX(address));
    } else {
        append(text, size, " %s=auto", key);
    }
}

static void append_policy(const char *key, const struct vm_policy *policy, const char *const words[3], char *text, size_t size)
{
    append(text, size, " %s=%s", key, words[policy->after]);
    if (policy->restarts != 0) {
        append(text, size, ":%u", policy->restarts);
    }
}

static void append_uarts(const struct vm_uarts *uarts, char *text, size_t size)
{
    static const char *const names[] = UART_NAMES;

    append(text, size, " uart=%s", uarts->count == 0 ? "none" : "");
    for (u32 i = 0; i < uarts->count; i++) {
        append(text, size, "%s%s", i != 0 ? "," : "", names[uarts->number[i]]);
    }
}

static void append_debugger(const struct vm_config *vm, char *text, size_t size)
{
    char port[CONFIG_PORT_MAX] = "none";

    if (vm->gdb_port != 0) {
        config_name_port(vm->gdb_port, port);
    }
    append(text, size, " gdb=%s%s", port, vm->gdb_wait ? ",wait" : "");
}

void config_show_vm(const struct vm_config *vm, char *text, size_t size)
{
    static const char *const types[] = {"auto", "linux", "mb2", "mb1", "elf", "flat"};
    static const char *const modes[] = {"auto", "real", "prot", "long"};
    static const char *const exits[] = {"stop", "restart", "poweroff"};
    static const char *const crashes[] = {"report", "restart", "halt"};

    text[0] = '\0';
    bool mib = IS_ALIGNED(vm->mem_bytes, MIB(1));
    append(text, size, mib ? "mem=%lluM" : "mem=%lluK", LLX(vm->mem_bytes / (mib ? MIB(1) : KIB(1))));
    append(text, size, " vcpus=%u type=%s mode=%s modules=%u timeout-ms=%llu share=%u%% start=%s", vm->vcpus,
           types[vm->type], modes[vm->mode], vm->module_count, LLX(vm->timeout_ns / NS_PER_MS), vm->share,
           vm->bad ? "no" : vm->manual ? "manual" : "auto");
    append_pin(vm, text, size);
    append_address("load", vm->has_load, vm->load, text, size);
    append_address("entry", vm->has_entry, vm->entry, text, size);
    append(text, size, " require=%s copies=%u", vm->require ? "on" : "off", vm->copies);
    append_policy("on-exit", &vm->on_exit, exits, text, size);
    append_policy("on-crash", &vm->on_crash, crashes, text, size);
    append(text, size, " watchdog-ms=%llu", LLX(vm->watchdog_ns / NS_PER_MS));
    append_uarts(&vm->uarts, text, size);
    append(text, size, " trace=%s", vm->trace ? "exits" : "none");
    append_debugger(vm, text, size);
}

static void append_consoles(const struct mote_config *config, char *text, size_t size)
{
    append(text, size, "console=%s", config->console_count == 0 ? "none" : "");
    for (u32 i = 0; i < config->console_count; i++) {
        const struct config_console *console = &config->consoles[i];
        const char *separator = i != 0 ? "," : "";
        if (console->screen) {
            append(text, size, "%sfb", separator);
        } else {
            append(text, size, "%suart:0x%x,%u", separator, console->port, console->baud);
        }
    }
}

static void append_idle(const struct mote_config *config, char *text, size_t size)
{
    static const char *const actions[] = {
        [ON_IDLE_HALT] = "halt", [ON_IDLE_POWEROFF] = "poweroff", [ON_IDLE_REBOOT] = "reboot",
        [ON_IDLE_EXIT_CODE] = "exit", [ON_IDLE_EXIT_VM] = "exit:vm",
    };

    append(text, size, " on-idle=%s", actions[config->on_idle]);
    if (config->on_idle == ON_IDLE_EXIT_CODE) {
        append(text, size, ":%u", config->on_idle_code);
    }
}

void config_show_mote(const struct mote_config *config, char *text, size_t size)
{
    static const char *const levels[] = {[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn"};

    text[0] = '\0';
    append_consoles(config, text, size);
    append(text, size, " log=%s", levels[config->log_level]);
    append_idle(config, text, size);
    append(text, size, " strict=%s focus=%s", config->strict ? "on" : "off", config->focus[0] != '\0' ? config->focus : "first");
    if (config->escape != 0) {
        append(text, size, " escape=^%c", (char)(config->escape | CONTROL_BIT));
    } else {
        append(text, size, " escape=none");
    }
    if (config->cpus != 0) {
        append(text, size, " cpus=%u", config->cpus);
    } else {
        append(text, size, " cpus=all");
    }
    append(text, size, " irqchip=%s selftest=%s", config->software_irqchip ? "software" : "hardware",
           config->selftest ? "on" : "off");
}
