/* The CPUs of one VM among themselves: parked, started, halted. */
#include "kernel/lib/errno.h"
#include <arch/cpu.h>
#include "vcpu/trace.h"
#include "vm/vm.h"

static void tell(struct vm *vm, u32 cpu)
{
    vcpu_request(&vm->vcpus[cpu], VCPU_REQ_STOP);
    sched_wake(&vm->tasks[cpu]);
}

void vm_cpu_park(struct vm *vm, u32 cpu)
{
    if (cpu >= vm->vcpu_count) {
        return;
    }
    u64 flags = spin_lock(&vm->lock);
    WRITE_ONCE(vm->cpus[cpu].command, VM_CPU_PARK);
    spin_unlock(&vm->lock, flags);
    tell(vm, cpu);
}

void vm_cpu_start(struct vm *vm, u32 cpu, const struct vcpu_entry *entry)
{
    if (cpu >= vm->vcpu_count) {
        return;
    }
    struct vm_cpu *c = &vm->cpus[cpu];
    u64 flags = spin_lock(&vm->lock);
    bool accepted = c->command == VM_CPU_PARK || (c->parked && c->command == VM_CPU_NONE);

    if (accepted) {
        c->entry = *entry;
        WRITE_ONCE(c->command, VM_CPU_START);
    }
    spin_unlock(&vm->lock, flags);
    if (accepted) {
        tell(vm, cpu);
    }
}

bool vm_cpu_obey(struct vm *vm, struct vcpu *v)
{
    struct vm_cpu *c = &vm->cpus[v->config.id];
    u64 flags = spin_lock(&vm->lock);
    u32 command = c->command;
    struct vcpu_entry entry = c->entry;

    c->command = VM_CPU_NONE;
    if (command != VM_CPU_NONE) {
        c->parked = command == VM_CPU_PARK;
        c->halted_for_good = false;
    }
    bool parked = c->parked;
    spin_unlock(&vm->lock, flags);
    if (command == VM_CPU_NONE) {
        return !parked;
    }
    vm->board_ops->cpu_reset(vm, v->config.id);
    if (vcpu_reset(v) != 0 || (command == VM_CPU_START && vcpu_set_entry(v, &entry) != 0)) {
        vm_stop(vm, VM_END_INTERNAL, 1, "vcpu=%u does not reset, state=%s", v->config.id, vcpu_state_name(v->state));
        return false;
    }
    return !parked;
}

/* Will nothing but a command ever wake this CPU? Requests are read before the state: see vcpu_try_unblock(). */
static bool sleeps_for_good(const struct vm *vm, u32 cpu)
{
    const struct vcpu *v = &vm->vcpus[cpu];
    u32 requests = __atomic_load_n(&v->requests, __ATOMIC_SEQ_CST);
    u32 state = __atomic_load_n(&v->state, __ATOMIC_SEQ_CST);

    return READ_ONCE(vm->cpus[cpu].parked) || (READ_ONCE(vm->cpus[cpu].halted_for_good) && state == VCPU_BLOCKED &&
                                               (requests & (VCPU_REQ_NMI | VCPU_REQ_WAKE)) == 0);
}

bool vm_cpu_halts(struct vm *vm, u32 cpu, bool interruptible)
{
    vm->cpus[cpu].halted_for_good = !interruptible;
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        if (!sleeps_for_good(vm, i) || READ_ONCE(vm->cpus[i].command) != VM_CPU_NONE) {
            return false;
        }
    }
    return true;
}

int vm_cpu_visit(struct vm *vm, u32 cpu, void (*fn)(struct vcpu *v, void *arg), void *arg)
{
    int rc = 0;

    if (cpu >= vm->vcpu_count) {
        return -E_RANGE;
    }
    u64 flags = spin_lock(&vm->lock);
    if (vm->state != VM_RUNNING) {
        rc = -E_STATE;
    } else if (vm->cpus[cpu].visit != NULL) {
        rc = -E_BUSY;
    } else {
        vm->cpus[cpu].visit_arg = arg;
        __atomic_store_n(&vm->cpus[cpu].visit, fn, __ATOMIC_RELAXED); /* the lock orders */
    }
    spin_unlock(&vm->lock, flags);
    if (rc == 0) {
        tell(vm, cpu);
    }
    return rc;
}

