/* units: vcpu/x86_64/emulate.c vcpu/x86_64/emulate_short.c vcpu/x86_64/emulate_mem.c vcpu/x86_64/emulate_operand.c vcpu/x86_64/emulate_ops.c vcpu/x86_64/emulate_stack.c vcpu/x86_64/emulate_string.c vcpu/x86_64/emulate_system.c vcpu/x86_64/emulate_far.c vcpu/x86_64/emulate_table.c vcpu/x86_64/emulate_alu.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c vcpu/x86_64/decode_cr.c vcpu/x86_64/linear.c vcpu/x86_64/task_memory.c vcpu/x86_64/task_segments.c vcpu/x86_64/walk.c tests/unit/emu_guest.c */
/* Any instruction with any registers, segments and page tables over a small memory: the emulator never crashes, never
 * asks for memory of a size that a device does not know, does bounded work, and either finishes, faults or refuses. */
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/x86.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct input {
    const u8 *bytes;
    size_t size;
};

static u64 take(struct input *in, size_t n)
{
    u64 value = 0;

    n = MIN(n, in->size);
    memcpy(&value, in->bytes, n);
    in->bytes += n;
    in->size -= n;
    return value;
}

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Registers point into mapped memory more often than not. */
static void registers(struct input *in)
{
    struct vcpu_arch *a = &guest.v.arch;

    for (int i = 0; i < X86_GPRS; i++) {
        u64 kind = take(in, 1);
        a->gpr[i] = (kind & 1) != 0 ? take(in, 8) : 0x400000 + (kind << 7);
    }
    a->rflags = RFLAGS_FIXED | (take(in, 4) & ~RFLAGS_VM);
    a->cpl = take(in, 1) % 4;
    for (int i = 0; i < X86_LDTR; i++) {
        if (take(in, 1) % 4 == 0) {
            a->seg[i].attr = (u32)take(in, 4);
            a->seg[i].limit = (u32)take(in, 4);
            a->seg[i].base = take(in, 8);
        }
    }
}

static void modes(u64 mode)
{
    if (mode % 4 == 0) {
        guest_reset_real();
        guest.v.arch.rip = 0x2000;
    } else if (mode % 4 == 1) {
        guest_reset_protected();
        guest.v.arch.rip = 0x2000;
    } else {
        guest_reset_long();
        for (u64 page = 0; page < 16; page++) {
            u64 flags = PTE_P | PTE_RW | (page % 3 != 0 ? PTE_US : 0);
            guest_map(0x400000 + KIB(4) * page, page % 4 == 3 ? GUEST_DEVICE + KIB(4) * (page / 4) : KIB(4) * (16 + page), flags);
        }
        guest_map(0x2000, 0x2000 + KIB(64), PTE_P | PTE_US);
        guest.v.arch.rip = 0x2000;
    }
}

static void check_accesses(void)
{
    for (unsigned i = 0; i < guest.mmio_count; i++) {
        u8 n = guest.mmio[i].size;
        require(n == 1 || n == 2 || n == 4 || n == 8);
    }
    for (unsigned i = 0; i < guest.pio_count; i++) {
        u8 n = guest.pio[i].size;
        require(n == 1 || n == 2 || n == 4);
    }
    require(guest.mmio_count < GUEST_LOG || guest.pio_count < GUEST_LOG);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input in = {bytes, size};
    struct x86_exit xe = {.code = X86_EXIT_CR};
    u64 mode = take(&in, 1);
    u8 code[16] = {0};

    modes(mode);
    u64 a = take(&in, 8), b = take(&in, 7);
    memcpy(code, &a, 8);
    memcpy(code + 8, &b, 7);
    registers(&in);
    u64 at = (mode % 4 >= 2 ? KIB(64) : 0) + 0x2000;
    memcpy(guest.ram + at, code, sizeof(code));
    if (mode % 4 == 3) { /* arbitrary page tables too */
        size_t n = MIN(in.size, (size_t)KIB(16));
        memcpy(guest.ram + KIB(8), in.bytes, n);
    }
    struct vcpu_arch before = guest.v.arch;
    int rc = x86_decode_cr_dr(&guest.v, &xe);
    require(rc == 0 || rc == -E_NOSYS || (rc == -E_GUEST && guest.raised));
    require(memcmp(&before, &guest.v.arch, sizeof(before)) == 0);
    guest.raised = false;
    rc = vcpu_emulate(&guest.v);
    require(rc == 0 || rc == -E_NOSYS);
    require(!(rc != 0 && guest.raised));
    check_accesses();
    return 0;
}
