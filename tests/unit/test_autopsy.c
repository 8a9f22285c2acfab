/* units: vcpu/x86_64/autopsy.c vcpu/x86_64/autopsy_delivery.c vcpu/x86_64/autopsy_insn.c vcpu/x86_64/task_memory.c vcpu/x86_64/walk.c vcpu/x86_64/linear.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c kernel/lib/fmt.c tests/unit/emu_guest.c */
/* Sentences about dead guests; whatever their registers and tables hold, the report ends. */
#include "tests/unit/host.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/autopsy.h"
#include "vcpu/x86_64/decode.h"
#include <string.h>

#define ALL (PTE_P | PTE_RW | PTE_US)
#define CODE 0x8000ULL
#define GDT 0x9000ULL
#define IDT 0xA000ULL
#define STACK 0xB000ULL
#define CODE64 0x00209B0000000000ULL
#define GATE 0x00008E0000080000ULL

static char why[AUTOPSY_WHY_MAX];

const char *vcpu_exit_name(enum vcpu_exit_kind kind)
{
    return kind < VCPU_EXIT_KINDS ? "kind" : "?";
}

/* A guest in long mode that could take any exception. */
static void healthy(void)
{
    guest_reset_long();
    guest.v.cpu = CPU_MAX;
    for (u64 page = 0; page < 16; page++) {
        guest_map(page << 12, page << 12, ALL);
    }
    guest_write64(GDT + 8, CODE64);
    for (u64 vector = 0; vector < 32; vector++) {
        guest_write64(IDT + 16 * vector, GATE | CODE);
    }
    guest.v.arch.rip = CODE;
    guest.ram[CODE] = 0xCC;
    guest.v.arch.gpr[X86_RSP] = STACK + 0x800;
    guest.v.arch.gdtr = (struct x86_dtr){GDT, 15};
    guest.v.arch.idtr = (struct x86_dtr){IDT, 511};
}

static int setup(void **state)
{
    (void)state;
    healthy();
    return 0;
}

static void says(enum vcpu_death death, const char *want)
{
    autopsy_sentence(&guest.v, death, why);
    assert_string_equal(why, want);
}

static void a_healthy_guest_takes_every_exception(void **state)
{
    (void)state;
    for (u32 vector = 0; vector < 32; vector++) {
        assert_true(autopsy_deliverable(&guest.v, (u8)vector, why));
    }
    assert_false(autopsy_deliverable(&guest.v, 32, why));
    assert_string_equal(why, "IDT limit 0x1ff: no gate for vector 32");
    says(VCPU_DEATH_SHUTDOWN, "IDT, GDT, TSS and stack look right by now");
}

static void one_thing_wrong(void **state)
{
    (void)state;
    guest.v.arch.idtr.limit = 3 * 16 + 14;
    says(VCPU_DEATH_SHUTDOWN, "IDT limit 0x3e: no gate for vector 3 (#BP)");
    guest.v.arch.idtr.limit++; /* now there is one for #BP; but not for the double fault */
    says(VCPU_DEATH_SHUTDOWN, "IDT limit 0x3f: no gate for vector 8 (#DF)");
    healthy();
    guest_write64(IDT + 3 * 16, (GATE | CODE) & ~BIT(47));
    says(VCPU_DEATH_SHUTDOWN, "gate of vector 3 (#BP) is not present");
    healthy();
    guest_write64(IDT + 3 * 16, GATE & ~0xFFFF0000ULL);
    says(VCPU_DEATH_SHUTDOWN, "gate of vector 3 (#BP) has a null selector");
    healthy();
    guest_write64(GDT + 8, CODE64 & ~BIT(53));
    says(VCPU_DEATH_SHUTDOWN, "selector 0x8 in the gate of vector 3 (#BP) is no 64-bit code segment");
    healthy();
    guest.v.arch.idtr.base = GUEST_RAM_BYTES;
    guest_map(GUEST_RAM_BYTES, GUEST_RAM_BYTES, ALL);
    says(VCPU_DEATH_SHUTDOWN, "IDT entry of vector 3 (#BP) at 0x40030: gpa 0x40030 is no memory");
}

