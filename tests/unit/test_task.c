/* units: vcpu/x86_64/task.c vcpu/x86_64/task_memory.c vcpu/x86_64/task_segments.c vcpu/x86_64/emulate_alu.c vcpu/x86_64/walk.c vcpu/x86_64/linear.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c tests/unit/emu_guest.c */
/* Hardware task switches on a GDT and TSSs built here: SDM Vol. 3 8.3. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/x86.h"
#include <string.h>

#define GDT 0x1000U
#define LDT 0x1800U
#define OLD 0x2000U /* TSS of the task that runs */
#define NEW 0x3000U

enum { CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x18 | 3, DATA3 = 0x20 | 3, SEL_OLD = 0x28, SEL_NEW = 0x30, SEL_LDT = 0x38,
       SEL_16 = 0x40, ABSENT = 0x48, LOCAL = 0x04 };
enum { CALL, IRET, JMP, GATE };
enum { TYPE_TSS16 = 0x81, TYPE_LDT = 0x82, TYPE_TSS32 = 0x89, TYPE_BUSY = 0x02, TYPE_DATA = 0x93, TYPE_CODE = 0x9B };
enum { T_LINK = 0, T_CR3 = 28, T_EIP = 32, T_EFLAGS = 36, T_EAX = 40, T_ESP = 56, T_ES = 72, T_CS = 76, T_SS = 80, T_DS = 84,
       T_FS = 88, T_GS = 92, T_LDT = 96, T_TRAP = 100 };

void x86_dr6_add(struct vcpu *v, u64 bits)
{
    (void)v;
    guest.dr6 |= bits;
}

int x86_cr3_write(struct vcpu *v, u64 value)
{
    v->arch.cr3 = value;
    return 0;
}

static void put32(u32 at, u32 value)
{
    memcpy(guest.ram + at, &value, sizeof(value));
}

static u32 get32(u32 at)
{
    u32 value;

    memcpy(&value, guest.ram + at, sizeof(value));
    return value;
}

static u16 get16(u32 at)
{
    return (u16)get32(at);
}

static void put16(u32 at, u16 value)
{
    memcpy(guest.ram + at, &value, sizeof(value));
}

static void descriptor(u32 table, u16 selector, u32 base, u32 limit, u8 type, u8 flags)
{
    u64 raw = (limit & 0xFFFF) | (u64)(base & 0xFFFFFF) << 16 | (u64)type << 40 | (u64)(limit >> 16 & 15) << 48 |
              (u64)flags << 52 | (u64)(base >> 24) << 56;

    guest_write64(table + (selector & 0xFFF8U), raw);
}

static u8 type_of(u16 selector)
{
    return guest.ram[GDT + (selector & 0xFFF8) + 5];
}

static void new_task(void)
{
    put32(NEW + T_EIP, 0x7777);
    put32(NEW + T_EFLAGS, 0x202);
    for (u32 i = 0; i < 8; i++) {
        put32(NEW + T_EAX + 4 * i, 0x1000 + i);
    }
    put32(NEW + T_ESP, 0x8000);
    put32(NEW + T_CS, CODE0);
    for (u32 at = T_ES; at <= T_GS; at += 4) {
        if (at != T_CS) {
            put32(NEW + at, DATA0);
        }
    }
    put32(NEW + T_FS, 0);
    put32(NEW + T_GS, 0);
}

static void prepare(void)
{
    guest_reset_protected();
    struct vcpu_arch *a = &guest.v.arch;
    a->gdtr = (struct x86_dtr){GDT, 0x5F};
    descriptor(GDT, CODE0, 0, 0xFFFFF, TYPE_CODE, 0xC);
    descriptor(GDT, DATA0, 0, 0xFFFFF, TYPE_DATA & ~1, 0xC); /* not yet accessed */
    descriptor(GDT, CODE3, 0, 0xFFFFF, TYPE_CODE | 0x60, 0xC);
    descriptor(GDT, DATA3, 0, 0xFFFFF, TYPE_DATA | 0x60, 0xC);
    descriptor(GDT, SEL_OLD, OLD, 103, TYPE_TSS32 | TYPE_BUSY, 0);
    descriptor(GDT, SEL_NEW, NEW, 103, TYPE_TSS32, 0);
    descriptor(GDT, SEL_LDT, LDT, 0xF, TYPE_LDT, 0);
    descriptor(GDT, SEL_16, NEW, 43, TYPE_TSS16, 0);
    descriptor(GDT, ABSENT, 0, 0xFFFFF, TYPE_CODE & ~0x80, 0xC);
    a->seg[X86_TR] = (struct x86_seg){SEL_OLD, TYPE_TSS32 | TYPE_BUSY, 103, OLD};
    a->seg[X86_CS].selector = CODE0;
    a->seg[X86_SS].selector = DATA0;
    a->seg[X86_DS].selector = DATA0;
    for (int i = 0; i < 8; i++) {
        a->gpr[i] = 0xA0A0 + (u64)i;
    }
    a->rip = 0x5000;
    a->rflags = 0x246;
    a->dr7 = 0x755;
    a->cr3 = 0x9000;
    new_task();
}

