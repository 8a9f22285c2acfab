/* Why a guest died: sentences for the owner of the VM. Private to autopsy*.c and its unit test. Pure: reads v->arch and
 * guest memory, bounded. */
#pragma once
#include "vcpu/x86_64/x86.h"

#define AUTOPSY_WHY_MAX 200U

/* Why the walk failed, as the end of a sentence. text: AUTOPSY_WHY_MAX bytes. */
void autopsy_walk_cause(const struct x86_walk_report *walk, char *text);

/* The name of a decoded instruction and the address of the memory that it names, as " op=... memory=0x...". */
#define AUTOPSY_INSN_MAX 64U
struct x86_insn;
void autopsy_name_insn(const struct vcpu_arch *a, const struct x86_insn *in, char text[AUTOPSY_INSN_MAX]);

/* Can len bytes (at most a page) at va be accessed? If not, why: "<what> at 0x...: <cause>". */
bool autopsy_reachable(struct vcpu *v, u64 va, size_t len, u32 access, const char *what, char *why);

/* Would the exception vector be delivered with the IDT, GDT, LDT, TSS and stack as they are? If not, why. Of a task gate only the
 * TSS's descriptor is looked at, not what is in it. SDM Vol. 3 chapter 6. */
bool autopsy_deliverable(struct vcpu *v, u8 vector, char *why);

/* The sentence for this death; "" when nothing is known. */
void autopsy_sentence(struct vcpu *v, enum vcpu_death death, char *why);