static void stacks_of_the_tss(void **state)
{
    (void)state;
    guest.v.arch.cpl = 3;
    guest.v.arch.seg[X86_TR] = (struct x86_seg){.base = 0xC000, .limit = 103, .attr = 0x8B};
    guest_write64(0xC004, STACK);
    assert_true(autopsy_deliverable(&guest.v, VECTOR_BP, why));
    guest_write64(0xC004, 8);
    assert_true(autopsy_deliverable(&guest.v, VECTOR_BP, why));
    guest_write64(0xC004, 0x100008);
    assert_false(autopsy_deliverable(&guest.v, VECTOR_BP, why));
    assert_non_null(strstr(why, "stack at 0x100000: its level-1 page-table entry"));
    guest.v.arch.seg[X86_TR].limit = 10;
    assert_false(autopsy_deliverable(&guest.v, VECTOR_BP, why));
    assert_string_equal(why, "TSS limit 0xa: no stack for vector 3 (#BP)");
}

#define GATE32 0x00008E0000080000ULL
#define CODE32 0x00CF9B000000FFFFULL
#define DATA32 0x00CF93000000FFFFULL
#define TSS 0xC000ULL
#define TSS_AT_C000 0x00008900C0000067ULL

static void not_delivered(const char *want)
{
    assert_false(autopsy_deliverable(&guest.v, VECTOR_UD, why));
    assert_string_equal(why, want);
}

/* A guest in ring 3 of protected mode, without paging, that could take any exception. */
static void healthy_protected(void)
{
    guest_reset_protected();
    guest.v.cpu = CPU_MAX;
    guest.v.arch.cpl = 3;
    for (u64 vector = 0; vector < 32; vector++) {
        guest_write64(IDT + 8 * vector, GATE32 | CODE);
    }
    guest_write64(GDT + 8, CODE32);
    guest_write64(GDT + 0x10, DATA32);
    guest_write64(GDT + 0x18, TSS_AT_C000);
    guest.v.arch.gdtr = (struct x86_dtr){GDT, 0x1F};
    guest.v.arch.idtr = (struct x86_dtr){IDT, 255};
    guest.v.arch.seg[X86_TR] = (struct x86_seg){.base = TSS, .limit = 103, .attr = 0x8B};
    guest_write64(TSS + 4, STACK | 0x10ULL << 32);
    assert_true(autopsy_deliverable(&guest.v, VECTOR_UD, why));
}

static void stacks_of_a_32_bit_tss(void **state)
{
    (void)state;
    healthy_protected();
    guest_write64(TSS + 4, STACK);
    not_delivered("stack entry of the TSS for vector 6 (#UD) has a null selector");
    guest_write64(TSS + 4, STACK | 0x20ULL << 32);
    not_delivered("selector 0x20 in the stack entry of the TSS for vector 6 (#UD) is beyond the GDT limit 0x1f");
    guest_write64(TSS + 4, STACK | 0x8ULL << 32);
    not_delivered("selector 0x8 in the stack entry of the TSS for vector 6 (#UD) is no writable data segment that is present");
    guest_write64(TSS + 4, STACK | 0x13ULL << 32);
    not_delivered("selector 0x13 in the stack entry of the TSS for vector 6 (#UD) is not of ring 0");
    guest_write64(TSS + 4, (GUEST_RAM_BYTES + 4) | 0x10ULL << 32);
    not_delivered("stack at 0x40000: gpa 0x40000 is no memory");
    healthy_protected();
    guest.v.arch.seg[X86_TR].limit = 8;
    not_delivered("TSS limit 0x8: no stack for vector 6 (#UD)");
    guest.v.arch.seg[X86_TR] = (struct x86_seg){.base = TSS, .limit = 43, .attr = 0x83}; /* 16 bits: SP0, SS0 */
    guest_write64(TSS, 0x1000ULL << 16 | 0x10ULL << 32);
    assert_true(autopsy_deliverable(&guest.v, VECTOR_UD, why));
    guest_write64(TSS, 0x1000ULL << 16);
    not_delivered("stack entry of the TSS for vector 6 (#UD) has a null selector");
    healthy_protected();
    guest.v.arch.rflags |= RFLAGS_VM;
    assert_true(autopsy_deliverable(&guest.v, VECTOR_UD, why));
    guest_write64(GDT + 8, CODE32 | BIT(46) | BIT(45));
    not_delivered("selector 0x8 in the gate of vector 6 (#UD) is code of ring 3, which ring 3 in virtual-8086 mode may not enter");
}

