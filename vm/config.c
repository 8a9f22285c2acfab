/* From the hypervisor line, the module lines and the text module to struct mote_config. Lines are worked through in the order of
 * precedence, the strongest last: defaults, the text module, module lines, then the hypervisor line's vm.NAME.KEY=VALUE. */
#include "vm/config.h"
#include "kernel/base/log.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define DEFAULT_MEM MIB(128) /* enough for a distribution's Linux kernel to unpack itself */
#define DEFAULT_ESCAPE 0x1DU /* Ctrl-] */
#define OVERRIDE_PREFIX "vm."
#define OVERRIDE_PREFIX_LEN 3U
#define BYTE_ORDER_MARK "\xEF\xBB\xBF" /* U+FEFF in UTF-8, as some editors begin a text */
#define BYTE_ORDER_MARK_LEN 3U

/* Roles in the order of enum vm_role, then config, then those of later versions. */
static const char *const role_names[] = {"kernel", "initrd", "module", "firmware", "config", "disk", "blob"};
#define ROLE_CONFIG 4U
#define ROLES_AVAILABLE 5U
#define ROLE_NONE ARRAY_SIZE(role_names)

/* The hypervisor line is read four times: what decides about complaints, its other keys, after the modules what overrides them,
 * and, once copies= has been obeyed, what overrides a copy. */
enum pass { PASS_STRICT, PASS_KEYS, PASS_OVERRIDES, PASS_COPIES };

/* vm.NAME.KEY=VALUE: NAME may hold dots, keys do not. */
static void apply_override(struct config_parser *p, char *key, const char *value, enum pass pass)
{
    char *name = key + OVERRIDE_PREFIX_LEN;
    char *dot = NULL;

    for (char *next = strchr(name, '.'); next != NULL; next = strchr(next + 1, '.')) {
        dot = next;
    }
    if (dot == NULL) {
        if (pass == PASS_OVERRIDES) {
            config_complain(p, key, "write vm.NAME.KEY=VALUE");
        }
        return;
    }
    *dot = '\0';
    struct vm_config *vm = config_find_vm(p->out, name);
    bool line = vm != NULL && (u32)(vm - p->out->vms) < p->lines;
    if (line != (pass == PASS_OVERRIDES)) {
        return; /* what is no line's may be a copy's */
    }
    p->vm = vm;
    if (vm == NULL) {
        config_complain_no_vm(p, dot + 1, name);
    } else if (!line && strcmp(dot + 1, "copies") == 0) {
        config_complain(p, "copies", "a copy has no copies");
    } else if (strcmp(dot + 1, "vm") == 0) {
        config_complain(p, "vm", "a VM is named on its module line");
    } else {
        config_apply(p, dot + 1, value, CONFIG_SCOPE_VM);
    }
    p->vm = NULL;
}

static enum pass pass_of(const char *word)
{
    if (strncmp(word, OVERRIDE_PREFIX, OVERRIDE_PREFIX_LEN) == 0) {
        return PASS_OVERRIDES;
    }
    return strncmp(word, "strict=", 7) == 0 ? PASS_STRICT : PASS_KEYS;
}

static void parse_mote_line(struct config_parser *p, const char *line, enum pass pass)
{
    enum pass kind = pass == PASS_COPIES ? PASS_OVERRIDES : pass;
    struct config_word word;

    p->module = -1;
    p->vm = NULL;
    while (config_next_word(&line, &word)) {
        bool told = pass == PASS_COPIES && (word.cut || word.unclosed);
        if (pass_of(word.text) != kind || told || !config_check_word(p, &word)) {
            continue;
        }
        const char *value = config_split(word.text);
        if (kind == PASS_OVERRIDES) {
            apply_override(p, word.text, value, pass);
        } else if (value != NULL || strchr(word.text, '/') == NULL) {
            config_apply(p, word.text, value, CONFIG_SCOPE_MOTE);
        }
    }
}

static const char *base_name(const char *path)
{
    const char *base = path;

    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        base = slash + 1;
    }
    return base;
}

/* The line's own vm=NAME, looked up before anything else so that complaints can name the VM. */
static bool wanted_name(const char *line, char name[VM_NAME_MAX])
{
    struct config_word word;

    while (config_next_word(&line, &word) && (word.quoted || strcmp(word.text, "--") != 0)) {
        if (!word.unclosed && strncmp(word.text, "vm=", 3) == 0 && config_name_valid(word.text + 3)) {
            memcpy(name, word.text + 3, strlen(word.text + 3) + 1);
            return true;
        }
    }
    return false;
}

