/* The VM layer has answered an exit: its result goes into the guest's registers, by width. */
#include "vcpu/x86_64/x86.h"

#define HC_MOTE_FIRST 0x4D540000U /* = MOTE_HC_FIRST of vm/abi.h, a header of a layer above */
#define LOW_HALF GENMASK(31, 0)

/* IN to AL or AX leaves the rest of RAX; to EAX it clears the upper half (SDM Vol. 1 3.4.1.1). */
static u64 merge(u64 old, u32 value, u8 size)
{
    u64 mask = ~0ULL >> (64 - 8U * size);

    return size == 4 ? value : (old & ~mask) | (value & mask);
}

u64 vcpu_hypercall_arg(struct vcpu *v, const struct vcpu_exit *exit, u32 index)
{
    static const u8 mote_args[] = {X86_RDI, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_R9};
    static const u8 kvm_args[] = {X86_RBX, X86_RCX, X86_RDX, X86_RSI};
    bool mote = exit->hypercall.number >= HC_MOTE_FIRST;

    if (index >= (mote ? ARRAY_SIZE(mote_args) : ARRAY_SIZE(kvm_args))) {
        return 0;
    }
    u64 value = v->arch.gpr[mote ? mote_args[index] : kvm_args[index]];
    return x86_code_bits(v) == 64 ? value : value & LOW_HALF;
}

void vcpu_finish(struct vcpu *v, struct vcpu_exit *exit)
{
    u64 *rax = &v->arch.gpr[X86_RAX];

    if (exit->kind == VCPU_EXIT_PIO && !exit->pio.write && !exit->pio.string) {
        *rax = merge(*rax, exit->pio.value, exit->pio.size);
    } else if (exit->kind == VCPU_EXIT_HYPERCALL) {
        u64 result = exit->hypercall.result;
        *rax = result <= LOW_HALF || x86_code_bits(v) == 64 ? result : result & LOW_HALF;
    }
    if (exit->insn_len != 0) {
        x86_advance(v, exit->insn_len);
        exit->insn_len = 0;
    }
}
