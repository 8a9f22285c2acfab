#include "vm/board/x86_64/kvm_calls.h"
#include "kernel/base/percpu.h"
#include "vcpu/x86_64/x86.h"
#include "vm/abi.h"

enum { KVM_KICK_CPU = 5, KVM_SEND_IPI = 10, KVM_SCHED_YIELD = 11 };

#define ICR_VECTOR GENMASK(7, 0)
#define ICR_MODE GENMASK(10, 8)
#define ICR_ALLOWED (ICR_VECTOR | ICR_MODE | GENMASK(15, 14)) /* level and assert say nothing about these modes */
#define VECTOR_FIRST_LEGAL 16U

static u64 kick_cpu(struct pc_irqchip *chip, u64 id)
{
    if (id >= chip->vm->vcpu_count) {
        return (u64)(s64)MOTE_EINVAL;
    }
    vcpu_request(&chip->vm->vcpus[id], VCPU_REQ_WAKE);
    return 0;
}

static u64 send_to(struct pc_irqchip *chip, struct apic_message *m, u64 bits, u64 first)
{
    u64 sent = 0;

    for (; bits != 0 && first < chip->bus.count; bits &= bits - 1) {
        u64 id = first + (u64)__builtin_ctzll(bits);
        if (id < chip->bus.count) {
            m->destination = (u32)id;
            sent += apic_bus_send(&chip->bus, m, NULL);
        }
    }
    return sent;
}

/* Two words of destinations, the APIC id that the first bit means, and an ICR's lower half. */
static u64 send_ipi(struct pc_irqchip *chip, struct vcpu *v, const struct vcpu_exit *exit)
{
    u64 word_bits = x86_code_bits(v) == 64 ? 64 : 32;
    u64 first = vcpu_hypercall_arg(v, exit, 2);
    u64 icr = vcpu_hypercall_arg(v, exit, 3);
    struct apic_message m = {.vector = (u8)FIELD_GET(ICR_VECTOR, icr), .mode = (enum apic_mode)FIELD_GET(ICR_MODE, icr)};
    bool fixed = m.mode == APIC_FIXED && m.vector >= VECTOR_FIRST_LEGAL;

    if ((icr & ~ICR_ALLOWED) != 0 || (!fixed && m.mode != APIC_NMI) || first >= chip->bus.count) {
        return (u64)(s64)MOTE_EINVAL;
    }
    u64 sent = send_to(chip, &m, vcpu_hypercall_arg(v, exit, 0), first);
    return sent + send_to(chip, &m, vcpu_hypercall_arg(v, exit, 1), first + word_bits);
}

/* The caller waits for another CPU: whoever is next may run here. */
static u64 sched_yield(void)
{
    percpu()->resched = true;
    return 0;
}

bool kvm_call(struct pc_irqchip *chip, struct vcpu *v, struct vcpu_exit *exit)
{
    switch (exit->hypercall.number) {
    case KVM_KICK_CPU:
        exit->hypercall.result = kick_cpu(chip, vcpu_hypercall_arg(v, exit, 1));
        return true;
    case KVM_SEND_IPI:
        exit->hypercall.result = send_ipi(chip, v, exit);
        return true;
    case KVM_SCHED_YIELD:
        exit->hypercall.result = sched_yield();
        return true;
    default:
        return false;
    }
}
