/* What the monitor can do: one table. Listing commands have a text form and a JSON form. */
#include "kernel/base/percpu.h"
#include "kernel/console.h"
#include "kernel/init/manager.h"
#include "kernel/init/monitor.h"
#include "kernel/init/selftest.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "mm/frame.h"
#include "mm/heap.h"

#define STOP_GRACE_NS (10 * NS_PER_SEC)
#define U64(x) ((unsigned long long)(x))

/* --- finding VMs --------------------------------------------------------------------------------------------------------- */

static const char *state_of(const struct manager_vm *m)
{
    static const char *const names[] = {"empty", "built", "running", "stopping", "ended"};

    if (m->vm == NULL) {
        return m->config->bad ? "bad" : "stopped";
    }
    return m->vm->paused && m->vm->state == VM_RUNNING ? "paused" : names[m->vm->state];
}

/* The VM of that name; complains when there is none. */
static bool find_vm(const char *name, u32 *id)
{
    for (u32 i = 0; i < manager_count(); i++) {
        if (strcmp(manager_get(i).config->name, name) == 0) {
            *id = i;
            return true;
        }
    }
    monitor_print("error: no VM '%.32s'; try vms\n", name);
    return false;
}

/* As find_vm(), and it lives. */
struct vm *monitor_find_live(const char *name)
{
    u32 id;

    if (!find_vm(name, &id)) {
        return NULL;
    }
    struct vm *vm = manager_get(id).vm;
    if (vm == NULL) {
        monitor_print("error: %s does not live; try start %s\n", name, name);
    }
    return vm;
}

void monitor_answer(int rc)
{
    if (rc == 0) {
        monitor_print("ok\n");
    } else {
        monitor_print("error: %s\n", errno_text(rc));
    }
}

static u64 exits_of(const struct vm *vm)
{
    u64 sum = 0;

    for (u32 i = 0; vm != NULL && i < vm->vcpu_count; i++) {
        sum += vm->vcpus[i].exits;
    }
    return sum;
}

/* --- lists --------------------------------------------------------------------------------------------------------------- */

static void run_vms(const struct monitor_args *args)
{
    monitor_print(args->json ? "[" : "%-16s %-9s %5s %8s %12s %8s\n", "NAME", "STATE", "VCPUS", "MEM", "EXITS", "RESTARTS");
    for (u32 i = 0; i < manager_count(); i++) {
        struct manager_vm m = manager_get(i);
        u64 mem = m.config->mem_bytes / MIB(1);
        if (args->json) {
            monitor_print("%s{\"name\":\"%s\",\"state\":\"%s\",\"vcpus\":%u,\"mem_mib\":%llu,\"exits\":%llu,\"restarts\":%u}",
                          i != 0 ? "," : "", m.config->name, state_of(&m), m.config->vcpus, U64(mem), U64(exits_of(m.vm)),
                          m.restarts);
        } else {
            monitor_print("%-16s %-9s %5u %7lluM %12llu %8u\n", m.config->name, state_of(&m), m.config->vcpus, U64(mem),
                          U64(exits_of(m.vm)), m.restarts);
        }
    }
    if (args->json) {
        monitor_print("]\n");
    }
}

static void run_vm(const struct monitor_args *args)
{
    u32 id;

    if (!find_vm(args->word[1], &id)) {
        return;
    }
    struct manager_vm m = manager_get(id);
    monitor_print("%s: %s, %u vCPUs, %lluM, image %s, %u restarts\n", m.config->name, state_of(&m), m.config->vcpus,
                  U64(m.config->mem_bytes / MIB(1)), m.vm != NULL ? m.vm->type : "-", m.restarts);
    for (u32 i = 0; m.vm != NULL && i < m.vm->vcpu_count; i++) {
        const struct vcpu *v = &m.vm->vcpus[i];
        const struct task *task = &m.vm->tasks[i];
        monitor_print("  vcpu %u: %s%s, cpu %u, %llu moves, ran %llu us, %llu exits\n", i, vcpu_state_name(v->state),
                      m.vm->cpus[i].parked ? " (parked)" : "", task->cpu, U64(task->moved), U64(sched_run_ns(task) / NS_PER_US),
                      U64(v->exits));
    }
}

