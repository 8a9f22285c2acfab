/* Who owns which bit of CR0 and CR4: the guest changes its own without an exit, reads of the others come from the read
 * shadow (SDM Vol. 3 25.6.6). */
#pragma once
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/vmx/internal.h"

/* Bits whose change needs neither policy nor a change of mode. */
#define CR0_GUEST_OWNED (CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM)
#define CR4_GUEST_OWNED (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | \
                         CR4_FSGSBASE)
/* An unrestricted guest may leave protected mode and paging: SDM 24.8, 27.3.1.1. */
#define CR0_UNRESTRICTED (CR0_PE | CR0_PG)

static inline u64 vmx_cr0_guest_owned(void)
{
    return CR0_GUEST_OWNED & ~vmx_caps.msrs.cr0_fixed0 & vmx_caps.msrs.cr0_fixed1;
}

static inline u64 vmx_cr4_guest_owned(void)
{
    return CR4_GUEST_OWNED & x86_cr4_allowed() & ~vmx_caps.msrs.cr4_fixed0 & vmx_caps.msrs.cr4_fixed1;
}