static int go(u8 source, u16 selector)
{
    struct x86_exit xe = {.code = X86_EXIT_TASK_SWITCH, .insn_len = 7, .task = {.selector = selector, .source = source}};

    return x86_task_switch(&guest.v, &xe);
}

static void check_new_task(void)
{
    const struct vcpu_arch *a = &guest.v.arch;

    assert_false(guest.raised);
    assert_int_equal(a->rip, 0x7777);
    assert_int_equal(a->gpr[X86_RAX], 0x1000);
    assert_int_equal(a->gpr[X86_RSP], 0x8000);
    assert_int_equal(a->seg[X86_TR].selector, SEL_NEW);
    assert_int_equal(a->seg[X86_TR].base, NEW);
    assert_int_equal(a->seg[X86_TR].attr & 0xF, 0xB);
    assert_true((a->cr0 & CR0_TS) != 0);
    assert_int_equal(a->dr7, 0x600);
    assert_int_equal(a->seg[X86_SS].attr, 0xC093);
    assert_int_equal(a->seg[X86_CS].attr, 0xC09B);
    assert_int_equal(a->seg[X86_SS].limit, 0xFFFFFFFF);
    assert_true((a->seg[X86_FS].attr & BIT32(16)) != 0);
    assert_int_equal(type_of(DATA0) & 1, 1);
    assert_int_equal(a->cr3, 0x9000); /* no paging: not loaded */
}

static void check_old_saved(u32 eflags)
{
    assert_int_equal(get32(OLD + T_EIP), 0x5007);
    assert_int_equal(get32(OLD + T_EFLAGS), eflags);
    assert_int_equal(get32(OLD + T_EAX), 0xA0A0);
    assert_int_equal(get32(OLD + T_ESP), 0xA0A4);
    assert_int_equal(get32(OLD + T_CS), CODE0);
    assert_int_equal(get32(OLD + T_DS), DATA0);
}

static void call_nests(void **state)
{
    (void)state;
    prepare();
    assert_int_equal(go(CALL, SEL_NEW), 0);
    check_new_task();
    check_old_saved(0x246);
    assert_int_equal(guest.v.arch.rflags, 0x202 | RFLAGS_NT);
    assert_int_equal(get16(NEW + T_LINK), SEL_OLD);
    assert_int_equal(type_of(SEL_OLD), TYPE_TSS32 | TYPE_BUSY);
    assert_int_equal(type_of(SEL_NEW), TYPE_TSS32 | TYPE_BUSY);
}

static void jump_does_not_nest(void **state)
{
    (void)state;
    prepare();
    assert_int_equal(go(JMP, SEL_NEW), 0);
    check_new_task();
    check_old_saved(0x246);
    assert_int_equal(guest.v.arch.rflags, 0x202);
    assert_int_equal(get16(NEW + T_LINK), 0);
    assert_int_equal(type_of(SEL_OLD), TYPE_TSS32);
    assert_int_equal(type_of(SEL_NEW), TYPE_TSS32 | TYPE_BUSY);
}

static void iret_returns(void **state)
{
    (void)state;
    prepare();
    descriptor(GDT, SEL_NEW, NEW, 103, TYPE_TSS32 | TYPE_BUSY, 0);
    guest.v.arch.rflags |= RFLAGS_NT;
    guest.v.arch.blocking = X86_BLOCK_NMI;
    assert_int_equal(go(IRET, SEL_NEW), 0);
    check_new_task();
    check_old_saved(0x246); /* NT cleared in the image */
    assert_int_equal(type_of(SEL_OLD), TYPE_TSS32);
    assert_int_equal(type_of(SEL_NEW), TYPE_TSS32 | TYPE_BUSY);
    assert_int_equal(guest.v.arch.blocking, 0);
    prepare(); /* back to a task that is not busy */
    assert_int_equal(go(IRET, SEL_NEW), 0);
    assert_true(guest.raised && guest.vector == VECTOR_TS && guest.error == SEL_NEW);
}

