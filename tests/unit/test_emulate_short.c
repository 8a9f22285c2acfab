/* units: vcpu/x86_64/emulate.c vcpu/x86_64/emulate_short.c vcpu/x86_64/emulate_mem.c vcpu/x86_64/emulate_operand.c vcpu/x86_64/emulate_ops.c vcpu/x86_64/emulate_stack.c vcpu/x86_64/emulate_string.c vcpu/x86_64/emulate_system.c vcpu/x86_64/emulate_far.c vcpu/x86_64/emulate_table.c vcpu/x86_64/emulate_alu.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c vcpu/x86_64/linear.c vcpu/x86_64/task_memory.c vcpu/x86_64/task_segments.c vcpu/x86_64/walk.c tests/unit/emu_guest.c */
/* The emulator's short way: what it does equals what the long way does, and it is taken only while nothing changed. */
#include "tests/unit/host.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/x86.h"
#include <string.h>

#define CODE 0x400000ULL
#define CODE_GPA 0x20000ULL
#define OTHER_GPA 0x21000ULL
#define DEVICE 0x500000ULL
#define ALL (PTE_P | PTE_RW | PTE_US)

static struct vcpu_arch *const arch = &guest.v.arch;

struct form { const char *code; u8 length; bool write, is_short; };
static const struct form forms[] = {
    {"\x89\x03", 2, true, true},                         /* mov [rbx], eax */
    {"\x88\x23", 2, true, true},                         /* mov [rbx], ah */
    {"\x40\x88\x23", 3, true, true},                     /* mov [rbx], spl */
    {"\x66\x89\x43\x08", 4, true, true},                 /* mov [rbx+8], ax */
    {"\x4C\x89\x7C\x4B\x04", 5, true, true},             /* mov [rbx+rcx*2+4], r15 */
    {"\xC6\x03\x5A", 3, true, true},                     /* mov byte [rbx], 5Ah */
    {"\xC7\x43\x10\xEF\xCD\xAB\x89", 7, true, true},     /* mov dword [rbx+10h], 89ABCDEFh */
    {"\x48\xC7\x03\xFF\xFF\xFF\xFF", 7, true, true},     /* mov qword [rbx], -1 */
    {"\x8B\x03", 2, false, true},                        /* mov eax, [rbx] */
    {"\x8A\x33", 2, false, true},                        /* mov dh, [rbx] */
    {"\x44\x8A\x1B", 3, false, true},                    /* mov r11b, [rbx] */
    {"\x66\x44\x8B\x73\x02", 5, false, true},            /* mov r14w, [rbx+2] */
    {"\x48\x8B\x1B", 3, false, true},                    /* mov rbx, [rbx] */
    {"\x0F\xB6\x03", 3, false, true},                    /* movzx eax, byte [rbx] */
    {"\x66\x0F\xB6\x03", 4, false, true},                /* movzx ax, byte [rbx] */
    {"\x48\x0F\xB7\x53\x06", 5, false, true},            /* movzx rdx, word [rbx+6] */
    {"\x8B\x05\xFA\xFF\x0F\x00", 6, false, true},        /* mov eax, [rip+0FFFFAh] */
    {"\x0F\xBE\x03", 3, false, false},                   /* movsx */
    {"\x01\x03", 2, true, false},                        /* add [rbx], eax */
    {"\x65\x8B\x03", 3, false, false},                   /* mov eax, gs:[rbx] */
    {"\x67\x8B\x03", 3, false, false},                   /* mov eax, [ebx] */
};

static void put(u64 gpa, const char *code, u8 length)
{
    memset(guest.ram + gpa, 0x90, 16);
    memcpy(guest.ram + gpa, code, length);
}

static void registers(void)
{
    for (u32 i = 0; i < X86_GPRS; i++) {
        arch->gpr[i] = 0x8877665544332211ULL * (i + 1);
    }
    arch->gpr[X86_RBX] = DEVICE + 0x40;
    arch->gpr[X86_RCX] = 4;
    arch->valid = X86_G_ALL;
    arch->rip = CODE;
    arch->rflags = RFLAGS_FIXED | RFLAGS_RF;
    for (u32 i = 0; i < GUEST_DEVICE_BYTES; i++) {
        guest.device[i] = (u8)(i * 7 + 1);
    }
    guest.mmio_count = 0;
    guest.ram_reads = 0;
}

static void prepare(const struct form *f)
{
    guest_reset_long();
    guest_map(CODE, CODE_GPA, ALL);
    guest_map(DEVICE, GUEST_DEVICE, ALL);
    put(CODE_GPA, f->code, f->length);
    registers();
}

/* Execute at gpa; returns whether it was the short way, which reads no RAM through the VM. */
static bool access_at(u64 gpa, bool write, u32 more)
{
    const struct vcpu_exit exit = {.kind = VCPU_EXIT_NPF, .npf = {GPA(gpa), (write ? NPF_WRITE : NPF_READ) | more}};

    registers();
    assert_int_equal(vcpu_emulate_access(&guest.v, &exit), 0);
    return guest.ram_reads == 0;
}

