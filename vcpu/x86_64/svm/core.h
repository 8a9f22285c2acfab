/* What every round trip does, inline: the exit's row, instruction lengths. */
#pragma once
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/decode.h"
#include "vcpu/x86_64/svm/internal.h"

static inline const struct svm_exit_row *svm_exit_row(u64 exitcode)
{
    return exitcode < SVM_EXIT_ROWS ? &svm_exit_rows[exitcode] : svm_exit_row_beyond(exitcode);
}

static inline u64 svm_insn_word(const u8 *bytes)
{
    u64 word;

    __builtin_memcpy(&word, bytes, sizeof(word));
    return word;
}

/* Length of the instruction at RIP; 0 when it cannot be decoded. After an exit, whose code says what instruction it is:
 * so its bytes decide alone, wherever CS and the mode lead. */
static inline u8 svm_insn_len(struct vcpu *v, struct svm_vcpu *svm, const struct vmcb *vmcb)
{
    const struct vmcb_save *save = &vmcb->save;
    struct svm_insn *insn = &svm->insns[save->rip % SVM_INSNS];
    u64 differ = (insn->linear ^ (save->rip + save->seg[VMCB_CS].base)) | (insn->cr3 ^ save->cr3);

    if (differ == 0 && ((svm_insn_word(insn->host) ^ insn->bytes) & insn->mask) == 0) {
        return insn->len;
    }
    return svm_insn_learn(v, insn);
}

/* Next RIP, where the CPU offers it, is zero for exits that are no instruction's. */
static inline u8 svm_nrip_len(const struct vmcb *vmcb)
{
    u64 len = vmcb->control.nrip - vmcb->save.rip;

    return len <= X86_INSN_MAX ? (u8)len : 0;
}

static inline void svm_exit_decode(struct vcpu *v, const struct svm_exit_row *row, const struct vmcb *vmcb,
                                   struct x86_exit *xe)
{
    const struct vmcb_control *control = &vmcb->control;

    xe->code = (enum x86_exit_code)(row->code + (control->exitinfo1 & row->facts & SVM_EXIT_DIRECTION));
    if (svm_has(SVM_FEATURE_NRIPS)) {
        xe->insn_len = svm_nrip_len(vmcb);
    } else {
        xe->insn_len = (row->facts & SVM_EXIT_LENGTH) != 0 ? svm_insn_len(v, svm_of(v), vmcb) : 0;
    }
    if ((row->facts & SVM_EXIT_LENGTH) == 0) { /* the others end well, and nobody reports them */
        xe->hw_reason = control->exitcode;
        xe->qual = control->exitinfo1;
        xe->detail = control->exitinfo2;
    }
    if (row->decode != NULL) {
        row->decode(vmcb, xe);
    }
}
