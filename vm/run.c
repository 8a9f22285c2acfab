/* The run loop: enter, serve the exit, enter again, until the slice ends, the vCPU blocks or the VM stops. */
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "vcpu/debug.h"
#include "vm/abi.h"
#include "vm/vm.h"

/* Does the loop go on entering after this exit? */
typedef bool (*exit_handler)(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit);

static __attribute__((noinline)) bool serve_string(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    if (vcpu_emulate(v) != 0) {
        vm_stop(vm, VM_END_EMULATION, 1, "port=0x%x", exit->pio.port);
    }
    return true;
}

static inline bool serve_pio(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    if (exit->pio.string) {
        return serve_string(vm, v, exit);
    }
    (void)bus_access(&vm->pio, exit->pio.port, exit->pio.size, exit->pio.write, &exit->pio.value);
    vcpu_finish(v, exit);
    return true;
}

/* Not RAM, or RAM that may not be written: an instruction fetch or a page walk there can never succeed; data accesses
 * are a device's, or read as ones. */
static inline __attribute__((always_inline)) bool serve_fault(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    gpa_t gpa = exit->npf.gpa;
    u32 flags = exit->npf.flags;

    if ((flags & (NPF_EXEC | NPF_WALK)) != 0) {
        vm_stop(vm, VM_END_UNMAPPED, 1, "gpa=0x%llx access=%s", (unsigned long long)gpa.v,
                (flags & NPF_WALK) != 0 ? "page-walk" : "fetch");
    } else if (vcpu_emulate_access(v, exit) != 0) {
        vm_stop(vm, VM_END_EMULATION, 1, "gpa=0x%llx", (unsigned long long)gpa.v);
    }
    return true;
}

static __attribute__((noinline)) bool serve_hidden(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    u32 wanted = PT_READ | ((exit->npf.flags & NPF_WRITE) != 0 ? PT_WRITE : 0) | ((exit->npf.flags & NPF_EXEC) != 0 ? PT_EXEC : 0);

    return vm_unhide_page(vm, exit->npf.gpa, wanted) || serve_fault(vm, v, exit);
}

static bool serve_npf(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    return READ_ONCE(vm->hidden) != 0 ? serve_hidden(vm, v, exit) : serve_fault(vm, v, exit);
}

static inline bool serve_hypercall(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    vm_hypercall(vm, v, exit);
    return true;
}

static bool serve_halt(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    /* With a watchdog it has not ended by itself: a kernel that gave up halts so, and the watchdog ends that. */
    if (vm_cpu_halts(vm, v->config.id, exit->halt.interruptible) && vm->config->watchdog_ns == 0) {
        vm_stop(vm, VM_END_HALT, 0, NULL);
    }
    return true;
}

static bool serve_yield(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    (void)vm;
    (void)v;
    (void)exit;
    return false;
}

static bool serve_kicked(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    (void)vm;
    (void)v;
    (void)exit;
    return true;
}

static bool serve_shutdown(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    static const enum vm_end ends[] = {
        [VCPU_SHUTDOWN_TRIPLE_FAULT] = VM_END_TRIPLE_FAULT,
        [VCPU_SHUTDOWN_RESET] = VM_END_RESET,
        [VCPU_SHUTDOWN_OFF] = VM_END_POWEROFF,
    };
    enum vm_end end = ends[exit->shutdown.reason];

    (void)v;
    vm_stop(vm, end, end == VM_END_TRIPLE_FAULT ? 1 : 0, NULL);
    return true;
}

static bool serve_entry_failed(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    (void)v;
    vm_stop(vm, VM_END_ENTRY_FAILED, 1, "hw-reason=0x%llx qualification=0x%llx detail=0x%llx",
            (unsigned long long)exit->entry_failed.hw_reason, (unsigned long long)exit->entry_failed.qual,
            (unsigned long long)exit->entry_failed.detail);
    return true;
}

/* A breakpoint that is not the debugger's, or of one that has gone, is the guest's own. */
static bool serve_debug(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    bool taken = vm->debugger.stopped != NULL && vm->debugger.stopped(vm->debugger.arg, v, exit);

    if (!taken && exit->debug.breakpoint) {
        vcpu_debug_pass(v);
    }
    return true;
}

static bool serve_unhandled(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    (void)v;
    if (exit->kind == VCPU_EXIT_UNHANDLED) {
        vm_stop(vm, VM_END_UNHANDLED, 1, "what=%s hw-reason=0x%llx qualification=0x%llx", exit->unhandled.what,
                (unsigned long long)exit->unhandled.hw_reason, (unsigned long long)exit->unhandled.qual);
    } else {
        vm_stop(vm, VM_END_UNHANDLED, 1, "what=%s", vcpu_exit_name(exit->kind));
    }
    return true;
}

static const exit_handler handlers[VCPU_EXIT_KINDS] = {
    [VCPU_EXIT_NONE] = serve_unhandled,
    [VCPU_EXIT_PIO] = serve_pio,
    [VCPU_EXIT_NPF] = serve_npf,
    [VCPU_EXIT_HYPERCALL] = serve_hypercall,
    [VCPU_EXIT_SYSREG] = serve_unhandled,
    [VCPU_EXIT_HALT] = serve_halt,
    [VCPU_EXIT_YIELD] = serve_yield,
    [VCPU_EXIT_CPU_ON] = serve_unhandled,
    [VCPU_EXIT_CPU_OFF] = serve_unhandled,
    [VCPU_EXIT_IPI] = serve_unhandled,
    [VCPU_EXIT_KICKED] = serve_kicked,
    [VCPU_EXIT_SHUTDOWN] = serve_shutdown,
    [VCPU_EXIT_DEBUG] = serve_debug,
    [VCPU_EXIT_ENTRY_FAILED] = serve_entry_failed,
    [VCPU_EXIT_UNHANDLED] = serve_unhandled,
};

