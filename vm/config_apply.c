/* One key=value, wherever it stood: applied, or told to be wrong. */
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

/* What stands in the text module is told with its line. */
static void report(const struct config_parser *p, const char *key, const char *why)
{
    const char *vm = p->vm != NULL ? p->vm->name : "";
    char placed[CONFIG_WHY_MAX];

    if (p->text_line != 0) {
        (void)fmt_snprintf(placed, sizeof(placed), "line %u: %s", p->text_line, why);
        why = placed;
    }
    p->report(p->ctx, p->module, vm, key, why);
}

void config_complain(const struct config_parser *p, const char *key, const char *why)
{
    p->out->errors++;
    if (p->vm != NULL) {
        p->vm->bad = true;
    }
    report(p, key, why);
}

/* An unknown key: an error, or only a warning with strict=0. */
static void complain_unknown(const struct config_parser *p, const char *key, u32 scope)
{
    char why[CONFIG_WHY_MAX];
    const char *nearest = config_nearest_key(key, scope);
    bool strict = p->out->strict;

    (void)fmt_snprintf(why, sizeof(why), "unknown key%s, did you mean %s?", strict ? "" : " ignored", nearest);
    if (strict) {
        config_complain(p, key, why);
    } else {
        report(p, key, why);
    }
}

const char *config_split(char *text)
{
    char *equals = strchr(text, '=');

    if (equals == NULL) {
        return NULL;
    }
    *equals = '\0';
    return equals + 1;
}

bool config_check_word(const struct config_parser *p, struct config_word *word)
{
    if (!word->cut && !word->unclosed) {
        return true;
    }
    const char *why = word->cut ? "word longer than 255 characters" : "quote without an end";
    (void)config_split(word->text);
    word->text[VM_NAME_MAX] = '\0';
    config_complain(p, word->text, why);
    return false;
}

void config_apply(const struct config_parser *p, const char *key, const char *value, u32 scope)
{
    char why[CONFIG_WHY_MAX] = "";
    const struct config_key *found = config_find_key(key, scope);
    struct config_setting setting = {.value = value, .config = p->out, .vm = p->vm, .why = why};

    if (found == NULL) {
        u32 other = scope ^ (CONFIG_SCOPE_VM | CONFIG_SCOPE_MOTE);
        if (config_find_key(key, other) != NULL) {
            config_complain(p, key, other == CONFIG_SCOPE_VM ? "belongs on a kernel's module line, or write vm.NAME.KEY=VALUE"
                                                      : "belongs on the hypervisor line");
        } else {
            complain_unknown(p, key, scope);
        }
    } else if (found->set == NULL) {
        config_complain(p, key, "not in this version");
    } else if (value == NULL) {
        config_complain(p, key, "no value: write key=value");
    } else if (!found->set(&setting)) {
        config_complain(p, key, why);
    }
}

struct vm_config *config_find_vm(struct mote_config *config, const char *name)
{
    for (u32 i = 0; i < config->vm_count; i++) {
        if (strcmp(config->vms[i].name, name) == 0) {
            return &config->vms[i];
        }
    }
    return NULL;
}

void config_complain_no_vm(const struct config_parser *p, const char *key, const char *name)
{
    char why[CONFIG_WHY_MAX];
    const char *names[VM_MAX];

    for (u32 i = 0; i < p->out->vm_count; i++) {
        names[i] = p->out->vms[i].name;
    }
    const char *nearest = config_nearest(name, names, p->out->vm_count);
    if (nearest != NULL) {
        (void)fmt_snprintf(why, sizeof(why), "no VM is named %.31s, did you mean %s?", name, nearest);
    } else {
        (void)fmt_snprintf(why, sizeof(why), "no VM is named %.31s", name);
    }
    config_complain(p, key, why);
}
