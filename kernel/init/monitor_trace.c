/* Why vCPUs come back, and what that costs: the monitor's exits and trace. */
#include "kernel/init/manager.h"
#include "kernel/init/monitor.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"
#include "vcpu/trace.h"

#define U64(x) ((unsigned long long)(x))
#define SHOWN 16U /* records of each vCPU in the table */

static void print_reason(const struct vcpu *v, u32 reason, u64 count, bool json)
{
    const struct vcpu_trace *trace = __atomic_load_n(&v->trace, __ATOMIC_ACQUIRE);
    u64 timed = trace != NULL ? READ_ONCE(trace->timed[reason]) : 0;
    u64 ticks = trace != NULL ? READ_ONCE(trace->ticks[reason]) : 0;
    const char *name = vcpu_reason_name(reason);

    if (json) {
        monitor_print("\"%s\":{\"count\":%llu,\"timed\":%llu,\"cycles\":%llu}", name, U64(count), U64(timed), U64(ticks));
    } else if (timed != 0) {
        monitor_print("  %-12s %12llu %3llu %% %10llu cycles each\n", name, U64(count), U64(100 * count / vcpu_exits(v)),
                      U64(ticks / timed));
    } else {
        monitor_print("  %-12s %12llu %3llu %%\n", name, U64(count), U64(100 * count / vcpu_exits(v)));
    }
}

static void print_vcpu_exits(const struct vm *vm, u32 index, bool json)
{
    const struct vcpu *v = &vm->vcpus[index];
    bool first = true;

    if (json) {
        monitor_print("%s{", index != 0 ? ",\n" : "");
    } else if (vm->vcpu_count > 1) {
        monitor_print("%s.%u:\n", vm->config->name, index);
    } else {
        monitor_print("%s:\n", vm->config->name);
    }
    for (u32 reason = 0; reason < VCPU_REASONS; reason++) {
        u64 count = READ_ONCE(v->exit_counts[reason]);
        if (count != 0) {
            monitor_print(json && !first ? ",\n" : "");
            print_reason(v, reason, count, json);
            first = false;
        }
    }
    monitor_print(json ? "}" : "");
}

void monitor_run_exits(const struct monitor_args *args)
{
    bool first = true;
    u32 wanted = 0;

    if (args->count > 1 && (!monitor_find_vm(args->word[1], &wanted) || monitor_find_live(args->word[1]) == NULL)) {
        return;
    }
    monitor_print(args->json ? "{" : "");
    for (u32 i = 0; i < manager_count(); i++) {
        const struct manager_vm m = manager_get(i);
        if (m.vm == NULL || (args->count > 1 && i != wanted)) {
            continue;
        }
        if (args->json) {
            monitor_print("%s\"%s\":[", first ? "" : ",\n", m.config->name);
        }
        for (u32 cpu = 0; cpu < m.vm->vcpu_count; cpu++) {
            print_vcpu_exits(m.vm, cpu, args->json);
        }
        monitor_print(args->json ? "]" : "");
        first = false;
    }
    monitor_print(args->json ? "}\n" : "");
}

/* --- records -------------------------------------------------------------------------------------------------------- */

static void print_record(const struct vcpu_trace_record *r, u32 vcpu)
{
    monitor_print("  vcpu %u cpu %u: %-12s where 0x%llx pc 0x%llx, ran %llu, served in %llu cycles\n", vcpu, r->cpu,
                  vcpu_reason_name(r->reason), U64(r->where), U64(r->pc), U64(r->left - r->entered), U64(r->done - r->left));
}

static void show_table(const struct vm *vm)
{
    bool any = false;

    for (u32 i = 0; i < vm->vcpu_count; i++) {
        const struct vcpu_trace *trace = vm->vcpus[i].trace;
        u64 head = trace != NULL ? __atomic_load_n(&trace->head, __ATOMIC_ACQUIRE) : 0;
        u64 index = head > SHOWN ? head - SHOWN : 0;
        struct vcpu_trace_record record;
        while (index < head && vcpu_trace_read(&vm->vcpus[i], &index, &record)) {
            print_record(&record, i);
            any = true;
        }
    }
    if (!any) {
        monitor_print("no records; try trace %s on\n", vm->config->name);
    }
}

/* One record a line; left and done count from the time before. tests/tools/trace_picture.py reads it. */
static void show_json(const struct vm *vm)
{
    const char *separator = "";

    monitor_print("{\"vm\":\"%s\",\"hz\":%llu,\"fields\":[\"vcpu\",\"cpu\",\"entered\",\"ran\",\"served\",\"reason\",\"where\","
                  "\"pc\"],\"records\":[\n", vm->config->name, U64(time_ticks_hz()));
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        const struct vcpu_trace *trace = vm->vcpus[i].trace;
        u64 head = trace != NULL ? __atomic_load_n(&trace->head, __ATOMIC_ACQUIRE) : 0;
        u64 index = 0;
        struct vcpu_trace_record r;
        while (index < head && vcpu_trace_read(&vm->vcpus[i], &index, &r)) {
            monitor_print("%s[%u,%u,%llu,%llu,%llu,\"%s\",%llu,%llu]\n", separator, i, r.cpu, U64(r.entered),
                          U64(r.left - r.entered), U64(r.done - r.left), vcpu_reason_name(r.reason), U64(r.where), U64(r.pc));
            separator = ",";
        }
    }
    monitor_print("]}\n");
}

void monitor_run_trace(const struct monitor_args *args)
{
    const char *verb = args->word[2];
    bool on = strcmp(verb, "on") == 0;
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm == NULL) {
        return;
    }
    if (on || strcmp(verb, "off") == 0) {
        monitor_answer(vm_set_trace(vm, on));
    } else if (strcmp(verb, "show") != 0) {
        monitor_error("usage: trace NAME on|off|show [--json]");
    } else if (args->json) {
        show_json(vm);
    } else {
        show_table(vm);
    }
}
