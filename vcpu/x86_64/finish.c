/* The VM layer has answered an exit: its result goes into the guest's registers, by width. */
#include "vcpu/x86_64/x86.h"

#define LOW_HALF GENMASK(31, 0)

/* IN to AL or AX leaves the rest of RAX; to EAX it clears the upper half (SDM Vol. 1 3.4.1.1). */
static u64 merge(u64 old, u32 value, u8 size)
{
    u64 mask = ~0ULL >> (64 - 8U * size);

    return size == 4 ? value : (old & ~mask) | (value & mask);
}

void vcpu_finish(struct vcpu *v, struct vcpu_exit *exit)
{
    u64 *rax = &v->arch.gpr[X86_RAX];

    if (exit->kind == VCPU_EXIT_PIO && !exit->pio.write && !exit->pio.string) {
        *rax = merge(*rax, exit->pio.value, exit->pio.size);
    } else if (exit->kind == VCPU_EXIT_HYPERCALL) {
        *rax = x86_code_bits(v) == 64 ? exit->hypercall.result : exit->hypercall.result & LOW_HALF;
    }
    if (exit->insn_len != 0) {
        x86_advance(v, exit->insn_len);
        exit->insn_len = 0;
    }
}
