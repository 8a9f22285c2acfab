/* What x86 supplies to the neutral core: vcpu/isa.h. */
#include "vcpu/isa.h"
#include "vcpu/x86_64/barriers.h"
#include "vcpu/x86_64/emulate_short.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/x86.h"

int isa_vcpu_init(struct vcpu *v)
{
    x86_cpuid_init();
    x86_barriers_init();
    v->arch.tsc_offset = v->config.counter_offset;
    int error = x86_moves_init(v);
    if (error != 0) {
        return error;
    }
    error = x86_fpu_init(v);
    if (error != 0) {
        x86_moves_fini(v);
    }
    return error;
}

void isa_vcpu_fini(struct vcpu *v)
{
    x86_fpu_fini(v);
    x86_moves_fini(v);
}

void isa_vcpu_reset(struct vcpu *v)
{
    x86_reset_regs(v);
    x86_moves_forget(v);
    v->backend->set_time_offset(v, v->arch.tsc_offset);
    x86_fpu_reset(v);
}