void vm_cpu_receive(struct vm *vm, struct vcpu *v)
{
    struct vm_cpu *c = &vm->cpus[v->config.id];

    if (__atomic_load_n(&c->visit, __ATOMIC_RELAXED) == NULL) {
        return;
    }
    u64 flags = spin_lock(&vm->lock);
    void (*fn)(struct vcpu *v, void *arg) = c->visit;
    void *arg = c->visit_arg;
    c->visit = NULL;
    spin_unlock(&vm->lock, flags);
    if (fn != NULL) {
        fn(v, arg);
    }
}

/* vm->lock is held. */
static void note_standing(struct vm *vm)
{
    bool stands = vm->paused;

    for (u32 i = 0; i < vm->vcpu_count; i++) {
        stands = stands || vm->cpus[i].held;
    }
    WRITE_ONCE(vm->stands, stands);
}

static int set_paused(struct vm *vm, bool paused)
{
    u64 flags = spin_lock(&vm->lock);
    bool able = vm->state == VM_RUNNING && vm->paused != paused;

    for (u32 i = 0; able && !paused && i < vm->vcpu_count; i++) {
        WRITE_ONCE(vm->cpus[i].stopped, true);
    }
    if (able) {
        WRITE_ONCE(vm->paused, paused);
        note_standing(vm);
    }
    bool held = vm->held;
    if (able && paused && !held) {
        vm_watchdog_pause(vm);
    }
    spin_unlock(&vm->lock, flags);
    if (able && !paused && !held) {
        vm_watchdog_resume(vm);
    }
    for (u32 i = 0; able && i < vm->vcpu_count; i++) {
        tell(vm, i);
    }
    return able ? 0 : -E_STATE;
}

void vm_cpu_hold(struct vm *vm, u32 cpus, bool hold)
{
    u64 flags = spin_lock(&vm->lock);
    bool stood = vm->paused || vm->held;

    for (u32 i = 0; i < vm->vcpu_count; i++) {
        if ((cpus & BIT32(i)) != 0) {
            WRITE_ONCE(vm->cpus[i].stopped, !hold || vm->cpus[i].stopped);
            WRITE_ONCE(vm->cpus[i].held, hold);
        }
    }
    WRITE_ONCE(vm->held, hold);
    note_standing(vm);
    bool runs = vm->state == VM_RUNNING, stands = vm->paused || hold;
    if (!stood && stands) {
        vm_watchdog_pause(vm);
    }
    spin_unlock(&vm->lock, flags);
    if (runs && stood && !stands) {
        vm_watchdog_resume(vm);
    }
    for (u32 i = 0; runs && i < vm->vcpu_count; i++) {
        if ((cpus & BIT32(i)) != 0) {
            tell(vm, i);
        }
    }
}

/* A CPU that is about to run looks at `excluded` after it took STOP back, and at STOP once more when its state is Running: it sees
 * one of the two, or is seen Running here. */
void vm_cpus_exclude(struct vm *vm)
{
    while (__atomic_exchange_n(&vm->excluded, true, __ATOMIC_SEQ_CST)) {
        arch_cpu_relax();
    }
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        vcpu_keep_out(&vm->vcpus[i]);
    }
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        while (__atomic_load_n(&vm->vcpus[i].state, __ATOMIC_SEQ_CST) == VCPU_RUNNING) {
            arch_cpu_relax();
        }
    }
}

void vm_cpus_admit(struct vm *vm)
{
    __atomic_store_n(&vm->excluded, false, __ATOMIC_RELEASE);
}

void vm_cpu_await_admission(const struct vm *vm)
{
    while (__atomic_load_n(&vm->excluded, __ATOMIC_ACQUIRE)) {
        arch_cpu_relax();
    }
}

int vm_pause(struct vm *vm)
{
    return set_paused(vm, true);
}

int vm_resume(struct vm *vm)
{
    return set_paused(vm, false);
}

int vm_set_trace(struct vm *vm, bool on)
{
    int rc = 0;

    for (u32 i = 0; on && rc == 0 && i < vm->vcpu_count; i++) {
        rc = vcpu_trace_on(&vm->vcpus[i]);
    }
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        if (!on || rc != 0) {
            vcpu_trace_off(&vm->vcpus[i]);
        }
        tell(vm, i);
    }
    return rc;
}
