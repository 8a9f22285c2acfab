#include "vm/vm.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"
#include "vcpu/trace.h"

static const struct {
    const char *text;
    bool crash;
    u32 code;
} ends[] = {
#define VM_END_ROW(name, text, crash, code) [VM_END_##name] = {text, crash, code},
    VM_END_LIST(VM_END_ROW)
#undef VM_END_ROW
};

static const enum vcpu_death deaths[ARRAY_SIZE(ends)] = {
    [VM_END_TRIPLE_FAULT] = VCPU_DEATH_SHUTDOWN, [VM_END_UNMAPPED] = VCPU_DEATH_MEMORY,
    [VM_END_EMULATION] = VCPU_DEATH_EMULATION,   [VM_END_ENTRY_FAILED] = VCPU_DEATH_ENTRY,
    [VM_END_TIMEOUT] = VCPU_DEATH_TIMEOUT,       [VM_END_WATCHDOG] = VCPU_DEATH_TIMEOUT,
};

static void wake(struct vcpu *v)
{
    struct vm *vm = v->config.ctx;

    sched_wake(&vm->tasks[v->config.id]);
}

static void time_out(struct timer *timer)
{
    struct vm *vm = timer->arg;

    vm_stop(vm, VM_END_TIMEOUT, ends[VM_END_TIMEOUT].code, "after-ms=%llu",
            (unsigned long long)(vm->config->timeout_ns / NS_PER_MS));
}

static void kill_late(struct timer *timer)
{
    vm_stop(timer->arg, VM_END_KILL, 0, "stop=not-obeyed");
}

void vm_press_power(struct vm *vm, u64 grace_ns)
{
    if (READ_ONCE(vm->state) == VM_RUNNING) {
        vm->board_ops->power_button(vm);
        timer_arm(&vm->force, time_now_ns() + grace_ns);
    }
}

int vm_init(struct vm *vm, u32 id, const struct vm_config *config)
{
    vm->id = id;
    vm->config = config;
    timer_init(&vm->timeout, time_out, vm);
    timer_init(&vm->force, kill_late, vm);
    vm_watchdog_init(vm);
    (void)fmt_snprintf(vm->console.name, sizeof(vm->console.name), "%s", config->name);
    int rc = gmem_init(&vm->mem, vcpu_backend()->nested_format, FRAME_OWNER_VM(id));
    if (rc == 0) {
        vm->state = VM_BUILT;
    }
    return rc;
}

int vm_create_vcpus(struct vm *vm, const struct irqchip_ops *chip_ops, void *chip)
{
    struct vcpu_config config = {
        .vm_id = vm->id,
        .counter_offset = -time_ticks(),
        .cpu_count = vm->config->vcpus,
        .frame_owner = FRAME_OWNER_VM(vm->id),
        .affinity = vm->config->pin,
        .stage2 = &vm->mem.stage2,
        .mem = &vm_mem_ops,
        .chip_ops = chip_ops,
        .ctx = vm,
        .chip = chip,
        .wake = wake,
        .answer = vm_answer,
        .serve = vm_serve_inside,
    };

    for (u32 i = 0; i < vm->config->vcpus; i++) {
        config.id = i;
        vm->cpus[i].parked = i != 0;
        vcpu_create(&vm->vcpus[i], &config);
        int rc = vcpu_setup(&vm->vcpus[i]);
        if (rc == 0 && vm->config->trace) {
            rc = vcpu_trace_on(&vm->vcpus[i]);
        }
        if (rc != 0) {
            return rc;
        }
        vm->vcpu_count++;
    }
    return 0;
}

/* The last vCPU to leave ends the VM. */
static void vcpu_left(struct task *task)
{
    struct vcpu *v = task->arg;
    struct vm *vm = v->config.ctx;
    u64 flags = spin_lock(&vm->lock);
    bool last = ++vm->left == vm->vcpu_count;

    if (last) {
        vm->state = VM_ENDED;
    }
    spin_unlock(&vm->lock, flags);
    if (last) {
        vm->ended(vm);
    }
}

/* Its CPU gives it up: nobody else may bind it while it is bound here. */
static void vcpu_moves(struct task *task)
{
    struct vcpu *v = task->arg;

    if (percpu()->current_vcpu == v && vcpu_unbind(v) != 0) {
        vcpu_invalidate(v, "unbind failed");
    }
}

