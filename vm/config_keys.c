/* The table of keys and what each does to the configuration. */
#include "kernel/base/log.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/letter.h"
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define MEM_MIN MIB(1)
#define MEM_MAX GIB(1024)
#define MEM_UNIT KIB(4)
#define TIME_MAX_NS (604800ULL * 1000000000ULL) /* a week */
#define EXIT_CODE_MAX 255U
#define SHARE_MAX 100U
#define RESTARTS_MAX 1000000U
#define CONTROL_MASK 0x1FU

bool config_refuse_value(const struct config_setting *s, const char *wanted)
{
    return CONFIG_REFUSE(s, "bad value '%.40s': %s", s->value, wanted);
}

bool config_name_valid(const char *name)
{
    for (u32 i = 0; name[i] != '\0'; i++) {
        char lower = letter_lower(name[i]);
        bool plain = (lower >= 'a' && lower <= 'z') || (name[i] >= '0' && name[i] <= '9');
        bool mark = i != 0 && (name[i] == '.' || name[i] == '-' || name[i] == '_');
        if (i + 1 >= VM_NAME_MAX || (!plain && !mark)) {
            return false;
        }
    }
    return name[0] != '\0';
}

static void copy_name(char *to, const char *name)
{
    memcpy(to, name, strlen(name) + 1);
}

static bool set_name(const struct config_setting *s)
{
    if (!config_name_valid(s->value)) {
        return config_refuse_value(s, "a name is 1 to 31 letters, digits, '.', '-', '_'");
    }
    copy_name(s->vm->name, s->value);
    return true;
}

static bool set_mem(const struct config_setting *s)
{
    u64 bytes;

    if (!config_parse_size(s->value, &bytes)) {
        return config_refuse_value(s, "not a size such as 64M");
    }
    if (bytes < MEM_MIN || bytes > MEM_MAX) {
        return CONFIG_REFUSE(s, "%.40s is out of range 1M..1024G", s->value);
    }
    if (!IS_ALIGNED(bytes, MEM_UNIT)) {
        return CONFIG_REFUSE(s, "%.40s is not a multiple of 4K", s->value);
    }
    s->vm->mem_bytes = bytes;
    return true;
}

static bool set_vcpus(const struct config_setting *s)
{
    u64 count;

    if (!config_parse_number(s->value, &count) || count == 0) {
        return config_refuse_value(s, "not a number of vCPUs");
    }
    if (count > VM_VCPUS_MAX) {
        return CONFIG_REFUSE(s, "more vCPUs than allowed (%u)", VM_VCPUS_MAX);
    }
    s->vm->vcpus = (u32)count;
    return true;
}

static bool set_pin(const struct config_setting *s)
{
    if (!config_parse_cpus(s->value, &s->vm->pin)) {
        return config_refuse_value(s, "not a list of CPUs below 256 such as 2-3,6");
    }
    s->vm->pinned = true;
    return true;
}

static bool set_share(const struct config_setting *s)
{
    u64 percent;

    if (!config_parse_percent(s->value, &percent)) {
        return config_refuse_value(s, "not a share of a CPU such as 50%");
    }
    if (percent == 0 || percent > SHARE_MAX) {
        return CONFIG_REFUSE(s, "%.40s is out of range 1%%..100%%", s->value);
    }
    s->vm->share = (u32)percent;
    return true;
}

static bool set_type(const struct config_setting *s)
{
    static const char *const names[] = {"auto", "linux", "mb2", "mb1", "elf", "flat", "pvh", "uefi"};
    u32 found = config_choose(s->value, names, ARRAY_SIZE(names));

    if (found == ARRAY_SIZE(names)) {
        return config_refuse_value(s, "none of auto linux mb2 mb1 elf flat");
    }
    if (found > VM_TYPE_FLAT) {
        return CONFIG_REFUSE(s, "type=%s is not in this version", s->value);
    }
    s->vm->type = (enum vm_type)found;
    return true;
}

