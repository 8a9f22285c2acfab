/* Instruction lengths on CPUs that do not save the next RIP (APM Vol. 2 15.7.1 "State Saved on Exit"). Decoding means a
 * walk of the guest's tables, which costs more than all the rest of an exit; so each length is remembered together with
 * the instruction's bytes and where they lie, and serves again as long as the bytes there are the same. */
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/decode.h"
#include "vcpu/x86_64/svm/core.h"

/* Where RIP's byte lies in the host; NULL when an instruction there may cross its page. */
static const u8 *locate(struct vcpu *v)
{
    const struct vcpu_arch *a = &v->arch;
    u64 va = x86_code_bits(v) == 64 ? a->rip : (u32)(a->seg[X86_CS].base + a->rip);
    struct x86_walk_result at;
    struct pt_mapping mapping;

    if (x86_walk(v, GVA(va), X86_ACCESS_FETCH | (a->cpl == 3 ? X86_ACCESS_USER : 0), false, &at) != 0 ||
        (va & (FRAME_SIZE - 1)) > FRAME_SIZE - X86_INSN_MAX || pt_query(v->config.stage2, at.gpa.v, &mapping) != 0) {
        return NULL;
    }
    return phys_ptr(mapping.pa);
}

static void remember(struct vcpu *v, struct svm_insn *insn, const u8 *bytes, u8 len)
{
    const struct vmcb_save *save = &svm_of(v)->vmcb->save;
    const u8 *host = len <= sizeof(insn->bytes) ? locate(v) : NULL;

    insn->linear = ~0ULL;
    if (host != NULL) {
        *insn = (struct svm_insn){
            .linear = save->rip + save->seg[VMCB_CS].base, .cr3 = save->cr3,
            .host = host, .bytes = svm_insn_word(bytes), .mask = ~0ULL >> (64 - 8U * len), .len = len,
        };
    }
}

u8 svm_insn_learn(struct vcpu *v, struct svm_insn *insn)
{
    u8 bytes[X86_INSN_MAX] = {0};
    struct x86_insn decoded;
    size_t have = x86_fetch_insn(v, bytes);

    if (x86_decode(bytes, have, x86_code_bits(v), &decoded) != 0) {
        return 0;
    }
    remember(v, insn, bytes, decoded.length);
    return decoded.length;
}