static void default_name(struct mote_config *config, const struct vm_config *vm, const char *path, char *name)
{
    const char *base = base_name(path);

    if (config_name_valid(base) && config_find_vm(config, base) == NULL) {
        memcpy(name, base, strlen(base) + 1);
        return;
    }
    u32 number = (u32)(vm - config->vms);
    do {
        (void)fmt_snprintf(name, VM_NAME_MAX, "vm%u", number++);
    } while (config_find_vm(config, name) != NULL);
}

static struct vm_config *add_vm(struct config_parser *p, const char *line, const char *path)
{
    struct mote_config *config = p->out;
    char name[VM_NAME_MAX] = "";

    if (config->vm_count == VM_MAX) {
        config_complain(p, "kernel", "too many VMs (64)");
        return NULL;
    }
    struct vm_config *vm = &config->vms[config->vm_count];
    memset(vm, 0, sizeof(*vm));
    vm->mem_bytes = DEFAULT_MEM;
    vm->vcpus = 1;
    vm->share = 100;
    vm->copies = 1;
    vm->uarts.count = 1;
    cpuset_fill(&vm->pin);
    bool named = wanted_name(line, name);
    if (!named) {
        default_name(config, vm, path, name);
    }
    bool twice = config_find_vm(config, name) != NULL;
    memcpy(vm->name, name, sizeof(vm->name));
    config->vm_count++;
    p->vm = vm;
    if (twice) {
        config_complain(p, "vm", "two VMs have this name");
    }
    config_text_read(p, CONFIG_TEXT_VM);
    return vm;
}

/* The words of a module line from its keys on; returns the guest's command line. */
static const char *parse_keys(const struct config_parser *p, const char *line, bool begins)
{
    struct config_word word;

    while (config_next_word(&line, &word)) {
        if (!word.quoted && strcmp(word.text, "--") == 0) {
            return *line != '\0' ? line + 1 : line;
        }
        if (!config_check_word(p, &word)) {
            continue;
        }
        const char *value = config_split(word.text);
        if (begins) {
            config_apply(p, word.text, value, CONFIG_SCOPE_VM);
        } else {
            config_complain(p, word.text, "belongs on the kernel's line");
        }
    }
    return line;
}

static void parse_role_line(struct config_parser *p, enum vm_role role, const char *line, const char *path)
{
    const char *role_name = role_names[role];
    bool begins = role == ROLE_KERNEL || role == ROLE_FIRMWARE;

    p->vm = begins ? add_vm(p, line, path) : p->current;
    if (begins) {
        p->current = p->vm;
    }
    if (p->vm == NULL) {
        if (!begins) {
            config_complain(p, role_name, "no kernel line before it");
        }
        return;
    }
    const char *cmdline = parse_keys(p, line, begins);
    if (strnlen(cmdline, VM_CMDLINE_MAX) == VM_CMDLINE_MAX) {
        config_complain(p, "--", "guest command line longer than 2047 characters");
        cmdline = "";
    }
    if (p->vm->module_count == VM_MODULES_MAX) {
        config_complain(p, role_name, "too many modules for one VM (16)");
        return;
    }
    p->vm->modules[p->vm->module_count++] =
        (struct vm_module){.role = role, .boot_module = (u32)p->module, .cmdline = cmdline};
}

static u32 word_role(const struct config_word *word)
{
    return word->quoted ? (u32)ROLE_NONE : config_choose(word->text, role_names, ROLE_NONE);
}

/* Does the line begin with a path, as some loaders pass it? A word that is no role and no key, and either looks like a
 * path or stands before a role. */
static bool takes_path(const struct config_word *word, const char *rest)
{
    struct config_word next;

    if (word_role(word) != ROLE_NONE || strchr(word->text, '=') != NULL || strcmp(word->text, "--") == 0) {
        return false;
    }
    return strchr(word->text, '/') != NULL || strchr(word->text, '.') != NULL ||
           (config_next_word(&rest, &next) && word_role(&next) != ROLE_NONE);
}

static void complain_role(struct config_parser *p, const struct config_word *word)
{
    char why[CONFIG_WHY_MAX];

    p->vm = NULL;
    p->current = NULL;
    (void)fmt_snprintf(why, sizeof(why), "unknown role, did you mean %s?",
                       config_nearest(word->text, role_names, ROLES_AVAILABLE));
    config_complain(p, word->text, why);
}

