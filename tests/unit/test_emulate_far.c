/* units: vcpu/x86_64/emulate.c vcpu/x86_64/emulate_short.c vcpu/x86_64/emulate_mem.c vcpu/x86_64/emulate_operand.c vcpu/x86_64/emulate_ops.c vcpu/x86_64/emulate_stack.c vcpu/x86_64/emulate_string.c vcpu/x86_64/emulate_system.c vcpu/x86_64/emulate_far.c vcpu/x86_64/emulate_table.c vcpu/x86_64/emulate_alu.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c vcpu/x86_64/decode_cr.c vcpu/x86_64/linear.c vcpu/x86_64/task_memory.c vcpu/x86_64/task_segments.c vcpu/x86_64/walk.c tests/unit/emu_guest.c */
/* Far returns, far jumps and loads of segment registers with the descriptor table in a device: SDM Vol. 2. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/x86.h"
#include <string.h>

#define CODE 0x20000ULL
#define STACK 0x24000ULL
#define TABLE 0x400000ULL /* of the device, where there is paging */

/* Descriptors, none accessed: SDM 3.4.5. */
#define CODE32 0x00CF9A000000FFFFULL
#define CODE64 0x00AF9A000000FFFFULL
#define CODE_BOTH 0x00EF9A000000FFFFULL
#define CONFORMING 0x00CF9E000000FFFFULL
#define DATA32 0x10CF92345678FFFFULL /* base 10345678h */
#define READ_ONLY 0x00CF90000000FFFFULL
#define TSS 0x0000890000000067ULL
#define ABSENT(descriptor) ((descriptor) & ~BIT(47))
#define RING3(descriptor) ((descriptor) | 3ULL << 45)

enum { SEL_ONE = 0x08, SEL_TWO = 0x10, LIMIT = 23 };

static struct vcpu_arch *const arch = &guest.v.arch;

/* Protected mode with GDT entry 1 = descriptor, entry 2 the same and accessed. */
static void machine(const char *bytes, size_t len, u64 descriptor)
{
    u64 accessed = descriptor | BIT(40);

    guest_reset_protected();
    memset(guest.ram + CODE, 0x90, 32);
    memcpy(guest.ram + CODE, bytes, len);
    arch->rip = CODE;
    arch->gpr[X86_RSP] = STACK;
    arch->gdtr.base = GUEST_DEVICE;
    arch->gdtr.limit = LIMIT;
    memcpy(guest.device + SEL_ONE, &descriptor, sizeof(descriptor));
    memcpy(guest.device + SEL_TWO, &accessed, sizeof(accessed));
}
#define MACHINE(text, descriptor) machine(text, sizeof(text) - 1, descriptor)

/* What a far return of 32 bits pops. */
static void push(u32 offset, u32 selector)
{
    memcpy(guest.ram + STACK, &offset, sizeof(offset));
    memcpy(guest.ram + STACK + 4, &selector, sizeof(selector));
}

static unsigned writes(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < guest.mmio_count; i++) {
        count += guest.mmio[i].write;
    }
    return count;
}

static void goes_to(u64 rip, u16 selector)
{
    guest.raised = false;
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_false(guest.raised);
    assert_int_equal(arch->rip, rip);
    assert_int_equal(arch->seg[X86_CS].selector, selector);
    assert_true((arch->seg[X86_CS].attr & 1) != 0);
}

/* The instruction faults, and neither the guest nor the table changes. */
static void refuses(u8 vector, u32 error)
{
    struct vcpu_arch before = *arch;

    guest.raised = false;
    guest.mmio_count = 0;
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_true(guest.raised);
    assert_int_equal(guest.vector, vector);
    assert_int_equal(guest.error, error);
    assert_int_equal(before.rip, arch->rip);
    assert_memory_equal(before.gpr, arch->gpr, sizeof(before.gpr));
    assert_memory_equal(before.seg, arch->seg, sizeof(before.seg));
    assert_int_equal(writes(), 0);
}

static void is_unknown(void)
{
    assert_int_equal(vcpu_emulate(&guest.v), -E_NOSYS);
    assert_int_equal(writes(), 0);
}