/* The first may run, and wake its siblings, before they are added. */
static int start_tasks(struct vm *vm)
{
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        struct task *task = &vm->tasks[i];

        task->name = vm->config->name;
        task->run = vm_run_slice;
        task->exited = vcpu_left;
        task->moves = vcpu_moves;
        task->arg = &vm->vcpus[i];
        task->affinity = vm->config->pin;
        task->share = vm->config->share;
        int rc = sched_add(task);
        if (rc != 0) {
            vm->vcpu_count = i; /* those that run will leave; the rest never started */
            return rc;
        }
    }
    return 0;
}

/* Which leaves stage 2 was built of. */
static void report_memory(struct vm *vm)
{
    u64 leaves[3];

    pt_count_leaves(&vm->mem.stage2, leaves);
    log_info("vm=%s ev=memory leaves-4k=%llu leaves-2m=%llu leaves-1g=%llu", vm->config->name,
             (unsigned long long)leaves[0], (unsigned long long)leaves[1], (unsigned long long)leaves[2]);
}

int vm_start(struct vm *vm)
{
    if (vm->state != VM_BUILT) {
        return -E_STATE;
    }
    log_event("vm=%s ev=start vcpus=%u mem=%lluM type=%s", vm->config->name, vm->vcpu_count,
              (unsigned long long)(vm->config->mem_bytes / MIB(1)), vm->type);
    report_memory(vm);
    vm->state = VM_RUNNING;
    if (vm->config->timeout_ns != 0) {
        timer_arm(&vm->timeout, time_now_ns() + vm->config->timeout_ns);
    }
    vm_watchdog_start(vm);
    int rc = start_tasks(vm);
    if (rc != 0) {
        timer_cancel(&vm->timeout);
        vm_watchdog_stop(vm);
        vm->state = VM_BUILT;
    }
    return rc;
}

void vm_stop(struct vm *vm, enum vm_end end, u32 code, const char *format, ...)
{
    va_list args;
    u64 flags = spin_lock(&vm->lock);
    bool first = vm->state == VM_RUNNING;

    if (first) {
        struct vcpu *current = percpu()->current_vcpu;
        vm->end = end;
        vm->end_code = code;
        vm->end_vcpu = current != NULL && current->config.ctx == vm ? current->config.id : 0;
        if (format != NULL) {
            va_start(args, format);
            (void)fmt_vsnprintf(vm->why, sizeof(vm->why), format, args);
            va_end(args);
        }
        WRITE_ONCE(vm->state, VM_STOPPING);
    }
    spin_unlock(&vm->lock, flags);
    for (u32 i = 0; first && i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i], VCPU_REQ_STOP);
        sched_wake(&vm->tasks[i]);
    }
}

static u64 total_exits(const struct vm *vm)
{
    u64 sum = 0;

    for (u32 i = 0; i < vm->vcpu_count; i++) {
        sum += vcpu_exits(&vm->vcpus[i]);
    }
    return sum;
}

void vm_report_end(struct vm *vm)
{
    const char *separator = vm->why[0] != '\0' ? " " : "";

    if (ends[vm->end].crash) {
        log_event("vm=%s ev=crash reason=%s vcpu=%u rip=0x%llx exits=%llu%s%s", vm->config->name, ends[vm->end].text,
                  vm->end_vcpu, (unsigned long long)vcpu_pc(&vm->vcpus[vm->end_vcpu]),
                  (unsigned long long)total_exits(vm), separator, vm->why);
        vm_autopsy(vm, deaths[vm->end]);
    } else {
        log_event("vm=%s ev=exit reason=%s code=%u exits=%llu%s%s", vm->config->name, ends[vm->end].text, vm->end_code,
                  (unsigned long long)total_exits(vm), separator, vm->why);
    }
}

bool vm_crashed(const struct vm *vm)
{
    return ends[vm->end].crash;
}

u32 vm_verdict(const struct vm *vm)
{
    return vm->end_code;
}

void vm_destroy(struct vm *vm)
{
    timer_cancel(&vm->timeout);
    timer_cancel(&vm->force);
    vm_watchdog_stop(vm);
    if (vm->board_ops != NULL) {
        vm->board_ops->stop(vm);
    }
    for (u32 i = 0; i < VM_VCPUS_MAX; i++) {
        if (vm->vcpus[i].backend != NULL && vcpu_destroy(&vm->vcpus[i]) != 0) {
            log_warn("vm=%s vcpu=%u could not be destroyed: state=%s", vm->config->name, i,
                     vcpu_state_name(vm->vcpus[i].state));
        }
    }
    if (vm->board_ops != NULL) {
        vm->board_ops->destroy(vm);
    }
    gmem_destroy(&vm->mem);
    memset(vm, 0, sizeof(*vm));
}