/* The text itself has been read by then. */
static void parse_config_line(struct config_parser *p, const char *line)
{
    struct config_word word;

    if (config_next_word(&line, &word)) {
        (void)config_split(word.text);
        config_complain(p, word.text, "keys stand in the file, not on its line");
    }
    if (p->module != p->text_module) {
        config_complain(p, role_names[ROLE_CONFIG], "there is one already");
    }
}

static __attribute__((noinline)) void parse_module(struct config_parser *p, const char *line)
{
    struct config_word word = {.quoted = false}, path = {.quoted = false};
    const char *start = line; /* of the word now in `word` */
    bool any = config_next_word(&line, &word);

    p->vm = NULL;
    if (any && takes_path(&word, line)) {
        path = word;
        start = line;
        any = config_next_word(&line, &word);
    }
    u32 role = any ? word_role(&word) : ROLE_NONE;
    if (role == ROLE_CONFIG) {
        parse_config_line(p, line);
    } else if (role < ROLES_AVAILABLE) {
        parse_role_line(p, (enum vm_role)role, line, path.text);
    } else if (role != ROLE_NONE) {
        config_complain(p, word.text, "this role is not in this version");
    } else if (!any || strchr(word.text, '=') != NULL || strcmp(word.text, "--") == 0) {
        parse_role_line(p, ROLE_KERNEL, start, path.text);
    } else {
        complain_role(p, &word);
    }
}

static __attribute__((noinline)) bool is_config(const char *line)
{
    struct config_word word;

    if (config_next_word(&line, &word) && takes_path(&word, line)) {
        (void)config_next_word(&line, &word);
    }
    return word_role(&word) == ROLE_CONFIG;
}

/* The first module with the role config. */
static void find_text(struct config_parser *p, const struct config_source *modules, u32 count)
{
    p->text_module = -1;
    for (u32 i = 0; i < count; i++) {
        if (is_config(modules[i].line)) {
            p->text_module = (int)i;
            p->text = modules[i];
            if (p->text.size >= BYTE_ORDER_MARK_LEN && memcmp(p->text.bytes, BYTE_ORDER_MARK, BYTE_ORDER_MARK_LEN) == 0) {
                p->text.bytes += BYTE_ORDER_MARK_LEN;
                p->text.size -= BYTE_ORDER_MARK_LEN;
            }
            return;
        }
    }
}

/* Once every line has been read: the copies have all modules and overrides of their line. */
static void add_copies(struct config_parser *p)
{
    char why[CONFIG_WHY_MAX];

    for (u32 i = 0; i < p->lines; i++) {
        p->vm = &p->out->vms[i];
        p->module = (int)p->vm->modules[0].boot_module;
        for (u32 number = 2; !p->vm->bad && number <= p->vm->copies; number++) {
            if (!config_add_copy(p->out, i, number, why)) {
                config_complain(p, "copies", why);
            }
        }
    }
    p->vm = NULL;
    p->module = -1;
}

void config_parse(const char *cmdline, const struct config_source *modules, u32 module_count, config_report report_to,
                  void *ctx, struct mote_config *out)
{
    struct config_parser p = {.out = out, .report = report_to, .ctx = ctx};

    memset(out, 0, sizeof(*out));
    out->log_level = LOG_INFO;
    out->consoles[0] = (struct config_console){.port = uart_port(0), .baud = CONFIG_CONSOLE_BAUD};
    out->console_count = 1;
    out->on_idle = ON_IDLE_HALT;
    out->strict = true;
    out->escape = DEFAULT_ESCAPE;
    find_text(&p, modules, module_count);
    config_text_read(&p, CONFIG_TEXT_STRICT);
    parse_mote_line(&p, cmdline, PASS_STRICT);
    config_text_read(&p, CONFIG_TEXT_KEYS);
    parse_mote_line(&p, cmdline, PASS_KEYS);
    for (u32 i = 0; i < module_count; i++) {
        p.module = (int)i;
        parse_module(&p, modules[i].line);
    }
    config_text_read(&p, CONFIG_TEXT_SECTIONS);
    p.lines = out->vm_count;
    parse_mote_line(&p, cmdline, PASS_OVERRIDES);
    add_copies(&p);
    parse_mote_line(&p, cmdline, PASS_COPIES);
    config_check_gdb(&p);
    if (out->focus[0] != '\0' && out->vm_count != 0 && config_find_vm(out, out->focus) == NULL) {
        config_complain_no_vm(&p, "focus", out->focus);
        out->focus[0] = '\0';
    }
}