static void far_return(void **state)
{
    (void)state;
    MACHINE("\xCB", CODE32);
    push(0x3000, SEL_ONE);
    goes_to(0x3000, SEL_ONE);
    assert_int_equal(arch->gpr[X86_RSP], STACK + 8);
    assert_int_equal(writes(), 1);
    const struct guest_access *last = &guest.mmio[guest.mmio_count - 1];
    assert_true(last->address == GUEST_DEVICE + SEL_ONE + 5 && last->size == 1 && last->value == 0x9B);
    MACHINE("\xCA\x10\x00", CODE32);
    push(0x3000, SEL_TWO);
    goes_to(0x3000, SEL_TWO);
    assert_int_equal(arch->gpr[X86_RSP], STACK + 8 + 16);
    assert_int_equal(writes(), 0); /* it was accessed already */
    MACHINE("\x66\xCB", CODE32); /* of 16 bits */
    push(SEL_ONE << 16 | 0x3000, 0);
    goes_to(0x3000, SEL_ONE);
    assert_int_equal(arch->gpr[X86_RSP], STACK + 4);
}

static void far_return_faults(void **state)
{
    static const struct { u64 descriptor; u16 selector; u8 vector; u16 error; } bad[] = {
        {CODE32, 0, VECTOR_GP, 0},      {CODE32, 0x18, VECTOR_GP, 0x18},       {CODE32, SEL_ONE | 4, VECTOR_GP, SEL_ONE | 4},
        {DATA32, SEL_ONE, VECTOR_GP, 8}, {TSS, SEL_ONE, VECTOR_GP, 8},          {ABSENT(CODE32), SEL_ONE, VECTOR_NP, 8},
        {RING3(CODE32), SEL_ONE, VECTOR_GP, 8}, {RING3(CONFORMING), SEL_ONE, VECTOR_GP, 8},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        MACHINE("\xCB", bad[i].descriptor);
        arch->seg[X86_LDTR].attr = BIT32(16);
        push(0x3000, bad[i].selector);
        refuses(bad[i].vector, bad[i].error);
    }
    MACHINE("\xCB", CODE32 & ~BIT(55)); /* a limit of FFFFFh */
    push(0x100000, SEL_ONE);
    refuses(VECTOR_GP, 0);
    MACHINE("\xCB", CODE32);
    arch->seg[X86_SS].limit = STACK + 6;
    push(0x3000, SEL_ONE);
    refuses(VECTOR_SS, 0);
    MACHINE("\xCB", CODE32); /* to an outer level, which would pop the stack, too */
    push(0x3000, SEL_ONE | 3);
    is_unknown();
}

/* IA-32e mode, 32-bit code, the way of a firmware into 64-bit mode. */
static void into_64_bits(u64 descriptor)
{
    guest_reset_long();
    guest_map(CODE, CODE, PTE_P | PTE_RW | PTE_US);
    guest_map(STACK, STACK, PTE_P | PTE_RW | PTE_US);
    guest_map(TABLE, GUEST_DEVICE, PTE_P | PTE_RW);
    arch->seg[X86_CS].attr = 0xC09B;
    guest.ram[CODE] = 0xCB;
    arch->rip = CODE;
    arch->gpr[X86_RSP] = STACK;
    arch->gdtr.base = TABLE;
    arch->gdtr.limit = LIMIT;
    memcpy(guest.device + SEL_ONE, &descriptor, sizeof(descriptor));
    push(0x3000, SEL_ONE);
}

static void far_return_into_64_bits(void **state)
{
    (void)state;
    into_64_bits(CODE64);
    goes_to(0x3000, SEL_ONE);
    assert_int_equal(x86_code_bits(&guest.v), 64);
    into_64_bits(CODE_BOTH);
    refuses(VECTOR_GP, 8);
    into_64_bits(CODE64);
    guest_map(TABLE, GUEST_DEVICE, PTE_P); /* the accessed bit's page is not to be written */
    refuses(VECTOR_PF, PF_ERROR_P | PF_ERROR_WR);
    assert_int_equal(guest.cr2, TABLE + SEL_ONE + 5);
}