static void gate_pushes_the_error_code(void **state)
{
    struct x86_exit xe = {.task = {.selector = SEL_NEW, .source = GATE, .has_error = true, .error = 0x1234}};

    (void)state;
    prepare();
    guest.v.arch.reinject = true;
    guest.v.arch.interrupted_type = VCPU_EVENT_EXCEPTION;
    assert_int_equal(x86_task_switch(&guest.v, &xe), 0);
    assert_false(guest.raised);
    assert_int_equal(guest.v.arch.gpr[X86_RSP], 0x7FFC);
    assert_int_equal(get32(0x7FFC), 0x1234);
    assert_int_equal(get32(OLD + T_EIP), 0x5000); /* a fault comes back to its instruction */
    assert_false(guest.v.arch.reinject);
    assert_true((guest.v.arch.rflags & RFLAGS_NT) != 0);
}

static void nmi_gate_blocks_nmis(void **state)
{
    struct x86_exit xe = {.task = {.selector = SEL_NEW, .source = GATE}};

    (void)state;
    prepare();
    guest.v.arch.reinject = true;
    guest.v.arch.interrupted_type = VCPU_EVENT_NMI;
    assert_int_equal(x86_task_switch(&guest.v, &xe), 0);
    assert_int_equal(guest.v.arch.blocking, X86_BLOCK_NMI);
}

