/* The CPUs of one VM among themselves: parked, started, halted. */
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

bool vm_cpu_halts(struct vm *vm, u32 cpu, bool interruptible)
{
    vm->cpus[cpu].halted_for_good = !interruptible;
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        bool asleep = READ_ONCE(vm->cpus[i].parked) || READ_ONCE(vm->cpus[i].halted_for_good);
        if (!asleep || READ_ONCE(vm->cpus[i].command) != VM_CPU_NONE) {
            return false;
        }
    }
    return true;
}