static void print_exits(const struct vm *vm, bool json)
{
    u64 total = exits_of(vm);
    bool first = true;

    for (u32 kind = 0; kind < VCPU_EXIT_KINDS; kind++) {
        u64 count = 0;
        for (u32 i = 0; i < vm->vcpu_count; i++) {
            count += vm->vcpus[i].exit_counts[kind];
        }
        const char *name = kind == VCPU_EXIT_NONE ? "INTERNAL" : vcpu_exit_name((enum vcpu_exit_kind)kind);
        if (count != 0 && json) {
            monitor_print("%s\"%s\":%llu", first ? "" : ",", name, U64(count));
        } else if (count != 0) {
            monitor_print("  %-12s %12llu %3llu %%\n", name, U64(count), U64(100 * count / total));
        }
        first = first && count == 0;
    }
}

static void run_exits(const struct monitor_args *args)
{
    bool first = true;
    u32 wanted = 0;

    if (args->count > 1 && !find_vm(args->word[1], &wanted)) {
        return;
    }
    monitor_print(args->json ? "{" : "");
    for (u32 i = 0; i < manager_count(); i++) {
        const struct manager_vm m = manager_get(i);
        if (m.vm == NULL || (args->count > 1 && i != wanted)) {
            continue;
        }
        monitor_print(args->json ? "%s\"%s\":{" : "%s%s:\n", args->json && !first ? "," : "", m.config->name);
        print_exits(m.vm, args->json);
        monitor_print(args->json ? "}" : "");
        first = false;
    }
    monitor_print(args->json ? "}\n" : "");
}

static void run_frames(const struct monitor_args *args)
{
    struct frame_stats s = frame_get_stats();

    monitor_print(args->json ? "{\"total\":%llu,\"free\":%llu,\"reserved\":%llu,\"heap_bytes\":%llu}\n"
                             : "frames of 4 KiB: %llu in all, %llu free, %llu reserved; heap %llu bytes\n",
                  U64(s.total), U64(s.free), U64(s.reserved), U64(heap_bytes_used()));
}

static void run_cpus(const struct monitor_args *args)
{
    monitor_print(args->json ? "[" : "%-4s %-6s %-7s %10s %s\n", "CPU", "HW-ID", "STATE", "TICKS", "VCPU");
    for (u32 i = 0; i < percpu_count(); i++) {
        const struct percpu *cpu = percpu_of(i);
        const struct task *task = READ_ONCE(cpu->current_task);
        const char *state = cpu->online ? "online" : "offline";
        if (args->json) {
            monitor_print("%s{\"cpu\":%u,\"hw_id\":%u,\"state\":\"%s\",\"ticks\":%llu}", i != 0 ? "," : "", i, cpu->hw_id, state,
                          U64(cpu->ticks));
        } else {
            monitor_print("%-4u %-6u %-7s %10llu %s\n", i, cpu->hw_id, state, U64(cpu->ticks),
                          task != NULL ? task->name : "idle");
        }
    }
    monitor_print(args->json ? "]\n" : "");
}

static void run_reenable(const struct monitor_args *args)
{
    (void)args;
    for (u32 i = 0; i < manager_count(); i++) {
        if (manager_get(i).vm != NULL) {
            monitor_print("error: %s lives\n", manager_get(i).config->name);
            return;
        }
    }
    struct selftest_reenabled seen = selftest_reenable();
    monitor_print("off on %u CPUs, on again on %u of %u\n", seen.off, seen.on, percpu_count());
}

/* Every frame is accounted for: nothing is held in the name of a VM that does not live. */
static void run_audit(const struct monitor_args *args)
{
    u64 leaked = 0;

    (void)args;
    for (u32 i = 0; i < manager_count(); i++) {
        const struct manager_vm m = manager_get(i);
        u64 held = frame_count_owned(FRAME_OWNER_VM(i));
        monitor_print("%s: %llu frames\n", m.config->name, U64(held));
        leaked += m.vm == NULL ? held : 0;
    }
    monitor_print("leaked: %llu frames\n", U64(leaked));
}

