#include "vm/board/x86_64/pv_eoi.h"

#define OFFERED BIT32(0)

void pv_eoi_offer(struct pv_eoi *eoi, const struct vlapic *lapic, const struct vcpu *v)
{
    u32 *word = v->arch.pv.eoi_word;

    if (word != NULL && vlapic_eoi_is_silent(lapic)) {
        WRITE_ONCE(*word, READ_ONCE(*word) | OFFERED);
        eoi->word = word;
    }
}

void pv_eoi_settle_offer(struct pv_eoi *eoi, struct vlapic *lapic, bool keep)
{
    u32 *word = eoi->word;
    u32 value = READ_ONCE(*word);

    if ((value & OFFERED) == 0) {
        eoi->word = NULL;
        vlapic_eoi(lapic);
    } else if (!keep || !vlapic_eoi_is_silent(lapic)) {
        eoi->word = NULL;
        WRITE_ONCE(*word, value & ~OFFERED);
    }
}