static bool serve(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    if (log_enabled(LOG_DEBUG)) {
        vm_trace_exit(vm, v, exit);
    }
    return handlers[exit->kind](vm, v, exit);
}

/* Calls that exclude the VM's CPUs: the caller is one, and has to be out. */
static inline bool leaves(const struct vcpu_exit *exit)
{
    return exit->kind == VCPU_EXIT_HYPERCALL &&
           (exit->hypercall.number == MOTE_HC_RIGHTS || exit->hypercall.number == MOTE_HC_HIDE);
}

static __attribute__((noinline)) bool serve_seen(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    const u32 inside = BIT32(VCPU_EXIT_PIO) | BIT32(VCPU_EXIT_NPF) | BIT32(VCPU_EXIT_HYPERCALL);

    return (BIT32(exit->kind) & inside) != 0 && !leaves(exit) && serve(vm, v, exit);
}

/* The frequent kinds need nothing that vcpu_run() would have to return for. */
bool vm_serve_inside(struct vcpu *v, struct vcpu_exit *exit)
{
    struct vm *vm = v->config.ctx;

    if (log_enabled(LOG_DEBUG)) {
        return serve_seen(vm, v, exit);
    }
    if (exit->kind == VCPU_EXIT_PIO) {
        return serve_pio(vm, v, exit);
    }
    if (exit->kind == VCPU_EXIT_NPF) {
        return serve_npf(vm, v, exit);
    }
    return exit->kind == VCPU_EXIT_HYPERCALL && !leaves(exit) && serve_hypercall(vm, v, exit);
}

/* Bind v here; the vCPU that was bound last stays until another needs the CPU, so that a lone one never switches. */
static int claim_cpu(struct vcpu *v)
{
    struct vcpu *bound = percpu()->current_vcpu;

    if (bound == v) {
        return 0;
    }
    int rc = bound != NULL ? vcpu_unbind(bound) : 0;
    return rc != 0 ? rc : vcpu_bind(v);
}

/* The last act of a vCPU's task: the CPU is free, and nobody will bind v again. */
static enum task_verdict leave(struct vcpu *v)
{
    if (percpu()->current_vcpu == v && vcpu_unbind(v) != 0) {
        vcpu_invalidate(v, "unbind failed");
    }
    vm_cpu_receive(v->config.ctx, v);
    return TASK_EXIT;
}

/* A command from a sibling waits, or this CPU is parked. Returns whether the CPU runs on. */
static bool obey(struct vm *vm, struct vcpu *v)
{
    if (percpu()->current_vcpu == v && vcpu_unbind(v) != 0) {
        vcpu_invalidate(v, "unbind failed");
    }
    return vm_cpu_obey(vm, v);
}

/* Ready to enter: no command waiting, bound here, not halted. Else *verdict says how the slice ends. The order matters:
 * obeying resets the vCPU and its requests with it, so the VM's own end is looked for afterwards. */
static bool prepare(struct vm *vm, struct vcpu *v, enum task_verdict *verdict)
{
    struct vm_cpu *cpu = &vm->cpus[v->config.id];
    vcpu_clear_request(v, VCPU_REQ_STOP); /* whoever set it has said before what is wanted; that is looked at below */
    vm_cpu_receive(vm, v);
    bool runs = (READ_ONCE(cpu->command) == VM_CPU_NONE && !cpu->parked) || obey(vm, v);

    if (READ_ONCE(vm->state) == VM_STOPPING) {
        *verdict = leave(v);
        return false;
    }
    vm_cpu_await_admission(vm);
    *verdict = TASK_BLOCK;
    if (!runs || (READ_ONCE(vm->stands) && (READ_ONCE(vm->paused) || READ_ONCE(cpu->held)))) {
        return false;
    }
    if (claim_cpu(v) != 0) {
        vm_stop(vm, VM_END_INTERNAL, 1, "vcpu=%u does not bind, state=%s", v->config.id, vcpu_state_name(v->state));
        *verdict = leave(v);
        return false;
    }
    if (READ_ONCE(v->state) == VCPU_BLOCKED) {
        if (!vcpu_try_unblock(v)) {
            return false;
        }
        cpu->halted_for_good = false;
    }
    *verdict = TASK_AGAIN;
    return true;
}

/* It is about to enter the guest for the first time in this turn. */
static void begin(struct vm *vm, struct vcpu *v, const struct task *task)
{
    struct vm_cpu *cpu = &vm->cpus[v->config.id];

    vcpu_scheduled(v, task->wait_ns);
    if (READ_ONCE(cpu->stopped)) {
        WRITE_ONCE(cpu->stopped, false);
        vcpu_was_stopped(v);
    }
}

enum task_verdict vm_run_slice(struct task *task, u64 slice_end_ns)
{
    struct vcpu *v = task->arg;
    struct vm *vm = v->config.ctx;
    enum task_verdict verdict = TASK_AGAIN;
    bool again = true;
    bool entered = false;

    (void)slice_end_ns;
    while (again && prepare(vm, v, &verdict)) {
        struct vcpu_exit exit;

        if (!entered) {
            begin(vm, v, task);
            entered = true;
        }
        if (vcpu_run(v, &exit) != 0) {
            vm_stop(vm, VM_END_INTERNAL, 1, "vcpu=%u does not run, state=%s", v->config.id, vcpu_state_name(v->state));
            continue;
        }
        again = serve(vm, v, &exit) && !READ_ONCE(percpu()->resched);
    }
    if (entered && verdict != TASK_EXIT) {
        vcpu_descheduled(v);
    }
    return verdict;
}
