/* gdb=PORT[,wait]: the host's UART on which a debugger finds the VM. */
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define WAIT ",wait"

bool config_set_gdb(const struct config_setting *s)
{
    char item[CONFIG_WORD_MAX];
    const char *comma = strchr(s->value, ',');
    size_t len = comma != NULL ? (size_t)(comma - s->value) : strlen(s->value);

    memcpy(item, s->value, len);
    item[len] = '\0';
    s->vm->gdb_port = 0;
    s->vm->gdb_wait = comma != NULL;
    if (strcmp(s->value, "none") == 0) {
        return true;
    }
    if (comma != NULL && strcmp(comma, WAIT) != 0) {
        return CONFIG_REFUSE(s, "bad value '%.40s': only wait may follow the port", s->value);
    }
    return (config_parse_port(item, &s->vm->gdb_port) && s->vm->gdb_port != 0) ||
           config_refuse_value(s, "none of com1 com2 com3 com4 uart:ADDR none");
}

static bool is_console(const struct mote_config *config, u16 port)
{
    for (u32 i = 0; i < config->console_count; i++) {
        if (!config->consoles[i].screen && config->consoles[i].port == port) {
            return true;
        }
    }
    return false;
}

/* The first of the first count VMs that asks for the port. */
static const struct vm_config *user_of(const struct mote_config *config, u16 port, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        if (config->vms[i].gdb_port == port) {
            return &config->vms[i];
        }
    }
    return NULL;
}

static const char *free_port(const struct mote_config *config, char *text)
{
    for (u32 i = 0; i < UART_PORTS; i++) {
        u16 port = uart_port(i);
        if (!is_console(config, port) && user_of(config, port, config->vm_count) == NULL) {
            config_name_port(port, text);
            return text;
        }
    }
    return "uart:ADDR";
}

void config_check_gdb(struct config_parser *p)
{
    char why[CONFIG_WHY_MAX], port[CONFIG_PORT_MAX], other[CONFIG_PORT_MAX];

    for (u32 i = 0; i < p->out->vm_count; i++) {
        p->vm = &p->out->vms[i];
        p->module = p->vm->module_count != 0 ? (int)p->vm->modules[0].boot_module : -1;
        const struct vm_config *owner = user_of(p->out, p->vm->gdb_port, i);
        config_name_port(p->vm->gdb_port, port);
        if (p->vm->gdb_port == 0) {
            continue;
        }
        if (is_console(p->out, p->vm->gdb_port)) {
            (void)fmt_snprintf(why, sizeof(why), "%s is a console (console=), did you mean %s?", port, free_port(p->out, other));
            config_complain(p, "gdb", why);
        } else if (owner != NULL) {
            (void)fmt_snprintf(why, sizeof(why), "%s is the debugger port of %s, did you mean %s?", port, owner->name,
                               free_port(p->out, other));
            config_complain(p, "gdb", why);
        }
    }
    p->vm = NULL;
    p->module = -1;
}
