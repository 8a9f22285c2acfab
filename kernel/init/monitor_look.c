/* Commands that concern one vCPU, or look inside a VM. Registers are its owner's: they are read on the CPU that runs it,
 * between two entries. */
#include "kernel/init/manager.h"
#include "kernel/init/monitor.h"
#include "kernel/init/monitor_parse.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"
#include "vm/config_internal.h"
#include "vm/vm.h"

#define U64(x) ((unsigned long long)(x))

/* NAME is the whole word where a VM is called so, as vmlinuz-5.10 may be. False: too long. */
static bool name_vcpu(const char *word, char *name, u32 *cpu)
{
    *cpu = 0;
    for (u32 i = 0; i < manager_count(); i++) {
        if (strcmp(manager_get(i).config->name, word) == 0) {
            memcpy(name, word, strlen(word) + 1);
            return true;
        }
    }
    return monitor_parse_vcpu(word, name, cpu);
}

static void show_regs(struct vcpu *v, void *arg)
{
    (void)arg;
    vcpu_dump(v, ((struct vm *)v->config.ctx)->config->name);
    monitor_answer(0);
    monitor_end();
}

void monitor_run_regs(const struct monitor_args *args)
{
    char name[VM_NAME_MAX];
    u32 cpu;

    if (!name_vcpu(args->word[1], name, &cpu)) {
        monitor_error("usage: regs NAME[.VCPU]");
        return;
    }
    struct vm *vm = monitor_find_live(name);
    if (vm == NULL) {
        return;
    }
    monitor_begin();
    int rc = vm_cpu_visit(vm, cpu, show_regs, NULL);
    if (rc != 0) {
        monitor_end();
        monitor_answer(rc);
    }
}

void monitor_run_move(const struct monitor_args *args)
{
    char name[VM_NAME_MAX];
    u32 vcpu;
    u64 cpu = 0;

    if (!name_vcpu(args->word[1], name, &vcpu) || !config_parse_number(args->word[2], &cpu) || cpu >= CPU_MAX) {
        monitor_error("usage: move NAME[.VCPU] CPU");
        return;
    }
    struct vm *vm = monitor_find_live(name);
    if (vm != NULL) {
        monitor_answer(vcpu < vm->vcpu_count ? sched_move(&vm->tasks[vcpu], (u32)cpu) : -E_RANGE);
    }
}

static u64 walk_address; /* one walk at a time: the prompt waits for it */

static void show_walk(struct vcpu *v, void *arg)
{
    gpa_t gpa;
    int rc = vcpu_translate(v, GVA(walk_address), &gpa);

    (void)arg;
    if (rc == 0) {
        monitor_print("0x%llx -> 0x%llx\n", U64(walk_address), U64(gpa.v));
    } else {
        monitor_print("0x%llx is %s\n", U64(walk_address), rc == -E_RANGE ? "beyond what the guest can address now" : "not mapped");
    }
    monitor_end();
}

void monitor_run_walk(const struct monitor_args *args)
{
    struct vm *vm = monitor_find_live(args->word[1]);

    if (vm == NULL) {
        return;
    }
    if (!config_parse_number(args->word[2], &walk_address)) {
        monitor_error("not an address");
        return;
    }
    monitor_begin();
    int rc = vm_cpu_visit(vm, 0, show_walk, NULL);
    if (rc != 0) {
        monitor_end();
        monitor_answer(rc);
    }
}

#define MEM_MAX 4096U
#define MEM_ROW 16U

static void print_row(u64 gpa, const u8 *bytes, u64 len)
{
    monitor_print("%012llx ", U64(gpa));
    for (u64 i = 0; i < MEM_ROW; i++) {
        if (i < len) {
            monitor_print(" %02x", bytes[i]);
        } else {
            monitor_print("   ");
        }
    }
    monitor_print("  ");
    for (u64 i = 0; i < len; i++) {
        monitor_print("%c", bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.');
    }
    monitor_print("\n");
}

/* What `mem` shows. */
static struct {
    u32 vm;
    u64 gpa, len;
} dump;

static bool list_row(u64 index, bool json)
{
    const struct vm *vm = manager_get(dump.vm).vm;
    u8 bytes[MEM_ROW];

    (void)json;
    if (vm == NULL || index * MEM_ROW >= dump.len) {
        return false;
    }
    u64 gpa = dump.gpa + index * MEM_ROW;
    u64 wanted = MIN(dump.len - index * MEM_ROW, (u64)MEM_ROW);
    u64 n = wanted;
    while (n != 0 && gmem_read(&vm->mem, GPA(gpa), bytes, n) != 0) {
        n--;
    }
    if (n != 0) {
        print_row(gpa, bytes, n);
    }
    if (n != wanted) {
        monitor_print("%012llx  not memory\n", U64(gpa + n));
    }
    return n == wanted;
}

void monitor_run_mem(const struct monitor_args *args)
{
    const struct vm *vm = monitor_find_live(args->word[1]);

    if (vm == NULL) {
        return;
    }
    dump.vm = vm->id;
    if (!config_parse_number(args->word[2], &dump.gpa) || !config_parse_number(args->word[3], &dump.len) || dump.len == 0 ||
        dump.len > MEM_MAX) {
        monitor_error("usage: mem NAME GPA LEN, LEN 1..%u", MEM_MAX);
        return;
    }
    monitor_list(list_row);
}