static void limits_of_stacks(void **state)
{
    struct x86_seg *ss = &guest.v.arch.seg[X86_SS];

    (void)state;
    healthy_protected();
    guest.v.arch.cpl = 0;
    guest.v.arch.gpr[X86_RSP] = 0x1000;
    ss->limit = 0xFFF;
    assert_true(autopsy_deliverable(&guest.v, VECTOR_UD, why));
    guest.v.arch.gpr[X86_RSP] = 0x1001;
    not_delivered("stack pointer 0x1001 is not within its segment's limit 0xfff");
    guest.v.arch.gpr[X86_RSP] = 2;
    not_delivered("stack pointer 0x2 is not within its segment's limit 0xfff");
    ss->attr |= BIT32(2); /* expand down */
    not_delivered("stack pointer 0x2 is not within its segment's limit 0xfff");
    guest.v.arch.gpr[X86_RSP] = 0x1004;
    assert_true(autopsy_deliverable(&guest.v, VECTOR_UD, why));
}

static void task_gates_and_the_ldt(void **state)
{
    (void)state;
    healthy_protected();
    guest_write64(IDT + 48, 0x0000850000180000ULL);
    assert_true(autopsy_deliverable(&guest.v, VECTOR_UD, why));
    guest_write64(GDT + 0x18, TSS_AT_C000 | BIT(41));
    not_delivered("TSS 0x18 in the task gate of vector 6 (#UD) is busy");
    guest_write64(GDT + 0x18, TSS_AT_C000 - 1);
    not_delivered("TSS 0x18 in the task gate of vector 6 (#UD) has the limit 0x66, which is too little");
    guest_write64(GDT + 0x18, DATA32);
    not_delivered("selector 0x18 in the task gate of vector 6 (#UD) is no TSS that is present");
    guest_write64(IDT + 48, (GATE32 | CODE) + 0x40000);
    guest.v.arch.seg[X86_LDTR] = (struct x86_seg){.base = 0xD000, .limit = 7, .attr = 0x82};
    not_delivered("selector 0xc in the gate of vector 6 (#UD) is beyond the LDT limit 0x7");
    guest.v.arch.seg[X86_LDTR].limit = 15;
    guest_write64(0xD008, CODE32);
    assert_true(autopsy_deliverable(&guest.v, VECTOR_UD, why));
    guest.v.arch.seg[X86_LDTR].attr |= BIT32(16);
    not_delivered("selector 0xc in the gate of vector 6 (#UD) is beyond the LDT limit 0x0");
}

static void real_mode(void **state)
{
    (void)state;
    guest_reset_real();
    guest.v.cpu = CPU_MAX;
    guest.v.arch.idtr.limit = 0x3FF;
    guest.ram[0] = 0xCD;
    guest.ram[1] = 0x21;
    says(VCPU_DEATH_SHUTDOWN, "IDT, GDT, TSS and stack look right by now");
    guest.v.arch.idtr.limit = 0x21 * 4 + 2;
    says(VCPU_DEATH_SHUTDOWN, "IDT limit 0x86: no gate for vector 33");
    guest.v.arch.idtr.limit = 0x3FF;
    guest.v.arch.gpr[X86_RSP] = 1;
    says(VCPU_DEATH_SHUTDOWN, "stack pointer 0x1 is not within its segment's limit 0xffff");
}

