#include "kernel/init/debugger.h"
#include "drivers/platform.h"
#include "kernel/base/log.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/init/setup.h"
#include "vm/gdb/session.h"

static struct gdb_session *sessions[VM_MAX];

/* Open one of the usual ports in its place, to know which to name; it stays open, unused. */
static const char *another_port(void)
{
    static const char *const names[] = UART_NAMES;
    int error;

    for (u32 i = 0; i < UART_PORTS; i++) {
        if (platform_serial(uart_port(i), &error) != NULL) {
            return names[i];
        }
    }
    return NULL;
}

static void refuse(struct mote_config *config, struct vm_config *vm, int error)
{
    char why[CONFIG_WHY_MAX], port[CONFIG_PORT_MAX];
    const char *other = another_port();

    config_name_port(vm->gdb_port, port);
    if (other != NULL) {
        (void)fmt_snprintf(why, sizeof(why), "no UART answers at %s (%s), did you mean %s?", port, errno_text(error), other);
    } else {
        (void)fmt_snprintf(why, sizeof(why), "no UART answers at %s (%s), and there is no other one", port, errno_text(error));
    }
    setup_complain(config, vm, "gdb", why);
}

void debugger_init(struct mote_config *config)
{
    int errors[VM_MAX] = {0};

    for (u32 i = 0; i < config->vm_count; i++) {
        const struct vm_config *vm = &config->vms[i];
        bool wanted = vm->gdb_port != 0 && !vm->bad;
        struct serial_port *port = wanted ? platform_serial(vm->gdb_port, &errors[i]) : NULL;

        if (port != NULL) {
            sessions[i] = gdb_session_start(port);
            errors[i] = sessions[i] != NULL ? 0 : -E_NOMEM;
        }
    }
    for (u32 i = 0; i < config->vm_count; i++) { /* now it is known which ports are in use */
        if (errors[i] != 0) {
            refuse(config, &config->vms[i], errors[i]);
        }
    }
}

void debugger_begin(struct vm *vm)
{
    struct gdb_session *session = sessions[vm->id];
    char name[CONFIG_PORT_MAX];

    if (session != NULL) {
        config_name_port(vm->config->gdb_port, name);
        log_event("vm=%s ev=gdb port=%s start=%s", vm->config->name, name, vm->config->gdb_wait ? "waits" : "runs");
        gdb_session_begin(session, vm, vm->config->gdb_wait);
    }
}

bool debugger_release(const struct vm *vm)
{
    return sessions[vm->id] != NULL && gdb_session_release(sessions[vm->id]);
}

void debugger_end(struct vm *vm)
{
    if (sessions[vm->id] != NULL) {
        gdb_session_end(sessions[vm->id], vm_crashed(vm), vm_verdict(vm));
    }
}
