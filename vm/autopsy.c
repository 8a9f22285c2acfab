/* What is left of a crashed VM: the vCPU that caused it first, then its siblings. */
#include "kernel/base/log.h"
#include "vm/vm.h"

static void report_symbol(struct vm *vm, struct vcpu *v)
{
    struct vm_symbol symbol;

    if (vm->find_symbol != NULL && vm->find_symbol(&vm->image, vcpu_pc(v), &symbol)) {
        log_event("vm=%s ev=autopsy vcpu=%u symbol=%s+0x%llx", vm->config->name, v->config.id, symbol.name,
                  (unsigned long long)symbol.offset);
    }
}

/* Of a death by silence each vCPU may be the cause. */
static void report_sibling(struct vm *vm, u32 id, enum vcpu_death death)
{
    struct vcpu *v = &vm->vcpus[id];

    if (vm->cpus[id].parked) {
        log_event("vm=%s ev=regs vcpu=%u parked", vm->config->name, id);
        return;
    }
    vcpu_dump(v, vm->config->name);
    if (death == VCPU_DEATH_TIMEOUT) {
        vcpu_autopsy(v, vm->config->name, death);
    }
    report_symbol(vm, v);
}

void vm_autopsy(struct vm *vm, enum vcpu_death death)
{
    struct vcpu *cause = &vm->vcpus[vm->end_vcpu];

    vcpu_dump(cause, vm->config->name);
    vcpu_autopsy(cause, vm->config->name, death);
    report_symbol(vm, cause);
    for (u32 i = 0; i < vm->vcpu_count; i++) {
        if (i != vm->end_vcpu) {
            report_sibling(vm, i, death);
        }
    }
}
