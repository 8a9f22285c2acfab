/* The monitor's lists: as a table, or with --json as one JSON value, an entry a line: the console cuts longer ones. Names of
 * VMs are letters, digits, '.', '-' and '_' (vm/config.h): nothing in a list needs quoting. */
#include "kernel/base/percpu.h"
#include "kernel/init/manager.h"
#include "kernel/init/monitor.h"
#include "kernel/sched.h"
#include "kernel/time.h"
#include "mm/frame.h"
#include "mm/heap.h"

#define U64(x) ((unsigned long long)(x))

static const char *state_of(const struct manager_vm *m)
{
    static const char *const names[] = {"empty", "built", "running", "stopping", "ended"};

    if (m->vm == NULL) {
        return m->config->bad ? "bad" : "stopped";
    }
    if (m->vm->state != VM_RUNNING) {
        return names[m->vm->state];
    }
    return m->vm->paused ? "paused" : READ_ONCE(m->vm->held) ? "held" : names[m->vm->state];
}

u64 monitor_exits_of(const struct vm *vm)
{
    u64 sum = 0;

    for (u32 i = 0; vm != NULL && i < vm->vcpu_count; i++) {
        sum += vcpu_exits(&vm->vcpus[i]);
    }
    return sum;
}

static bool list_vm(u64 index, bool json)
{
    if (index >= manager_count()) {
        monitor_print(json ? "]\n" : "");
        return false;
    }
    struct manager_vm m = manager_get((u32)index);
    u64 mem = m.config->mem_bytes / MIB(1);
    if (json) {
        monitor_print("%s{\"name\":\"%s\",\"state\":\"%s\",\"vcpus\":%u,\"mem_mib\":%llu,\"exits\":%llu,\"restarts\":%u}",
                      index != 0 ? ",\n" : "", m.config->name, state_of(&m), m.config->vcpus, U64(mem),
                      U64(monitor_exits_of(m.vm)), m.restarts);
    } else {
        monitor_print("%-16s %-9s %5u %7lluM %12llu %8u\n", m.config->name, state_of(&m), m.config->vcpus, U64(mem),
                      U64(monitor_exits_of(m.vm)), m.restarts);
    }
    return true;
}

void monitor_run_vms(const struct monitor_args *args)
{
    monitor_print(args->json ? "[" : "%-16s %-9s %5s %8s %12s %8s\n", "NAME", "STATE", "VCPUS", "MEM", "EXITS", "RESTARTS");
    monitor_list(list_vm);
}

static u32 shown_vm; /* by `vm` */

static void print_vcpu(const struct vm *vm, u32 i, bool json)
{
    const struct vcpu *v = &vm->vcpus[i];
    const struct task *task = &vm->tasks[i];
    bool parked = vm->cpus[i].parked;
    u64 ran_us = sched_run_ns(task) / NS_PER_US;

    if (json) {
        monitor_print("%s{\"vcpu\":%u,\"state\":\"%s\",\"parked\":%s,\"cpu\":%u,\"moves\":%llu,\"ran_us\":%llu,\"exits\":%llu}",
                      i != 0 ? ",\n" : "", i, vcpu_state_name(v->state), parked ? "true" : "false", task->cpu, U64(task->moved),
                      U64(ran_us), U64(vcpu_exits(v)));
    } else {
        monitor_print("  vcpu %u: %s%s, cpu %u, %llu moves, ran %llu us, %llu exits\n", i, vcpu_state_name(v->state),
                      parked ? " (parked)" : "", task->cpu, U64(task->moved), U64(ran_us), U64(vcpu_exits(v)));
    }
}

static bool list_vcpu(u64 index, bool json)
{
    const struct vm *vm = manager_get(shown_vm).vm;

    if (vm == NULL || index >= vm->vcpu_count) {
        monitor_print(json ? "]}\n" : "");
        return false;
    }
    print_vcpu(vm, (u32)index, json);
    return true;
}

void monitor_run_vm(const struct monitor_args *args)
{
    if (!monitor_find_vm(args->word[1], &shown_vm)) {
        return;
    }
    struct manager_vm m = manager_get(shown_vm);
    monitor_print(args->json ? "{\"name\":\"%s\",\"state\":\"%s\",\"vcpus\":%u,\"mem_mib\":%llu,\"image\":\"%s\",\"restarts\":%u,"
                               "\"vcpu\":["
                             : "%s: %s, %u vCPUs, %lluM, image %s, %u restarts\n",
                  m.config->name, state_of(&m), m.config->vcpus, U64(m.config->mem_bytes / MIB(1)),
                  m.vm != NULL ? m.vm->type : "-", m.restarts);
    monitor_list(list_vcpu);
}

void monitor_run_frames(const struct monitor_args *args)
{
    struct frame_stats s = frame_get_stats();

    monitor_print(args->json ? "{\"total\":%llu,\"free\":%llu,\"reserved\":%llu,\"heap_bytes\":%llu}\n"
                             : "frames of 4 KiB: %llu in all, %llu free, %llu reserved; heap %llu bytes\n",
                  U64(s.total), U64(s.free), U64(s.reserved), U64(heap_bytes_used()));
}

static bool list_cpu(u64 index, bool json)
{
    if (index >= percpu_count()) {
        char barriers[VCPU_BARRIERS_MAX];
        vcpu_barriers(barriers);
        monitor_print(json ? "]\n" : "between VMs: %s\n", barriers);
        return false;
    }
    const struct percpu *cpu = percpu_of((u32)index);
    const struct task *task = READ_ONCE(cpu->current_task);
    const char *state = cpu->online ? "online" : "offline";
    if (json) {
        monitor_print("%s{\"cpu\":%u,\"hw_id\":%u,\"state\":\"%s\",\"ticks\":%llu,\"task\":\"%s\"}", index != 0 ? ",\n" : "",
                      (u32)index, cpu->hw_id, state, U64(cpu->ticks), task != NULL ? task->name : "idle");
    } else {
        monitor_print("%-4u %-6u %-7s %10llu %s\n", (u32)index, cpu->hw_id, state, U64(cpu->ticks),
                      task != NULL ? task->name : "idle");
    }
    return true;
}

void monitor_run_cpus(const struct monitor_args *args)
{
    monitor_print(args->json ? "[" : "%-4s %-6s %-7s %10s %s\n", "CPU", "HW-ID", "STATE", "TICKS", "VCPU");
    monitor_list(list_cpu);
}

static u64 leaked; /* as far as `audit` has come */

static bool list_frames_of(u64 index, bool json)
{
    if (index >= manager_count()) {
        monitor_print(json ? "},\"leaked\":%llu}\n" : "leaked: %llu frames\n", U64(leaked));
        return false;
    }
    const struct manager_vm m = manager_get((u32)index);
    u64 held = frame_count_owned(FRAME_OWNER_VM((u32)index));
    monitor_print(json ? "%s\"%s\":%llu" : "%s%s: %llu frames\n", json && index != 0 ? ",\n" : "", m.config->name, U64(held));
    leaked += m.vm == NULL ? held : 0;
    return true;
}

/* Every frame is accounted for: nothing is held in the name of a VM that does not live. */
void monitor_run_audit(const struct monitor_args *args)
{
    leaked = 0;
    monitor_print(args->json ? "{\"vms\":{" : "");
    monitor_list(list_frames_of);
}
