/* Exceptions and interrupts of the host. SDM chapter 6. */
#pragma once
#include "kernel/lib/types.h"

/* What entry.asm pushes: the interrupted registers, then what the CPU pushed. */
struct trap_frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8;
    u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
    u64 vector;
    u64 error; /* 0 when the vector has none */
    u64 rip, cs, rflags, rsp, ss;
};
_Static_assert(offsetof(struct trap_frame, vector) == 15 * 8, "entry.asm pushes fifteen registers");
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "SDM 6.14.2: 64-bit stack frame");

/* Called by entry.asm for every vector. Interrupts off. */
void trap_handle(struct trap_frame *frame);

/* Start of stub 0; stub n is TRAP_STUB_SIZE * n bytes on. */
extern char trap_stubs[];
#define TRAP_STUB_SIZE 16U
#define TRAP_VECTORS 256U