static void far_jump(void **state)
{
    (void)state;
    MACHINE("\xEA\x00\x30\x00\x00\x08\x00", CODE32);
    goes_to(0x3000, SEL_ONE);
    assert_int_equal(writes(), 1);
    MACHINE("\xEA\x00\x30\x00\x00\x0B\x00", CONFORMING); /* a selector of level 3: level 0 stays */
    goes_to(0x3000, SEL_ONE);
    MACHINE("\xEA\x00\x30\x00\x00\x0B\x00", CODE32);
    refuses(VECTOR_GP, 8);
    MACHINE("\xFF\x28", CODE32); /* jmp far [eax] */
    arch->gpr[X86_RAX] = STACK;
    push(0x3000, SEL_ONE);
    goes_to(0x3000, SEL_ONE);
    MACHINE("\xEA\x00\x30\x00\x00\x08\x00", TSS); /* a task switch */
    is_unknown();
    MACHINE("\xEA\x00\x30\x00\x00\x08\x00", CODE32);
    arch->cr0 &= ~CR0_PE;
    is_unknown();
}

static void segment_registers(void **state)
{
    (void)state;
    MACHINE("\x8E\xE0", DATA32); /* mov fs, ax */
    arch->gpr[X86_RAX] = 0xFFFF0000 | SEL_ONE;
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_int_equal(arch->rip, CODE + 2);
    assert_true(arch->seg[X86_FS].base == 0x10345678 && arch->seg[X86_FS].selector == SEL_ONE);
    assert_int_equal(arch->seg[X86_FS].attr, 0xC093);
    assert_int_equal(writes(), 1);
    assert_int_equal(arch->blocking, 0);
    MACHINE("\x8E\xD0", DATA32); /* mov ss, ax */
    arch->gpr[X86_RAX] = SEL_ONE;
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_int_equal(arch->rip, CODE + 2);
    assert_int_equal(arch->blocking, X86_BLOCK_MOVSS);
    MACHINE("\x8E\xD8", DATA32); /* mov ds, ax: null */
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_int_equal(arch->seg[X86_DS].attr, BIT32(16));
}

static void segment_register_faults(void **state)
{
    (void)state;
    MACHINE("\x8E\xD0", ABSENT(DATA32));
    arch->gpr[X86_RAX] = SEL_ONE;
    refuses(VECTOR_SS, 8);
    MACHINE("\x8E\xD0", READ_ONLY);
    arch->gpr[X86_RAX] = SEL_ONE;
    refuses(VECTOR_GP, 8);
    MACHINE("\x8E\xD0", DATA32);
    refuses(VECTOR_GP, 0); /* null */
    MACHINE("\x8E\xD8", ABSENT(DATA32));
    arch->gpr[X86_RAX] = SEL_ONE;
    refuses(VECTOR_NP, 8);
    MACHINE("\x8E\xC8", CODE32); /* mov cs, ax */
    arch->gpr[X86_RAX] = SEL_ONE;
    refuses(VECTOR_UD, 0);
    MACHINE("\x8E\xF0", DATA32); /* no such register */
    refuses(VECTOR_UD, 0);
}

/* A local table: its own limit, none at all. */
static void local_descriptors(void **state)
{
    (void)state;
    MACHINE("\x8E\xD8", DATA32);
    arch->gpr[X86_RAX] = SEL_ONE | 4;
    arch->gdtr.limit = 0;
    arch->seg[X86_LDTR] = (struct x86_seg){.selector = 0x20, .attr = 0x82, .limit = 15, .base = GUEST_DEVICE};
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_int_equal(arch->seg[X86_DS].selector, SEL_ONE | 4);
    arch->rip = CODE;
    arch->seg[X86_LDTR].limit = 14;
    refuses(VECTOR_GP, SEL_ONE | 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(far_return),
        cmocka_unit_test(far_return_faults),
        cmocka_unit_test(far_return_into_64_bits),
        cmocka_unit_test(far_jump),
        cmocka_unit_test(segment_registers),
        cmocka_unit_test(segment_register_faults),
        cmocka_unit_test(local_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