static bool set_mode(const struct config_setting *s)
{
    static const char *const names[] = {"auto", "real", "prot", "long"};
    u32 found = config_choose(s->value, names, ARRAY_SIZE(names));

    if (found == ARRAY_SIZE(names)) {
        return config_refuse_value(s, "none of auto real prot long");
    }
    s->vm->mode = (enum vm_mode)found;
    return true;
}

/* STOP, RESTART, RESTART:N or END, by the key's own words for the first and the last. */
static bool set_policy(const struct config_setting *s, struct vm_policy *policy, const char *stop, const char *end)
{
    const char *const names[] = {stop, "restart", end};
    u32 found = config_choose(s->value, names, ARRAY_SIZE(names));
    u64 limit = 0;

    if (strncmp(s->value, "restart:", 8) == 0 && config_parse_number(s->value + 8, &limit) && limit != 0 &&
        limit <= RESTARTS_MAX) {
        found = VM_AFTER_RESTART;
    }
    if (found == ARRAY_SIZE(names)) {
        return CONFIG_REFUSE(s, "bad value '%.40s': none of %s restart restart:1..%u %s", s->value, stop, RESTARTS_MAX, end);
    }
    *policy = (struct vm_policy){.after = (enum vm_after)found, .restarts = (u32)limit};
    return true;
}

static bool set_on_exit(const struct config_setting *s)
{
    return set_policy(s, &s->vm->on_exit, "stop", "poweroff");
}

static bool set_on_crash(const struct config_setting *s)
{
    return set_policy(s, &s->vm->on_crash, "report", "halt");
}

static bool set_load(const struct config_setting *s)
{
    if (!config_parse_size(s->value, &s->vm->load)) {
        return config_refuse_value(s, "not an address");
    }
    s->vm->has_load = true;
    return true;
}

static bool set_entry(const struct config_setting *s)
{
    if (!config_parse_size(s->value, &s->vm->entry)) {
        return config_refuse_value(s, "not an address");
    }
    s->vm->has_entry = true;
    return true;
}

static bool set_time(const struct config_setting *s, u64 *to)
{
    u64 ns;

    if (!config_parse_time(s->value, &ns)) {
        return config_refuse_value(s, "not a time such as 10s or 500ms");
    }
    if (ns > TIME_MAX_NS) {
        return CONFIG_REFUSE(s, "%.40s is out of range 1ms..604800s", s->value);
    }
    *to = ns;
    return true;
}

static bool set_timeout(const struct config_setting *s)
{
    return set_time(s, &s->vm->timeout_ns);
}

static bool set_watchdog(const struct config_setting *s)
{
    return set_time(s, &s->vm->watchdog_ns);
}

static bool set_bool(const struct config_setting *s, bool *to)
{
    return config_parse_bool(s->value, to) || config_refuse_value(s, "neither on nor off");
}

static bool set_require(const struct config_setting *s)
{
    return set_bool(s, &s->vm->require);
}

static bool set_start(const struct config_setting *s)
{
    static const char *const names[] = {"auto", "manual"};
    u32 found = config_choose(s->value, names, ARRAY_SIZE(names));

    if (found == ARRAY_SIZE(names)) {
        return config_refuse_value(s, "neither auto nor manual");
    }
    s->vm->manual = found != 0;
    return true;
}

static bool set_copies(const struct config_setting *s)
{
    u64 count;

    if (!config_parse_number(s->value, &count) || count == 0 || count > VM_MAX) {
        return CONFIG_REFUSE(s, "bad value '%.40s': not a number of VMs 1..%u", s->value, VM_MAX);
    }
    s->vm->copies = (u32)count;
    return true;
}

static bool set_trace(const struct config_setting *s)
{
    static const char *const names[] = {"none", "exits"};
    u32 found = config_choose(s->value, names, ARRAY_SIZE(names));

    if (found == ARRAY_SIZE(names)) {
        return config_refuse_value(s, "neither exits nor none");
    }
    s->vm->trace = found != 0;
    return true;
}

static bool set_strict(const struct config_setting *s)
{
    return set_bool(s, &s->config->strict);
}

