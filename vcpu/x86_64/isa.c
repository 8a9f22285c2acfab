/* What x86 supplies to the neutral core: vcpu/isa.h. */
#include "vcpu/isa.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/x86.h"

int isa_vcpu_init(struct vcpu *v)
{
    x86_cpuid_init();
    return x86_fpu_init(v);
}

void isa_vcpu_fini(struct vcpu *v)
{
    x86_fpu_fini(v);
}

void isa_vcpu_reset(struct vcpu *v)
{
    x86_reset_regs(v);
    x86_fpu_reset(v);
}
