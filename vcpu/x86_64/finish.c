/* The VM layer has answered an exit: its result goes into the guest's registers, by width. */
#include "vcpu/x86_64/x86.h"

#define HC_MOTE_FIRST 0x4D540000U /* = MOTE_HC_FIRST of vm/abi.h, a header of a layer above */

/* IN to AL or AX leaves the rest of RAX; to EAX it clears the upper half (SDM Vol. 1 3.4.1.1). */
static void finish_in(struct vcpu *v, const struct vcpu_exit *exit)
{
    static const struct { u64 kept, got; } masks[] = {
        [1] = {~GENMASK(7, 0), GENMASK(7, 0)}, [2] = {~GENMASK(15, 0), GENMASK(15, 0)}, [4] = {0, GENMASK(31, 0)}};
    u64 *rax = &v->arch.gpr[X86_RAX];

    *rax = (*rax & masks[exit->pio.size].kept) | (exit->pio.value & masks[exit->pio.size].got);
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

static inline void advance(struct vcpu *v, struct vcpu_exit *exit)
{
    u8 len = exit->insn_len;

    if (len != 0) {
        exit->insn_len = 0;
        x86_advance(v, len);
    }
}

/* Only 64-bit code has a whole RAX. Out of line: results are small. */
static __attribute__((noinline)) void finish_wide_call(struct vcpu *v, struct vcpu_exit *exit)
{
    u64 result = exit->hypercall.result;

    v->arch.gpr[X86_RAX] = x86_code_bits(v) == 64 ? result : result & LOW_HALF;
    advance(v, exit);
}

void vcpu_finish(struct vcpu *v, struct vcpu_exit *exit)
{
    if (exit->kind == VCPU_EXIT_HYPERCALL) {
        if (exit->hypercall.result > LOW_HALF) {
            finish_wide_call(v, exit);
            return;
        }
        v->arch.gpr[X86_RAX] = exit->hypercall.result;
    } else if (exit->kind == VCPU_EXIT_PIO && !exit->pio.write && !exit->pio.string) {
        finish_in(v, exit);
    }
    advance(v, exit);
}