static void other_deaths(void **state)
{
    (void)state;
    says(VCPU_DEATH_OTHER, "");
    guest.v.arch.cr0 |= BIT(32);
    says(VCPU_DEATH_ENTRY, "the CPU refused the state: CR0 bits 63:32 are set");
    guest.v.arch.cr0 = CR0_PG | CR0_NE;
    says(VCPU_DEATH_ENTRY, "the CPU refused the state: CR0.PG is set without CR0.PE");
    healthy();
    says(VCPU_DEATH_ENTRY, "the CPU refused the state");
    says(VCPU_DEATH_MEMORY, "a page table for its data, below cr3=0x1000, is in no memory");
    guest.v.arch.cr3 = GUEST_RAM_BYTES;
    says(VCPU_DEATH_MEMORY, "code at 0x8000: its level-4 page-table entry at gpa 0x40000 is in no memory");
    healthy();
    guest.v.state = VCPU_BLOCKED;
    says(VCPU_DEATH_TIMEOUT, "it waited in HLT with interrupts off");
}

static void insn_is(const char *code, size_t len, const char *want)
{
    char text[AUTOPSY_INSN_MAX];
    struct x86_insn in;

    assert_int_equal(x86_decode((const u8 *)code, len, 64, &in), 0);
    autopsy_name_insn(&guest.v.arch, &in, text);
    assert_string_equal(text, want);
}

static void instructions_have_names(void **state)
{
    (void)state;
    guest.v.arch.rip = 0x8000;
    guest.v.arch.gpr[X86_RBX] = 0x1000;
    guest.v.arch.gpr[X86_RCX] = 2;
    guest.v.arch.seg[X86_GS].base = 0x70000;
    insn_is("\x0F\x0B", 2, " op=\"ud2\"");
    insn_is("\x8B\x44\x8B\x10", 4, " op=\"mov\" memory=0x1018");
    insn_is("\x01\x03", 2, " op=\"add\" memory=0x1000");
    insn_is("\xF0\x83\x0B\x01", 4, " op=\"lock or\" memory=0x1000");
    insn_is("\x65\x89\x03", 3, " op=\"mov\" memory=0x71000");
    insn_is("\x48\x8B\x05\xF9\xFF\xFF\xFF", 7, " op=\"mov\" memory=0x8000");
    insn_is("\x67\x8B\x43\xFF", 4, " op=\"mov\" memory=0xfff");
    insn_is("\xF3\xAA", 2, " op=\"rep stos\"");
    insn_is("\xD9\x03", 2, " op=\"x87\" memory=0x1000");
    insn_is("\x0F\x01\x13", 3, " op=\"lgdt\" memory=0x1000");
    insn_is("\x0F\x01\xD9", 3, " op=\"?\"");
    insn_is("\x41\xF7\xF1", 3, " op=\"div\"");
}

static u64 noise(void)
{
    static u64 seed = 88172645463325252ULL;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Registers and tables of noise, most of it small so that it hits memory: ends, with a string that ends. */
static void noise_is_survived(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        u64 *words = (u64 *)&guest.v.arch;
        healthy();
        for (unsigned i = 0; i < 12; i++) {
            words[noise() % (offsetof(struct vcpu_arch, fpu) / 8)] = noise() >> noise() % 64;
            guest_write64((noise() % (GUEST_RAM_BYTES - 8)) & ~7ULL, noise() >> noise() % 64);
            guest_write64(IDT + noise() % 512, noise());
        }
        guest.v.arch.valid = X86_G_ALL;
        guest.v.history_head = (u32)noise();
        host_log_clear();
        vcpu_autopsy(&guest.v, "x", (enum vcpu_death)(noise() % 6));
        unsigned lines = 0;
        for (size_t i = 0; i < host_log_len; i++) {
            lines += host_log[i] == '\n';
        }
        assert_in_range(lines, 1, VCPU_HISTORY + 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_healthy_guest_takes_every_exception, setup),
        cmocka_unit_test_setup(one_thing_wrong, setup),
        cmocka_unit_test_setup(stacks_of_the_tss, setup),
        cmocka_unit_test_setup(stacks_of_a_32_bit_tss, setup),
        cmocka_unit_test_setup(limits_of_stacks, setup),
        cmocka_unit_test_setup(task_gates_and_the_ldt, setup),
        cmocka_unit_test_setup(real_mode, setup),
        cmocka_unit_test_setup(other_deaths, setup),
        cmocka_unit_test_setup(instructions_have_names, setup),
        cmocka_unit_test_setup(noise_is_survived, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
