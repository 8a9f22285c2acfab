/* KVM's end of interrupt without an exit: when an interrupt goes in and nothing waits behind it, a bit in the guest's word
 * says that its EOI needs nobody; the guest clears the bit instead of writing the APIC's register. The EOI is made up for
 * when anybody looks at the APIC. Owner CPU. */
#pragma once
#include "vcpu/vcpu.h"
#include "vm/dev/x86_64/lapic.h"

struct pv_eoi {
    u32 *word; /* where an offer stands, else NULL */
};

/* An interrupt was just taken into service: offer, if its EOI has no other effect. */
void pv_eoi_offer(struct pv_eoi *eoi, const struct vlapic *lapic, const struct vcpu *v);
void pv_eoi_settle_offer(struct pv_eoi *eoi, struct vlapic *lapic, bool keep); /* for the next */
/* Make up for an EOI that the guest has done. An offer that it has not used yet stays only when `keep` and while nothing
 * waits for that EOI. */
static inline void pv_eoi_settle(struct pv_eoi *eoi, struct vlapic *lapic, bool keep)
{
    if (eoi->word != NULL) {
        pv_eoi_settle_offer(eoi, lapic, keep);
    }
}
