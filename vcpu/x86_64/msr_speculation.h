/* Rows of the MSR table about speculation. Each: 0, or -E_GUEST for #GP(0). */
#pragma once
#include "vcpu/x86_64/x86.h"

MUST_CHECK int x86_msr_read_arch_capabilities(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_msr_write_pred_cmd(struct vcpu *v, u32 msr, u64 value);
