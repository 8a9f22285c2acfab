/* units: vcpu/x86_64/task.c vcpu/x86_64/task_memory.c vcpu/x86_64/task_segments.c vcpu/x86_64/emulate_alu.c vcpu/x86_64/walk.c vcpu/x86_64/linear.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c tests/unit/emu_guest.c */
/* Task switches over arbitrary descriptor tables, task state segments, page tables and table registers: never a crash, bounded
 * work, and afterwards either the old task, the new one, or a refusal. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/x86.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What precedes the memory image in an input. */
struct header {
    struct x86_exit exit;
    struct x86_seg tr, ldtr;
    struct x86_dtr gdtr;
    u64 cr3, rflags;
    u8 paging, reinject, type;
};

void x86_dr6_add(struct vcpu *v, u64 bits)
{
    (void)v;
    (void)bits;
}

int x86_cr3_write(struct vcpu *v, u64 value)
{
    v->arch.cr3 = value;
    return (value & 1) != 0 ? -E_GUEST : 0;
}

/* Valid shapes by default: a GDT at 0x1000, the old TSS at 0x2000, a new one at 0x3000. */
static void shape(const struct header *h)
{
    struct vcpu_arch *a = &guest.v.arch;

    a->gdtr = (struct x86_dtr){0x1000, 0xFFFF};
    a->seg[X86_TR] = (struct x86_seg){0x28, 0x8B, 103, 0x2000};
    if ((h->paging & 4) != 0) {
        a->gdtr = h->gdtr;
        a->seg[X86_TR] = h->tr;
    }
    a->seg[X86_LDTR] = h->ldtr;
    a->cr0 |= (h->paging & 1) != 0 ? CR0_PG : 0;
    a->cr4 = (h->paging & 2) != 0 ? CR4_PSE | CR4_PAE : CR4_PSE;
    a->cr3 = h->cr3 & (GUEST_RAM_BYTES - 1);
    a->rflags = h->rflags | RFLAGS_FIXED;
    a->reinject = (h->reinject & 1) != 0;
    a->interrupted_type = h->type % 6;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct header h;

    if (size < sizeof(h)) {
        return 0;
    }
    memcpy(&h, bytes, sizeof(h));
    guest_reset_protected();
    shape(&h);
    memcpy(guest.ram + 0x1000, bytes + sizeof(h), MIN(size - sizeof(h), (size_t)KIB(16)));
    h.exit.task.source %= 4;
    if ((h.paging & 8) == 0) { /* a good descriptor leads deeper than chance does */
        bool iret = h.exit.task.source == 1, narrow = (h.paging & 16) != 0;
        guest_write64(0x1030, 0x67 | 0x3000ULL << 16 | (u64)(0x81 | (iret ? 2 : 0) | (narrow ? 0 : 8)) << 40);
        h.exit.task.selector = 0x30;
    }
    /* A bool of arbitrary memory would be the fuzzer's error, not the code's. */
    h.exit.task.has_error = (bytes[0] & 1) != 0;
    int rc = x86_task_switch(&guest.v, &h.exit);
    if (rc != 0 && rc != -E_NOSYS) {
        abort();
    }
    return 0;
}