static bool set_selftest(const struct config_setting *s)
{
    return set_bool(s, &s->config->selftest);
}

static bool set_irqchip(const struct config_setting *s)
{
    static const char *const names[] = {"hardware", "software"};
    u32 found = config_choose(s->value, names, ARRAY_SIZE(names));

    if (found == ARRAY_SIZE(names)) {
        return config_refuse_value(s, "neither hardware nor software");
    }
    s->config->software_irqchip = found != 0;
    return true;
}

static bool set_log(const struct config_setting *s)
{
    static const char *const names[] = {"debug", "info", "warn"};
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARN};
    u32 found = config_choose(s->value, names, ARRAY_SIZE(names));

    if (found == ARRAY_SIZE(names)) {
        return config_refuse_value(s, "none of debug info warn");
    }
    s->config->log_level = (u32)levels[found];
    return true;
}

static bool set_on_idle(const struct config_setting *s)
{
    static const char *const names[] = {"halt", "poweroff", "reboot", "exit:vm"};
    static const enum on_idle actions[] = {ON_IDLE_HALT, ON_IDLE_POWEROFF, ON_IDLE_REBOOT, ON_IDLE_EXIT_VM};
    u32 found = config_choose(s->value, names, ARRAY_SIZE(names));
    u64 code;

    if (found < ARRAY_SIZE(names)) {
        s->config->on_idle = actions[found];
        return true;
    }
    if (strncmp(s->value, "exit:", 5) != 0 || !config_parse_number(s->value + 5, &code)) {
        return config_refuse_value(s, "none of halt poweroff reboot exit:CODE exit:vm");
    }
    if (code > EXIT_CODE_MAX) {
        return CONFIG_REFUSE(s, "exit code %.30s is out of range 0..255", s->value + 5);
    }
    s->config->on_idle = ON_IDLE_EXIT_CODE;
    s->config->on_idle_code = (u32)code;
    return true;
}

static bool set_focus(const struct config_setting *s)
{
    if (!config_name_valid(s->value)) {
        return config_refuse_value(s, "not a VM's name");
    }
    copy_name(s->config->focus, s->value);
    return true;
}

static bool set_escape(const struct config_setting *s)
{
    const char *v = s->value;

    if (strcmp(v, "none") == 0) {
        s->config->escape = 0;
        return true;
    }
    if (v[0] != '^' || (u8)v[1] <= '@' || (u8)v[1] > 'z' || v[1] == '`' || v[2] != '\0') {
        return config_refuse_value(s, "not a control character such as ^]");
    }
    s->config->escape = (u8)((u32)(u8)v[1] & CONTROL_MASK);
    return true;
}

static bool set_cpus(const struct config_setting *s)
{
    u64 count;

    if (strcmp(s->value, "all") == 0) {
        s->config->cpus = 0;
        return true;
    }
    if (!config_parse_number(s->value, &count) || count == 0 || count > CPU_MAX) {
        return config_refuse_value(s, "not a number of CPUs 1..256");
    }
    s->config->cpus = (u32)count;
    return true;
}

const struct config_key config_keys[] = {
#define CONFIG_KEY(name, scope, set, default_text, help) {name, scope, set, default_text, help},
#include "vm/config_keys.def"
#undef CONFIG_KEY
};
const u32 config_key_count = ARRAY_SIZE(config_keys);

const struct config_key *config_find_key(const char *name, u32 scope)
{
    for (u32 i = 0; i < config_key_count; i++) {
        if ((config_keys[i].scope & scope) != 0 && strcmp(config_keys[i].name, name) == 0) {
            return &config_keys[i];
        }
    }
    return NULL;
}

const char *config_nearest_key(const char *name, u32 scope)
{
    const char *names[ARRAY_SIZE(config_keys)];
    u32 count = 0;

    for (u32 i = 0; i < config_key_count; i++) {
        if ((config_keys[i].scope & scope) != 0 && config_keys[i].set != NULL) {
            names[count++] = config_keys[i].name;
        }
    }
    return config_nearest(name, names, count);
}
