/* Exits in words: every kind with every field, for log=debug and for tests that check the decoding. */
#include "kernel/base/log.h"
#include "vm/vm.h"

#define U64(x) ((unsigned long long)(x))

static void trace_pio(const char *name, const struct vcpu *v, const struct vcpu_exit *e)
{
    log_debug("vm=%s vcpu=%u exit=PIO port=0x%x size=%u dir=%s string=%u value=0x%x", name, v->config.id, e->pio.port,
              e->pio.size, e->pio.write ? "out" : "in", e->pio.string,
              e->pio.write && !e->pio.string ? (u32)(e->pio.value & (~0ULL >> (64 - 8U * e->pio.size))) : 0);
}

static void trace_npf(const char *name, const struct vcpu *v, const struct vcpu_exit *e)
{
    u32 f = e->npf.flags;

    log_debug("vm=%s vcpu=%u exit=NPF gpa=0x%llx read=%u write=%u exec=%u present=%u walk=%u", name, v->config.id,
              U64(e->npf.gpa.v), (f & NPF_READ) != 0, (f & NPF_WRITE) != 0, (f & NPF_EXEC) != 0, (f & NPF_PRESENT) != 0,
              (f & NPF_WALK) != 0);
}

static void trace_hypercall(const char *name, struct vcpu *v, const struct vcpu_exit *e)
{
    u64 a[6];

    for (u32 i = 0; i < ARRAY_SIZE(a); i++) {
        a[i] = vcpu_hypercall_arg(v, e, i);
    }
    log_debug("vm=%s vcpu=%u exit=HYPERCALL number=0x%llx user=%u a0=0x%llx a1=0x%llx a2=0x%llx a3=0x%llx a4=0x%llx a5=0x%llx",
              name, v->config.id, U64(e->hypercall.number), e->hypercall.user, U64(a[0]), U64(a[1]), U64(a[2]), U64(a[3]),
              U64(a[4]), U64(a[5]));
}

static void trace_other(const char *name, const struct vcpu *v, const struct vcpu_exit *e)
{
    const char *kind = vcpu_exit_name(e->kind);
    u32 id = v->config.id;

    if (e->kind == VCPU_EXIT_HALT) {
        log_debug("vm=%s vcpu=%u exit=%s interruptible=%u", name, id, kind, e->halt.interruptible);
    } else if (e->kind == VCPU_EXIT_SHUTDOWN) {
        log_debug("vm=%s vcpu=%u exit=%s reason=%u", name, id, kind, e->shutdown.reason);
    } else if (e->kind == VCPU_EXIT_ENTRY_FAILED) {
        log_debug("vm=%s vcpu=%u exit=%s hw-reason=0x%llx qualification=0x%llx detail=0x%llx", name, id, kind,
                  U64(e->entry_failed.hw_reason), U64(e->entry_failed.qual), U64(e->entry_failed.detail));
    } else if (e->kind == VCPU_EXIT_UNHANDLED) {
        log_debug("vm=%s vcpu=%u exit=%s what=%s hw-reason=0x%llx qualification=0x%llx detail=0x%llx", name, id, kind,
                  e->unhandled.what, U64(e->unhandled.hw_reason), U64(e->unhandled.qual), U64(e->unhandled.detail));
    } else if (e->kind == VCPU_EXIT_DEBUG) {
        log_debug("vm=%s vcpu=%u exit=%s breakpoint=%u point=%u", name, id, kind, e->debug.breakpoint, e->debug.point);
    } else {
        log_debug("vm=%s vcpu=%u exit=%s", name, id, kind);
    }
}

void vm_trace_exit(const struct vm *vm, struct vcpu *v, const struct vcpu_exit *exit)
{
    const char *name = vm->config->name;

    if (exit->kind == VCPU_EXIT_PIO) {
        trace_pio(name, v, exit);
    } else if (exit->kind == VCPU_EXIT_NPF) {
        trace_npf(name, v, exit);
    } else if (exit->kind == VCPU_EXIT_HYPERCALL) {
        trace_hypercall(name, v, exit);
    } else {
        trace_other(name, v, exit);
    }
}
