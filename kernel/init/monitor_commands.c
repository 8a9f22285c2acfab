/* What the monitor can do: one table. Listing commands have a text form and a JSON form. */
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/console.h"
#include "kernel/init/debugger.h"
#include "kernel/init/manager.h"
#include "kernel/init/monitor.h"
#include "kernel/init/selftest.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"

#define STOP_GRACE_NS (10 * NS_PER_SEC)
#define LOG_PART 512U /* bytes printed at once */
#define U64(x) ((unsigned long long)(x))

/* --- finding VMs --------------------------------------------------------------------------------------------------------- */

static void complain_no_vm(const char *name)
{
    const char *names[VM_MAX];

    for (u32 i = 0; i < manager_count(); i++) {
        names[i] = manager_get(i).config->name;
    }
    const char *hint = monitor_hint(name, names, manager_count());
    if (hint != NULL) {
        monitor_error("no VM '%.32s', did you mean %s?", name, hint);
    } else {
        monitor_error("no VM '%.32s'; try vms", name);
    }
}

/* The VM of that name; complains when there is none. */
bool monitor_find_vm(const char *name, u32 *id)
{
    for (u32 i = 0; i < manager_count(); i++) {
        if (strcmp(manager_get(i).config->name, name) == 0) {
            *id = i;
            return true;
        }
    }
    complain_no_vm(name);
    return false;
}

/* As monitor_find_vm(), and it lives. */
struct vm *monitor_find_live(const char *name)
{
    u32 id;

    if (!monitor_find_vm(name, &id)) {
        return NULL;
    }
    struct vm *vm = manager_get(id).vm;
    if (manager_get(id).config->bad) {
        monitor_error("%s is configured wrongly: it cannot start", name);
    } else if (vm == NULL) {
        monitor_error("%s does not live; try start %s", name, name);
    }
    return vm;
}

/* --- life --------------------------------------------------------------------------------------------------------------------- */

static void run_start(const struct monitor_args *args)
{
    u32 id;

    if (!monitor_find_vm(args->word[1], &id)) {
        return;
    }
    if (manager_get(id).config->bad) {
        (void)monitor_find_live(args->word[1]); /* complains */
    } else {
        monitor_answer(manager_start_vm(id));
    }
}

/* The prompt comes when the VM's old life is over, so that the next command finds it as it then is. */
static void end_life(const char *name, int (*end)(u32 id, void (*done)(void)))
{
    const struct vm *vm = monitor_find_live(name);

    if (vm == NULL) {
        return;
    }
    monitor_begin();
    int rc = end(vm->id, monitor_end);
    if (rc != 0) {
        monitor_end();
    }
    monitor_answer(rc);
}

static void run_restart(const struct monitor_args *args)
{
    end_life(args->word[1], manager_restart_vm);
}

static void run_kill(const struct monitor_args *args)
{
    end_life(args->word[1], manager_kill_vm);
}

static void run_pause(const struct monitor_args *args)
{
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm != NULL) {
        monitor_answer(vm_pause(vm));
    }
}

static void run_resume(const struct monitor_args *args)
{
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm != NULL) {
        int rc = vm_resume(vm);
        monitor_answer(rc == -E_STATE && debugger_release(vm) ? 0 : rc);
    }
}

static void run_stop(const struct monitor_args *args)
{
    const struct vm *vm = monitor_find_live(args->word[1]);

    if (vm != NULL) {
        monitor_answer(manager_stop_vm(vm->id, STOP_GRACE_NS));
    }
}

static void run_focus(const struct monitor_args *args)
{
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm != NULL) {
        console_set_focus(&vm->console);
        log_event("console focus=%s", vm->console.name);
    }
}

/* What `log` shows: a copy, and how far it has come. */
static u8 logged[4096];
static size_t logged_len, logged_at;

static bool list_log(u64 index, bool json)
{
    size_t end = MIN(logged_at + LOG_PART, logged_len);

    (void)json;
    if (index == MONITOR_LIST_END || logged_at == logged_len) {
        monitor_print("\n");
        return false;
    }
    for (; logged_at < end; logged_at++) {
        u8 c = logged[logged_at];
        if (c == '\n' || (c >= ' ' && c <= '~')) {
            monitor_print("%c", c);
        }
    }
    return true;
}

static void run_log(const struct monitor_args *args)
{
    u32 id;

    if (!monitor_find_vm(args->word[1], &id)) {
        return;
    }
    struct vm *vm = manager_get(id).vm;
    if (vm == NULL) {
        monitor_error("%s does not live: a VM's last output goes with its memory", args->word[1]);
    } else {
        logged_len = console_last_output(&vm->console, logged, sizeof(logged));
        logged_at = 0;
        monitor_list(list_log);
    }
}

