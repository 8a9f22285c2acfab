/* Private to exit*.c: exits of instructions that policy answers, and what their handlers share. */
#pragma once
#include "vcpu/x86_64/x86.h"

/* The instruction's length: the hardware's, or decoded. */
static inline u8 x86_exit_len(struct vcpu *v, const struct x86_exit *xe)
{
    return xe->insn_len != 0 ? xe->insn_len : x86_insn_len(v);
}
/* The VM has to be stopped; what is a static string. */
void x86_exit_unhandled(const struct x86_exit *xe, struct vcpu_exit *exit, const char *what);

x86_exit_handler x86_exit_cpuid, x86_exit_rdmsr, x86_exit_wrmsr, x86_exit_cr, x86_exit_dr, x86_exit_xsetbv;
x86_exit_handler x86_exit_breakpoint; /* debug.c */
x86_exit_handler x86_exit_invlpg, x86_exit_rdtsc, x86_exit_rdtscp, x86_exit_skip, x86_exit_gp, x86_exit_ud;
