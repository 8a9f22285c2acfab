/* Why vCPUs come back, and what that costs: the monitor's exits and trace. */
#include "kernel/init/manager.h"
#include "kernel/init/monitor.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"
#include "mm/heap.h"
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

/* What `exits` lists. */
static struct {
    const struct vm_config *only; /* NULL: every VM */
    bool any;                     /* one is there already, */
    bool open;                    /* and its vCPUs have not ended */
} exits;

static void close_vm(bool json)
{
    monitor_print(json && exits.open ? "]" : "");
    exits.open = false;
}

/* The index counts the vCPUs of all VMs, as if each had as many as it may have. */
static bool list_exits(u64 index, bool json)
{
    u64 id = index / VM_VCPUS_MAX;
    u32 cpu = (u32)(index % VM_VCPUS_MAX);

    if (cpu == 0 || id >= manager_count()) {
        close_vm(json);
    }
    if (id >= manager_count()) {
        monitor_print(json ? "}\n" : "");
        return false;
    }
    const struct manager_vm m = manager_get((u32)id);
    if (m.vm == NULL || cpu >= m.vm->vcpu_count || (exits.only != NULL && exits.only != m.config)) {
        close_vm(json);
        return true;
    }
    if (cpu == 0) {
        if (json) {
            monitor_print("%s\"%s\":[", exits.any ? ",\n" : "", m.config->name);
        }
        exits.any = true;
        exits.open = true;
    }
    if (exits.open) { /* else it lives only since a moment */
        print_vcpu_exits(m.vm, cpu, json);
    }
    return true;
}

void monitor_run_exits(const struct monitor_args *args)
{
    memset(&exits, 0, sizeof(exits));
    if (args->count > 1) {
        const struct vm *vm = monitor_find_live(args->word[1]);
        if (vm == NULL) {
            return;
        }
        exits.only = vm->config;
    }
    monitor_print(args->json ? "{" : "");
    monitor_list(list_exits);
}

/* --- records -------------------------------------------------------------------------------------------------------- */

static void print_record(const struct vcpu_trace_record *r, u32 vcpu, bool json, const char *separator)
{
    const char *reason = vcpu_reason_name(r->reason);
    u64 ran = r->left - r->entered, served = r->done - r->left;

    if (json) {
        monitor_print("%s[%u,%u,%llu,%llu,%llu,\"%s\",%llu,%llu]\n", separator, vcpu, r->cpu, U64(r->entered), U64(ran),
                      U64(served), reason, U64(r->where), U64(r->pc));
    } else {
        monitor_print("  vcpu %u cpu %u: %-12s where 0x%llx pc 0x%llx, ran %llu, served in %llu cycles\n", vcpu, r->cpu, reason,
                      U64(r->where), U64(r->pc), U64(ran), U64(served));
    }
}

/* What `trace show` lists: a copy, since the rings may turn faster than the line takes them. */
static struct {
    struct vcpu_trace_record *records[VM_VCPUS_MAX]; /* of each vCPU, the oldest first */
    u32 count[VM_VCPUS_MAX];
    u32 cpu, at; /* the next one */
    const char *name; /* the VM's */
} shown;

static void forget(void)
{
    for (u32 i = 0; i < VM_VCPUS_MAX; i++) {
        heap_free(shown.records[i]);
    }
    memset(&shown, 0, sizeof(shown));
}

/* The last records of a vCPU, at most so many. 0 or -E_NOMEM. */
static int copy_records(const struct vcpu *v, u32 cpu, u32 most)
{
    const struct vcpu_trace *trace = __atomic_load_n(&v->trace, __ATOMIC_ACQUIRE);
    u64 head = trace != NULL ? __atomic_load_n(&trace->head, __ATOMIC_ACQUIRE) : 0;
    u64 index = head > most ? head - most : 0;
    u64 count = head - index;

    if (count == 0) {
        return 0;
    }
    shown.records[cpu] = heap_alloc(count * sizeof(*shown.records[cpu]));
    if (shown.records[cpu] == NULL) {
        return -E_NOMEM;
    }
    while (index < head && vcpu_trace_read(v, &index, &shown.records[cpu][shown.count[cpu]])) {
        shown.count[cpu]++;
    }
    return 0;
}

static int copy_trace(const struct vm *vm, u32 most)
{
    int rc = 0;

    shown.name = vm->config->name;
    for (u32 i = 0; i < vm->vcpu_count && rc == 0; i++) {
        rc = copy_records(&vm->vcpus[i], i, most);
    }
    if (rc != 0) {
        forget();
    }
    return rc;
}

static bool list_record(u64 index, bool json)
{
    while (shown.cpu < VM_VCPUS_MAX && shown.at == shown.count[shown.cpu]) {
        shown.cpu++;
        shown.at = 0;
    }
    if (index == MONITOR_LIST_END || shown.cpu == VM_VCPUS_MAX) {
        if (json) {
            monitor_print("]}\n");
        } else if (index == 0) {
            monitor_print("no records; try trace %s on\n", shown.name);
        }
        forget();
        return false;
    }
    print_record(&shown.records[shown.cpu][shown.at++], shown.cpu, json, index == 0 ? "" : ",");
    return true;
}

/* One record a line; left and done count from the time before. tests/tools/trace_picture.py reads the JSON form. */
static void show(const struct vm *vm, bool json)
{
    int rc = copy_trace(vm, json ? VCPU_TRACE_RECORDS : SHOWN);

    if (rc != 0) {
        monitor_answer(rc);
        return;
    }
    if (json) {
        monitor_print("{\"vm\":\"%s\",\"hz\":%llu,\"fields\":[\"vcpu\",\"cpu\",\"entered\",\"ran\",\"served\",\"reason\",\"where\","
                      "\"pc\"],\"records\":[\n", shown.name, U64(time_ticks_hz()));
    }
    monitor_list(list_record);
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
    } else {
        show(vm, args->json);
    }
}