static void bad_targets_leave_the_old_task(void **state)
{
    static const struct { u8 source; u16 selector; u8 vector; } cases[] = {
        {CALL, 0, VECTOR_GP}, {JMP, SEL_OLD, VECTOR_GP}, {CALL, 0x60, VECTOR_GP}, {CALL, SEL_NEW | 4, VECTOR_GP},
        {JMP, CODE0, VECTOR_GP}, {IRET, 0x100, VECTOR_TS}, {IRET, DATA0, VECTOR_TS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        prepare();
        struct vcpu_arch before = guest.v.arch;
        assert_int_equal(go(cases[i].source, cases[i].selector), 0);
        assert_true(guest.raised);
        assert_int_equal(guest.vector, cases[i].vector);
        assert_int_equal(guest.error, cases[i].selector & ~3);
        assert_memory_equal(&before, &guest.v.arch, sizeof(before));
        assert_int_equal(get32(OLD + T_EIP), 0);
    }
    prepare();
    descriptor(GDT, SEL_NEW, NEW, 103, TYPE_TSS32 & ~0x80, 0);
    assert_int_equal(go(CALL, SEL_NEW), 0);
    assert_int_equal(guest.vector, VECTOR_NP);
    prepare();
    descriptor(GDT, SEL_NEW, NEW, 102, TYPE_TSS32, 0);
    assert_int_equal(go(CALL, SEL_NEW), 0);
    assert_int_equal(guest.vector, VECTOR_TS);
    prepare();
    descriptor(GDT, SEL_NEW, 0xE0000000, 103, TYPE_TSS32, 0); /* not RAM */
    assert_int_equal(go(CALL, SEL_NEW), -E_NOSYS);
}

static void bad_segments_fault_in_the_new_task(void **state)
{
    static const struct { u32 field; u16 selector; u8 vector; } cases[] = {
        {T_CS, 0, VECTOR_TS}, {T_CS, DATA0, VECTOR_TS}, {T_CS, CODE3 & ~3, VECTOR_TS}, {T_CS, ABSENT, VECTOR_NP},
        {T_CS, 0x200, VECTOR_TS}, {T_SS, 0, VECTOR_TS}, {T_SS, CODE0, VECTOR_TS}, {T_SS, DATA3, VECTOR_TS},
        {T_DS, SEL_LDT, VECTOR_TS}, {T_ES, LOCAL, VECTOR_TS}, {T_LDT, DATA0, VECTOR_TS}, {T_LDT, SEL_LDT | 4, VECTOR_TS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        prepare();
        put32(NEW + cases[i].field, cases[i].selector);
        assert_int_equal(go(CALL, SEL_NEW), 0);
        assert_true(guest.raised);
        assert_int_equal(guest.vector, cases[i].vector);
        assert_int_equal(guest.error, cases[i].selector & ~3);
        assert_int_equal(guest.v.arch.rip, 0x7777);
        assert_int_equal(guest.v.arch.seg[X86_TR].selector, SEL_NEW);
    }
}

static void user_task_with_ldt(void **state)
{
    (void)state;
    prepare();
    descriptor(LDT, LOCAL, 0x100, 0xFFFF, TYPE_DATA | 0x60, 0x4);
    put32(NEW + T_CS, CODE3);
    put32(NEW + T_SS, DATA3);
    put32(NEW + T_DS, LOCAL | 3);
    put32(NEW + T_ES, DATA3);
    put32(NEW + T_LDT, SEL_LDT);
    put16(NEW + T_TRAP, 1);
    assert_int_equal(go(CALL, SEL_NEW), 0);
    assert_int_equal(guest.v.arch.cpl, 3);
    assert_int_equal(guest.v.arch.seg[X86_DS].base, 0x100);
    assert_int_equal(guest.v.arch.seg[X86_DS].limit, 0xFFFF);
    assert_int_equal(guest.v.arch.seg[X86_LDTR].base, LDT);
    assert_true(guest.raised && guest.vector == VECTOR_DB); /* the T flag */
    assert_true((guest.dr6 & DR6_BT) != 0);
}

static void virtual_8086_task(void **state)
{
    (void)state;
    prepare();
    put32(NEW + T_EFLAGS, 0x202 | (u32)RFLAGS_VM);
    put32(NEW + T_CS, 0x1234);
    put32(NEW + T_SS, 0x2000);
    assert_int_equal(go(JMP, SEL_NEW), 0);
    assert_false(guest.raised);
    assert_int_equal(guest.v.arch.seg[X86_CS].base, 0x12340);
    assert_int_equal(guest.v.arch.seg[X86_CS].attr, 0xF3);
    assert_int_equal(guest.v.arch.seg[X86_SS].limit, 0xFFFF);
    assert_int_equal(guest.v.arch.cpl, 3);
}

static void narrow_task(void **state)
{
    (void)state;
    prepare();
    memset(guest.ram + NEW, 0, 104);
    put16(NEW + 14, 0x4444);
    put16(NEW + 16, 0x202);
    put16(NEW + 18, 0xBEEF);
    put16(NEW + 26, 0x9000); /* SP */
    put16(NEW + 34, DATA0);
    put16(NEW + 36, CODE0);
    put16(NEW + 38, DATA0);
    put16(NEW + 40, DATA0);
    struct x86_exit xe = {.insn_len = 2, .task = {.selector = SEL_16, .source = GATE, .has_error = true, .error = 0xFFFF4321}};
    assert_int_equal(x86_task_switch(&guest.v, &xe), 0);
    assert_false(guest.raised);
    assert_int_equal(guest.v.arch.rip, 0x4444);
    assert_int_equal(guest.v.arch.gpr[X86_RAX], 0xBEEF);
    assert_int_equal(guest.v.arch.gpr[X86_RSP], 0x8FFE);
    assert_int_equal(get16(0x8FFE), 0x4321);
    assert_int_equal(get16(NEW), SEL_OLD);
    assert_int_equal(guest.v.arch.seg[X86_TR].attr & 0xF, 3);
    assert_int_equal(get32(OLD + T_EIP), 0x5002);
    /* and back: the 16-bit TSS takes 16-bit registers */
    guest.v.arch.gpr[X86_RBX] = 0x12345678;
    assert_int_equal(go(IRET, SEL_OLD), 0);
    assert_false(guest.raised);
    assert_int_equal(get16(NEW + 24), 0x5678);
    assert_int_equal(guest.v.arch.rip, 0x5002);
    assert_int_equal(guest.v.arch.gpr[X86_RSP], 0xA0A4);
}

static void paging_loads_cr3(void **state)
{
    (void)state;
    prepare();
    put32(0xA000, 0x83 | PTE_US); /* one 4 MiB page, in both directories */
    put32(0xB000, 0x83 | PTE_US);
    guest.v.arch.cr0 |= CR0_PG;
    guest.v.arch.cr4 = CR4_PSE;
    guest.v.arch.cr3 = 0xA000;
    put32(NEW + T_CR3, 0xB000);
    assert_int_equal(go(CALL, SEL_NEW), 0);
    assert_false(guest.raised);
    assert_int_equal(guest.v.arch.cr3, 0xB000);
    prepare();
    guest.v.arch.cr0 |= CR0_PG;
    guest.v.arch.cr3 = 0xA000; /* nothing is mapped: the old task gets the page fault */
    assert_int_equal(go(CALL, SEL_NEW), 0);
    assert_true(guest.raised && guest.vector == VECTOR_PF && guest.cr2 == GDT + SEL_NEW);
    assert_int_equal(guest.v.arch.rip, 0x5000);
    guest.v.arch.gdtr.base = 0xFFFFFFFFFFFFF000ULL;
    assert_int_equal(go(CALL, SEL_NEW), 0); /* returns at all */
}

static void long_mode_is_refused(void **state)
{
    (void)state;
    guest_reset_long();
    assert_int_equal(go(CALL, SEL_NEW), -E_NOSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_nests),
        cmocka_unit_test(jump_does_not_nest),
        cmocka_unit_test(iret_returns),
        cmocka_unit_test(gate_pushes_the_error_code),
        cmocka_unit_test(nmi_gate_blocks_nmis),
        cmocka_unit_test(bad_targets_leave_the_old_task),
        cmocka_unit_test(bad_segments_fault_in_the_new_task),
        cmocka_unit_test(user_task_with_ldt),
        cmocka_unit_test(virtual_8086_task),
        cmocka_unit_test(narrow_task),
        cmocka_unit_test(paging_loads_cr3),
        cmocka_unit_test(long_mode_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
