/* Mote's guest ABI: one table, indexed by number. */
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "kernel/time.h"
#include "vm/abi.h"
#include "vm/vm.h"

#define EXIT_CODE_MAX 255U

typedef u64 (*hypercall)(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit);

static u64 call_version(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    (void)v;
    (void)vm;
    (void)exit;
    return MOTE_ABI_VERSION;
}

static u64 call_exit(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    u64 code = vcpu_hypercall_arg(v, exit, 0);

    if (code > EXIT_CODE_MAX) {
        return (u64)(s64)MOTE_EINVAL;
    }
    vm_stop(vm, VM_END_HYPERCALL, (u32)code, NULL);
    return 0;
}

static u64 call_echo(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    static const u64 weights[6] = {1, 3, 5, 7, 11, 13};
    u64 sum = 0;

    (void)vm;
    for (u32 i = 0; i < ARRAY_SIZE(weights); i++) {
        sum += weights[i] * vcpu_hypercall_arg(v, exit, i);
    }
    return sum;
}

static u64 call_putc(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    u64 byte = vcpu_hypercall_arg(v, exit, 0);

    if (byte > UINT8_MAX) {
        return (u64)(s64)MOTE_EINVAL;
    }
    console_put(&vm->console, (u8)byte);
    return 0;
}

static u64 call_vm_id(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    (void)v;
    (void)exit;
    return vm->id;
}

static u64 call_time(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    (void)v;
    (void)vm;
    (void)exit;
    return time_now_ns();
}

static u64 call_nmi(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    (void)vm;
    (void)exit;
    vcpu_request(v, VCPU_REQ_NMI);
    return 0;
}

static u64 call_break(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    (void)exit;
    if (!vm->selftest) {
        return (u64)(s64)MOTE_ENOSYS;
    }
    vcpu_break_state(v);
    return 0;
}

static u64 call_cpu(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    (void)v;
    (void)exit;
    return vm->selftest ? percpu()->id : (u64)(s64)MOTE_ENOSYS;
}

static u64 call_move(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    u64 cpu = vcpu_hypercall_arg(v, exit, 0);

    if (!vm->selftest) {
        return (u64)(s64)MOTE_ENOSYS;
    }
    return cpu < CPU_MAX && sched_move(&vm->tasks[v->config.id], (u32)cpu) == 0 ? 0 : (u64)(s64)MOTE_EINVAL;
}

static u64 call_watchdog(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    (void)v;
    (void)exit;
    return vm_watchdog_kick(vm);
}

static u64 result_of(int error)
{
    return error == 0 ? 0 : (u64)(s64)(error == -E_NOMEM ? MOTE_ENOMEM : MOTE_EINVAL);
}

static u64 call_rights(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    u64 rights = vcpu_hypercall_arg(v, exit, 2);
    u32 attr = ((rights & MOTE_RIGHT_READ) != 0 ? PT_READ : 0) | ((rights & MOTE_RIGHT_WRITE) != 0 ? PT_WRITE : 0) |
               ((rights & MOTE_RIGHT_EXEC) != 0 ? PT_EXEC : 0);

    if ((rights & ~(u64)(MOTE_RIGHT_READ | MOTE_RIGHT_WRITE | MOTE_RIGHT_EXEC)) != 0) {
        return (u64)(s64)MOTE_EINVAL;
    }
    return result_of(vm_set_rights(vm, GPA(vcpu_hypercall_arg(v, exit, 0)), vcpu_hypercall_arg(v, exit, 1), attr));
}

static u64 call_hide(struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    return vm->selftest ? result_of(vm_hide_page(vm, GPA(vcpu_hypercall_arg(v, exit, 0)))) : (u64)(s64)MOTE_ENOSYS;
}

static const hypercall calls[] = {
    [MOTE_HC_VERSION - MOTE_HC_FIRST] = call_version, [MOTE_HC_EXIT - MOTE_HC_FIRST] = call_exit,
    [MOTE_HC_ECHO - MOTE_HC_FIRST] = call_echo,       [MOTE_HC_PUTC - MOTE_HC_FIRST] = call_putc,
    [MOTE_HC_VM_ID - MOTE_HC_FIRST] = call_vm_id,     [MOTE_HC_TIME_NS - MOTE_HC_FIRST] = call_time,
    [MOTE_HC_NMI - MOTE_HC_FIRST] = call_nmi,         [MOTE_HC_BREAK - MOTE_HC_FIRST] = call_break,
    [MOTE_HC_CPU - MOTE_HC_FIRST] = call_cpu,         [MOTE_HC_MOVE - MOTE_HC_FIRST] = call_move,
    [MOTE_HC_WATCHDOG - MOTE_HC_FIRST] = call_watchdog, [MOTE_HC_RIGHTS - MOTE_HC_FIRST] = call_rights,
    [MOTE_HC_HIDE - MOTE_HC_FIRST] = call_hide,
};

_Static_assert(MOTE_RIGHTS_MAX == GMEM_RIGHTS_MAX, "the guest's header names the bound");

bool vm_answer(struct vcpu *v, u64 number, u64 *result)
{
    const struct vm *vm = v->config.ctx;

    if (log_enabled(LOG_DEBUG)) {
        return false; /* it shall be seen */
    }
    if (number == MOTE_HC_VERSION) {
        *result = MOTE_ABI_VERSION;
        return true;
    }
    if (number == MOTE_HC_VM_ID) {
        *result = vm->id;
        return true;
    }
    return false;
}

void vm_hypercall(struct vm *vm, struct vcpu *v, struct vcpu_exit *exit)
{
    u64 number = exit->hypercall.number;

    if (exit->hypercall.user) {
        exit->hypercall.result = (u64)(s64)MOTE_EPERM;
    } else if (number < MOTE_HC_FIRST) {
        if (!vm->board_ops->hypercall(vm, v, exit)) {
            exit->hypercall.result = (u64)(s64)MOTE_ENOSYS;
        }
    } else if (number - MOTE_HC_FIRST >= ARRAY_SIZE(calls)) {
        exit->hypercall.result = (u64)(s64)MOTE_ENOSYS;
    } else {
        exit->hypercall.result = calls[number - MOTE_HC_FIRST](vm, v, exit);
    }
    vcpu_finish(v, exit);
}