static void short_equals_long(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        static u8 device[GUEST_DEVICE_BYTES];
        const struct form *f = &forms[i];

        prepare(f);
        assert_int_equal(vcpu_emulate(&guest.v), 0);
        assert_int_equal(arch->rip, CODE + f->length);
        struct vcpu_arch after = *arch;
        struct guest_access log = guest.mmio[0];
        unsigned count = guest.mmio_count;
        memcpy(device, guest.device, sizeof(device));
        assert_int_equal(access_at(log.address, f->write, 0), f->is_short);
        after.valid = arch->valid; /* the short way also wants MODE */
        after.code_bits = arch->code_bits;
        assert_memory_equal(&after, arch, sizeof(after));
        assert_memory_equal(device, guest.device, sizeof(device));
        assert_int_equal(guest.mmio_count, count);
        assert_int_equal(guest.mmio[0].address, log.address);
        assert_int_equal(guest.mmio[0].size, log.size);
    }
}

static const struct form *const load = &forms[8]; /* mov eax, [rbx] */

static void learnt(void)
{
    prepare(load);
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_true(access_at(GUEST_DEVICE + 0x40, false, 0));
}

static void what_the_exit_must_say(void **state)
{
    (void)state;
    learnt();
    assert_false(access_at(GUEST_DEVICE + 0x44, false, 0)); /* not where the registers point */
    assert_false(access_at(GUEST_DEVICE + 0x40, true, 0));
    assert_false(access_at(GUEST_DEVICE + 0x40, false, NPF_PRESENT));
    assert_true(access_at(GUEST_DEVICE + 0x40, false, 0));
    learnt();
    arch->reinject = true; /* an event's delivery touched the device, not the instruction */
    arch->interrupted_type = VCPU_EVENT_NMI;
    const struct vcpu_exit exit = {.kind = VCPU_EXIT_NPF, .npf = {GPA(GUEST_DEVICE + 0x40), NPF_READ}};
    assert_int_not_equal(vcpu_emulate_access(&guest.v, &exit), 0);
}

static void two_pages_go_the_long_way(void **state)
{
    (void)state;
    learnt();
    guest_map(DEVICE + KIB(4), GUEST_DEVICE + KIB(4), ALL);
    registers();
    arch->gpr[X86_RBX] = DEVICE + KIB(4) - 2;
    const struct vcpu_exit first = {.kind = VCPU_EXIT_NPF, .npf = {GPA(GUEST_DEVICE + KIB(4) - 2), NPF_READ}};
    assert_int_equal(vcpu_emulate_access(&guest.v, &first), 0);
    assert_true(guest.ram_reads != 0 && guest.mmio_count == 2);
    registers();
    arch->gpr[X86_RBX] = DEVICE + KIB(4) - 2;
    const struct vcpu_exit second = {.kind = VCPU_EXIT_NPF, .npf = {GPA(GUEST_DEVICE + KIB(4)), NPF_READ}};
    assert_int_equal(vcpu_emulate_access(&guest.v, &second), 0);
    assert_true(guest.ram_reads != 0 && guest.mmio_count == 2);
}

static void changed_code_is_seen(void **state)
{
    (void)state;
    learnt();
    put(CODE_GPA, "\x8B\x13", 2); /* mov edx, [rbx] in its place */
    assert_false(access_at(GUEST_DEVICE + 0x40, false, 0));
    assert_int_equal(arch->gpr[X86_RDX], (u32)(guest.device[0x40] | guest.device[0x41] << 8 | guest.device[0x42] << 16 | (u32)guest.device[0x43] << 24));
    assert_true(access_at(GUEST_DEVICE + 0x40, false, 0));
}

static void remapped_code_is_seen(void **state)
{
    (void)state;
    learnt();
    put(OTHER_GPA, "\x66\x8B\x03", 3); /* mov ax, [rbx], on another page that takes the first one's place */
    guest_map(CODE, OTHER_GPA, ALL);
    assert_false(access_at(GUEST_DEVICE + 0x40, false, 0));
    assert_int_equal(arch->rip, CODE + 3);
    assert_int_equal(guest.mmio[0].size, 2);
}

static void other_tables_and_modes_are_seen(void **state)
{
    (void)state;
    learnt();
    memcpy(guest.ram + 0x30000, guest.ram + arch->cr3, KIB(4));
    arch->cr3 = 0x30000;
    assert_false(access_at(GUEST_DEVICE + 0x40, false, 0));
    assert_true(access_at(GUEST_DEVICE + 0x40, false, 0));
    arch->seg[X86_CS].attr = 0xC09B; /* 32-bit code, the same bytes */
    assert_false(access_at(GUEST_DEVICE + 0x40, false, 0));
    assert_false(access_at(GUEST_DEVICE + 0x40, false, 0));
}

static void a_trap_follows(void **state)
{
    (void)state;
    learnt();
    registers();
    arch->rflags |= RFLAGS_TF;
    arch->blocking = X86_BLOCK_STI;
    const struct vcpu_exit exit = {.kind = VCPU_EXIT_NPF, .npf = {GPA(GUEST_DEVICE + 0x40), NPF_READ}};
    assert_int_equal(vcpu_emulate_access(&guest.v, &exit), 0);
    assert_int_equal(guest.ram_reads, 0);
    assert_int_equal(arch->rflags & RFLAGS_RF, 0);
    assert_int_equal(arch->blocking, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_equals_long),
        cmocka_unit_test(what_the_exit_must_say),
        cmocka_unit_test(two_pages_go_the_long_way),
        cmocka_unit_test(changed_code_is_seen),
        cmocka_unit_test(remapped_code_is_seen),
        cmocka_unit_test(other_tables_and_modes_are_seen),
        cmocka_unit_test(a_trap_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
