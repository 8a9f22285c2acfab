/* Rows of the MSR table for memory types. Each: 0, or -E_GUEST for #GP(0). */
#pragma once
#include "vcpu/x86_64/x86.h"

MUST_CHECK int x86_msr_read_mtrrcap(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_msr_read_pat(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_msr_write_pat(struct vcpu *v, u32 msr, u64 value);
MUST_CHECK int x86_msr_read_mtrr_fixed(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_msr_write_mtrr_fixed(struct vcpu *v, u32 msr, u64 value);
MUST_CHECK int x86_msr_read_mtrr_var(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_msr_write_mtrr_var(struct vcpu *v, u32 msr, u64 value);
MUST_CHECK int x86_msr_read_mtrr_def(struct vcpu *v, u32 msr, u64 *value);
MUST_CHECK int x86_msr_write_mtrr_def(struct vcpu *v, u32 msr, u64 value);
