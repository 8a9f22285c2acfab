/* The short way of the emulator: emulate_short.c. Owner CPU, after an exit. */
#pragma once
#include "vcpu/x86_64/emulate.h"

/* Memory for what a vCPU remembers; 0 or -E_NOMEM. */
MUST_CHECK int x86_moves_init(struct vcpu *v);
void x86_moves_fini(struct vcpu *v);
void x86_moves_forget(struct vcpu *v);
/* e has been executed: remember it, if it is of the kind, as the instruction at rip, of which bytes are the code. */
void x86_moves_learn(const struct x86_emu *e, u64 rip, const u8 *bytes);
/* The instruction at the PC found no memory at gpa. Execute it if it is remembered; else false, and nothing has happened. */
bool x86_moves_execute(struct vcpu *v, gpa_t gpa, bool write);