/* --- life --------------------------------------------------------------------------------------------------------------------- */

static void run_start(const struct monitor_args *args)
{
    u32 id;

    if (find_vm(args->word[1], &id)) {
        monitor_answer(manager_start_vm(id));
    }
}

static void run_restart(const struct monitor_args *args)
{
    u32 id;

    if (find_vm(args->word[1], &id)) {
        monitor_answer(manager_restart_vm(id));
    }
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
        monitor_answer(vm_resume(vm));
    }
}

static void run_stop(const struct monitor_args *args)
{
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm != NULL) {
        monitor_answer(vm_press_power(vm, STOP_GRACE_NS));
    }
}

static void run_kill(const struct monitor_args *args)
{
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm != NULL) {
        vm_stop(vm, VM_END_KILL, 0, NULL);
        monitor_answer(0);
    }
}

static void run_focus(const struct monitor_args *args)
{
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm != NULL) {
        console_set_focus(&vm->console);
    }
}

static void run_log(const struct monitor_args *args)
{
    static u8 text[4096];
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm == NULL) {
        return;
    }
    size_t len = console_last_output(&vm->console, text, sizeof(text));
    for (size_t i = 0; i < len; i++) {
        bool plain = text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~');
        if (plain) {
            monitor_print("%c", text[i]);
        }
    }
    monitor_print("\n");
}

/* --- the rest -------------------------------------------------------------------------------------------------------------- */

static void run_help(const struct monitor_args *args)
{
    for (u32 i = 0; i < monitor_command_count; i++) {
        const struct monitor_command *c = &monitor_commands[i];
        if (args->count == 1 || strcmp(args->word[1], c->name) == 0) {
            monitor_print("%-20s %s\n", c->usage, c->help);
        }
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
    {"vms", "vms [--json]", "list the VMs", 0, 0, run_vms},
    {"vm", "vm NAME", "one VM and its vCPUs", 1, 1, run_vm},
    {"start", "start NAME", "start a VM that does not live", 1, 1, run_start},
    {"pause", "pause NAME", "freeze a VM", 1, 1, run_pause},
    {"resume", "resume NAME", "let it go on", 1, 1, run_resume},
    {"stop", "stop NAME", "press its power button; kill it after 10 s", 1, 1, run_stop},
    {"restart", "restart NAME", "kill a VM and start it from its image", 1, 1, run_restart},
    {"kill", "kill NAME", "end a VM now", 1, 1, run_kill},
    {"focus", "focus NAME", "give the console to a VM", 1, 1, run_focus},
    {"log", "log NAME", "the last output of a VM", 1, 1, run_log},
    {"regs", "regs NAME[.VCPU]", "registers of a vCPU", 1, 1, monitor_run_regs},
    {"mem", "mem NAME GPA LEN", "guest-physical memory", 3, 3, monitor_run_mem},
    {"walk", "walk NAME GVA", "translate an address as vCPU 0 does now", 2, 2, monitor_run_walk},
    {"exits", "exits [NAME] [--json]", "exits by kind", 0, 1, run_exits},
    {"frames", "frames [--json]", "physical memory", 0, 0, run_frames},
    {"cpus", "cpus [--json]", "the CPUs", 0, 0, run_cpus},
    {"audit", "audit", "who holds frames; nothing may be leaked", 0, 0, run_audit},
    {"help", "help [COMMAND]", "this list", 0, 1, run_help},
    {"move", "move NAME[.VCPU] CPU", "send a vCPU to another CPU", 2, 2, monitor_run_move},
    {"reenable", "reenable", "switch virtualization off and on again; no VM may live", 0, 0, run_reenable},
    {"poweroff", "poweroff", "end every VM and switch off", 0, 0, run_poweroff},
    {"reboot", "reboot", "end every VM and reset the machine", 0, 0, run_reboot},
};
const u32 monitor_command_count = ARRAY_SIZE(monitor_commands);