/* --- the rest -------------------------------------------------------------------------------------------------------------- */

static void print_help(const struct monitor_command *c, bool json, const char *separator)
{
    if (json) {
        monitor_print("%s{\"usage\":\"%s\",\"help\":\"%s\"}", separator, c->usage, c->help);
    } else {
        monitor_print("%-20s %s\n", c->usage, c->help);
    }
}

static bool list_help(u64 index, bool json)
{
    if (index >= monitor_command_count) {
        monitor_print(json ? "]\n" : "");
        return false;
    }
    print_help(&monitor_commands[index], json, index != 0 ? ",\n" : "");
    return true;
}

static void run_help(const struct monitor_args *args)
{
    const struct monitor_command *one = args->count > 1 ? monitor_find_command(args->word[1], strlen(args->word[1])) : NULL;

    if (args->count > 1 && one == NULL) {
        monitor_complain_unknown(args->word[1]);
        return;
    }
    monitor_print(args->json ? "[" : "");
    if (one == NULL) {
        monitor_list(list_help);
    } else {
        print_help(one, args->json, "");
        monitor_print(args->json ? "]\n" : "");
    }
}

static void run_reenable(const struct monitor_args *args)
{
    (void)args;
    for (u32 i = 0; i < manager_count(); i++) {
        if (manager_get(i).vm != NULL) {
            monitor_error("%s lives", manager_get(i).config->name);
            return;
        }
    }
    struct selftest_reenabled seen = selftest_reenable();
    monitor_print("off on %u CPUs, on again on %u of %u\n", seen.off, seen.on, percpu_count());
}

static void run_panic(const struct monitor_args *args)
{
    if (!manager_selftest()) {
        monitor_error("only with selftest=on");
    } else if (!selftest_panic(args->word[1])) {
        monitor_error("usage: panic assert|fault|stack");
    }
}

static void run_poweroff(const struct monitor_args *args)
{
    (void)args;
    manager_end(false);
}

static void run_reboot(const struct monitor_args *args)
{
    (void)args;
    manager_end(true);
}

const struct monitor_command monitor_commands[] = {
    {"vms", "vms [--json]", "list the VMs", 0, 0, monitor_run_vms},
    {"vm", "vm NAME [--json]", "one VM and its vCPUs", 1, 1, monitor_run_vm},
    {"start", "start NAME", "start a VM that does not live", 1, 1, run_start},
    {"pause", "pause NAME", "freeze a VM", 1, 1, run_pause},
    {"resume", "resume NAME", "let it go on; a debugger loses it", 1, 1, run_resume},
    {"stop", "stop NAME", "press its power button; kill it after 10 s", 1, 1, run_stop},
    {"restart", "restart NAME", "kill a VM and start it from its image", 1, 1, run_restart},
    {"kill", "kill NAME", "end a VM now", 1, 1, run_kill},
    {"focus", "focus NAME", "give the console to a VM", 1, 1, run_focus},
    {"log", "log NAME", "the last output of a VM", 1, 1, run_log},
    {"regs", "regs NAME[.VCPU]", "registers of a vCPU", 1, 1, monitor_run_regs},
    {"mem", "mem NAME GPA LEN", "guest-physical memory", 3, 3, monitor_run_mem},
    {"walk", "walk NAME GVA", "translate an address as vCPU 0 does now", 2, 2, monitor_run_walk},
    {"exits", "exits [NAME] [--json]", "exits of each vCPU by reason", 0, 1, monitor_run_exits},
    {"trace", "trace NAME on|off|show [--json]", "record exits and time them; the last records", 2, 2, monitor_run_trace},
    {"frames", "frames [--json]", "physical memory", 0, 0, monitor_run_frames},
    {"cpus", "cpus [--json]", "the CPUs", 0, 0, monitor_run_cpus},
    {"audit", "audit [--json]", "who holds frames; nothing may be leaked", 0, 0, monitor_run_audit},
    {"help", "help [COMMAND] [--json]", "this list", 0, 1, run_help},
    {"move", "move NAME[.VCPU] CPU", "send a vCPU to another CPU", 2, 2, monitor_run_move},
    {"reenable", "reenable", "switch virtualization off and on again; no VM may live", 0, 0, run_reenable},
    {"panic", "panic assert|fault|stack", "be a bug of Mote's, to see what it shows; with selftest=on only", 1, 1, run_panic},
    {"poweroff", "poweroff", "end every VM and switch off", 0, 0, run_poweroff},
    {"reboot", "reboot", "end every VM and reset the machine", 0, 0, run_reboot},
};
const u32 monitor_command_count = ARRAY_SIZE(monitor_commands);
