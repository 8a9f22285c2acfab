/* units: vcpu/x86_64/emulate.c vcpu/x86_64/emulate_short.c vcpu/x86_64/emulate_mem.c vcpu/x86_64/emulate_operand.c vcpu/x86_64/emulate_ops.c vcpu/x86_64/emulate_stack.c vcpu/x86_64/emulate_string.c vcpu/x86_64/emulate_system.c vcpu/x86_64/emulate_far.c vcpu/x86_64/emulate_table.c vcpu/x86_64/emulate_alu.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c vcpu/x86_64/decode_cr.c vcpu/x86_64/linear.c vcpu/x86_64/task_memory.c vcpu/x86_64/task_segments.c vcpu/x86_64/walk.c tests/unit/emu_guest.c */
/* Strings whose memory is translated once for many elements: where such a run has to end, and that it is the same as one element
 * after the other. SDM Vol. 1 7.3.9, Vol. 3 5.3. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/x86.h"
#include <string.h>

#define CODE 0x9000ULL /* behind the page tables */
#define DATA 0x500000ULL     /* in long mode: RAM, device, RAM, read-only RAM, nothing */
#define DATA_GPA 0x20000ULL  /* of these RAM pages, 8 KiB apart */
#define BASE 0x10000ULL      /* of ES and DS in the other modes */
#define ALL (PTE_P | PTE_RW | PTE_US)

enum mode { REAL, PROTECTED, LONG, MODES };

static struct vcpu_arch *const arch = &guest.v.arch;
static struct guest before, other;

static void machine(enum mode mode, const char *bytes, size_t len)
{
    if (mode == LONG) {
        guest_reset_long();
        guest_map(CODE, CODE, ALL);
        guest_map(DATA, DATA_GPA, ALL);
        guest_map(DATA + KIB(4), GUEST_DEVICE, ALL);
        guest_map(DATA + KIB(8), DATA_GPA + KIB(8), ALL);
        guest_map(DATA + KIB(12), DATA_GPA + KIB(16), PTE_P);
    } else if (mode == PROTECTED) {
        guest_reset_protected();
    } else {
        guest_reset_real();
    }
    arch->seg[X86_DS].base = BASE;
    arch->seg[X86_ES].base = BASE;
    memcpy(guest.ram + CODE, bytes, len);
    arch->rip = CODE;
    arch->gpr[X86_RAX] = 0x5A;
    arch->gpr[X86_RDX] = 0x3F8;
}
#define MACHINE(mode, text) machine(mode, text, sizeof(text) - 1)

/* To the end of the instruction or a fault, in several calls. */
static void run(void)
{
    guest.raised = false;
    for (unsigned i = 0; i < 1000 && arch->rip == CODE && !guest.raised; i++) {
        assert_int_equal(vcpu_emulate(&guest.v), 0);
    }
}

static void is_left(u64 rcx, u64 rsi, u64 rdi)
{
    assert_int_equal(arch->gpr[X86_RCX], rcx);
    assert_int_equal(arch->gpr[X86_RSI], rsi);
    assert_int_equal(arch->gpr[X86_RDI], rdi);
}

static void ends(u64 rcx, u64 rsi, u64 rdi)
{
    run();
    assert_false(guest.raised);
    assert_int_not_equal(arch->rip, CODE);
    is_left(rcx, rsi, rdi);
}

static void faults(u8 vector, u64 rcx, u64 rsi, u64 rdi)
{
    run();
    assert_true(guest.raised && guest.vector == vector);
    assert_int_equal(arch->rip, CODE);
    is_left(rcx, rsi, rdi);
}

static void set(u64 rcx, u64 rsi, u64 rdi)
{
    arch->gpr[X86_RCX] = rcx;
    arch->gpr[X86_RSI] = rsi;
    arch->gpr[X86_RDI] = rdi;
}

static bool all(const u8 *at, u8 value, size_t len)
{
    return at[0] == value && memcmp(at, at + 1, len - 1) == 0;
}

static void pages_that_are_no_neighbours(void **state)
{
    (void)state;
    MACHINE(LONG, "\xF3\xA4"); /* rep movsb: a page of RAM, then the device */
    for (unsigned i = 0; i < 40; i++) {
        guest.ram[DATA_GPA + KIB(8) + i] = (u8)(i + 1);
    }
    set(40, DATA + KIB(8), DATA + KIB(4) - 10);
    ends(0, DATA + KIB(8) + 40, DATA + KIB(4) + 30);
    assert_memory_equal(guest.ram + DATA_GPA + 0xFF6, guest.ram + DATA_GPA + KIB(8), 10);
    assert_memory_equal(guest.device, guest.ram + DATA_GPA + KIB(8) + 10, 30);
    assert_int_equal(guest.mmio_count, 30);
    MACHINE(LONG, "\xF3\x66\xAB"); /* rep stosw down, the third one across the boundary */
    arch->rflags |= RFLAGS_DF;
    arch->gpr[X86_RAX] = 0x6969;
    set(5, 0, DATA + KIB(8) + 3);
    ends(0, 0, DATA + KIB(8) - 7);
    assert_true(all(guest.ram + DATA_GPA + KIB(8), 0x69, 5) && guest.ram[DATA_GPA + KIB(8) + 5] == 0);
    assert_true(all(guest.device + 0xFFB, 0x69, 5) && guest.device[0xFFA] == 0);
}

static void page_faults_in_the_middle(void **state)
{
    (void)state;
    MACHINE(LONG, "\xF3\xA4"); /* reads the read-only page, then there is none */
    set(100, DATA + KIB(16) - 70, DATA);
    faults(VECTOR_PF, 30, DATA + KIB(16), DATA + 70);
    assert_true(guest.cr2 == DATA + KIB(16) && guest.error == 0);
    MACHINE(LONG, "\xF3\x48\xAB"); /* rep stosq: that page is not to be written */
    set(100, 0, DATA + KIB(12) - 24);
    faults(VECTOR_PF, 97, 0, DATA + KIB(12));
    assert_true(guest.cr2 == DATA + KIB(12) && guest.error == (PF_ERROR_P | PF_ERROR_WR));
    MACHINE(LONG, "\xF3\x6C"); /* rep insb, down: no byte is taken for the page below */
    arch->rflags |= RFLAGS_DF;
    set(9, 0, DATA + 4);
    faults(VECTOR_PF, 4, 0, DATA - 1);
    assert_true(guest.cr2 == DATA - 1 && guest.pio_count == 5);
}

static void segments_that_end(void **state)
{
    (void)state;
    MACHINE(PROTECTED, "\xF3\xAA");
    arch->seg[X86_ES].limit = 0x104;
    set(200, 0, 0x90);
    faults(VECTOR_GP, 200 - 0x75, 0, 0x105);
    assert_true(all(guest.ram + BASE + 0x90, 0x5A, 0x75) && guest.ram[BASE + 0x105] == 0);
    MACHINE(PROTECTED, "\xF3\xAB"); /* rep stosd: the last would reach beyond */
    arch->seg[X86_ES].limit = 0x106;
    set(0xFFFFFFFF, 0, 0xF8);
    faults(VECTOR_GP, 0xFFFFFFFC, 0, 0x104);
    MACHINE(PROTECTED, "\xF3\xAA"); /* valid above its limit */
    arch->seg[X86_ES].attr |= BIT32(2);
    arch->seg[X86_ES].limit = 0x4FF;
    arch->rflags |= RFLAGS_DF;
    set(100, 0, 0x53F);
    faults(VECTOR_GP, 36, 0, 0x4FF);
    assert_true(all(guest.ram + BASE + 0x500, 0x5A, 64) && guest.ram[BASE + 0x4FF] == 0);
    MACHINE(PROTECTED, "\xF3\xAC"); /* rep lodsb; and below 64 KiB, with 16 bits */
    arch->seg[X86_DS].attr = 0x97;
    arch->seg[X86_DS].limit = 0x4FF;
    set(100, 0xFFF0, 0);
    faults(VECTOR_GP, 84, 0x10000, 0);
}

static void indexes_that_wrap(void **state)
{
    (void)state;
    MACHINE(REAL, "\xF3\xAA");
    set(0xABCD000C, 0, 0x1234FFFA);
    ends(0xABCD0000, 0, 0x12340006);
    assert_true(all(guest.ram + BASE + 0xFFFA, 0x5A, 6) && all(guest.ram + BASE, 0x5A, 6) && guest.ram[BASE + KIB(64)] == 0);
    MACHINE(REAL, "\xF3\xA5"); /* rep movsw, down */
    arch->rflags |= RFLAGS_DF;
    arch->seg[X86_ES].base = BASE + 8; /* so that the index wraps inside of a page */
    memset(guest.ram + BASE, 0x77, 40);
    set(6, 0x20, 4);
    ends(0, 0x14, 0xFFF8);
    assert_true(all(guest.ram + BASE + 8, 0x77, 6) && all(guest.ram + BASE + 8 + 0xFFFA, 0x77, 6));
    MACHINE(REAL, "\xF3\xAB"); /* rep stosw: one that begins at FFFFh passes the limit */
    set(3, 0, 0xFFFD);
    faults(VECTOR_GP, 2, 0, 0xFFFF);
}

static void overlapping_strings(void **state)
{
    (void)state;
    MACHINE(LONG, "\xF3\xA4");
    memcpy(guest.ram + DATA_GPA, "abc", 3);
    set(33, DATA, DATA + 3);
    ends(0, DATA + 33, DATA + 36);
    assert_memory_equal(guest.ram + DATA_GPA, "abcabcabcabcabcabcabcabcabcabcabcabc", 36);
    MACHINE(LONG, "\xF3\xA5"); /* rep movsd: each reads what the one before has written in part */
    memcpy(guest.ram + DATA_GPA, "wxyz", 4);
    set(3, DATA, DATA + 1);
    ends(0, DATA + 12, DATA + 13);
    assert_memory_equal(guest.ram + DATA_GPA, "wwxyzz\0\0\0", 9);
}

static void comparisons_that_end_in_the_middle(void **state)
{
    (void)state;
    MACHINE(LONG, "\xF2\xAE"); /* repne scasb */
    guest.ram[DATA_GPA + 41] = 0x5A;
    set(~0ULL, 0, DATA);
    ends(~0ULL - 42, 0, DATA + 42);
    assert_true((arch->rflags & RFLAGS_ZF) != 0 && guest.lent[false] == 1);
    MACHINE(LONG, "\xF3\xA7"); /* repe cmpsd, down */
    arch->rflags |= RFLAGS_DF;
    memset(guest.ram + DATA_GPA, 0x11, KIB(4));
    memset(guest.ram + DATA_GPA + KIB(8), 0x11, KIB(4));
    guest.ram[DATA_GPA + 0x43]++;
    set(100, DATA + 0x80, DATA + KIB(8) + 0x100);
    ends(83, DATA + 0x3C, DATA + KIB(8) + 0xBC);
    assert_true((arch->rflags & (RFLAGS_ZF | RFLAGS_CF)) == 0);
}

/* A run costs as many page walks and searches for memory as one element. */
static void one_translation_serves_many(void **state)
{
    (void)state;
    MACHINE(LONG, "\xF3\x6E"); /* rep outsb */
    set(1, DATA, 0);
    ends(0, DATA + 1, 0);
    unsigned reads = guest.ram_reads;
    MACHINE(LONG, "\xF3\x6E");
    set(50, DATA, 0);
    ends(0, DATA + 50, 0);
    assert_int_equal(guest.ram_reads, reads);
    assert_true(guest.lent[false] == 1 && guest.lent[true] == 0 && guest.pio_count == 50);
    MACHINE(LONG, "\xF3\xA4"); /* what is not lent is read and written as any memory */
    guest.keeps[false] = true;
    guest.keeps[true] = true;
    memset(guest.ram + DATA_GPA, 0x33, 50);
    set(50, DATA, DATA + KIB(8));
    ends(0, DATA + 50, DATA + KIB(8) + 50);
    assert_true(all(guest.ram + DATA_GPA + KIB(8), 0x33, 50) && guest.ram_reads > 50);
    assert_true(guest.lent[false] == 1 && guest.lent[true] == 1);
}

/* --- a run against its elements ---------------------------------------------------------------------------------------- */

struct form {
    char bytes[4]; /* without REP */
    u8 len;
    u8 rep;
    bool compares;
    u64 count_mask;
};

static struct form random_form(enum mode mode)
{
    static const u8 opcodes[] = {0x6C, 0x6D, 0x6E, 0x6F, 0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF};
    u8 opcode = opcodes[random64() % ARRAY_SIZE(opcodes)];
    bool narrow = mode == REAL, other_address = random64() % 3 == 0;
    struct form f = {.rep = random64() % 2 != 0 ? 0xF3 : 0xF2, .compares = (opcode & ~9) == 0xA6};

    if (other_address) {
        f.bytes[f.len++] = 0x67;
        narrow = mode == PROTECTED;
    }
    f.count_mask = narrow ? 0xFFFF : mode == LONG && !other_address ? ~0ULL : 0xFFFFFFFF;
    if (random64() % 3 == 0) {
        f.bytes[f.len++] = 0x66;
    }
    if (mode == LONG && random64() % 3 == 0) {
        f.bytes[f.len++] = 0x48;
    }
    f.bytes[f.len++] = (char)opcode;
    return f;
}

/* Next to what ends a run. */
static u64 random_index(enum mode mode, u32 limit)
{
    u64 near = random64() % 5 * KIB(4) + (mode == LONG ? DATA : 0);

    if (mode != LONG && random64() % 2 != 0) {
        near = random64() % 2 != 0 ? limit : KIB(64);
    }
    return near + random64() % 64 - 32;
}

static struct x86_seg random_segment(enum mode mode)
{
    static const u32 attrs[] = {0xC093, 0x4093, 0x93, 0xC097, 0x97};
    struct x86_seg s = {.base = BASE + random64() % 64, .limit = 0xFFFF, .attr = 0x93};

    if (mode == PROTECTED) {
        s.attr = attrs[random64() % ARRAY_SIZE(attrs)];
        s.limit = (u32)(KIB(4) + random64() % KIB(8));
    }
    return s;
}

/* One element after the other, as the instruction without REP; they change RCX here. */
static void run_elements(const struct form *f)
{
    bool wanted = f->rep == 0xF3;

    guest.raised = false;
    while ((arch->gpr[X86_RCX] & f->count_mask) != 0) {
        arch->rip = CODE;
        assert_int_equal(vcpu_emulate(&guest.v), 0);
        if (guest.raised) {
            return;
        }
        u64 kept = f->count_mask == 0xFFFF ? arch->gpr[X86_RCX] & ~f->count_mask : 0;
        arch->gpr[X86_RCX] = kept | ((arch->gpr[X86_RCX] - 1) & f->count_mask);
        if (f->compares && wanted != ((arch->rflags & RFLAGS_ZF) != 0)) {
            return;
        }
    }
}

static void equal_states(void)
{
    assert_memory_equal(other.v.arch.gpr, arch->gpr, sizeof(arch->gpr));
    assert_int_equal(other.v.arch.rflags, arch->rflags);
    assert_true(other.raised == guest.raised && other.vector == guest.vector && other.error == guest.error && other.cr2 == guest.cr2);
    memset(other.ram + CODE, 0, 16);
    memset(guest.ram + CODE, 0, 16);
    assert_memory_equal(other.ram, guest.ram, sizeof(guest.ram));
    assert_memory_equal(other.device, guest.device, sizeof(guest.device));
    assert_true(other.mmio_count == guest.mmio_count && other.pio_count == guest.pio_count);
    assert_memory_equal(other.mmio, guest.mmio, guest.mmio_count * sizeof(guest.mmio[0]));
    assert_memory_equal(other.pio, guest.pio, guest.pio_count * sizeof(guest.pio[0]));
}

static void runs_equal_their_elements(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        enum mode mode = (enum mode)(i % MODES);
        struct form f = random_form(mode);
        machine(mode, f.bytes, f.len);
        arch->seg[X86_ES] = random_segment(mode);
        arch->seg[X86_DS] = random_segment(mode);
        arch->rflags |= random64() % 2 != 0 ? RFLAGS_DF : 0;
        set(random64() % 150, random_index(mode, arch->seg[X86_DS].limit), random_index(mode, arch->seg[X86_ES].limit));
        for (unsigned k = 0; k < KIB(4) && !f.compares; k++) {
            guest.ram[BASE + KIB(4) * (random64() % 40) + k] = (u8)random64();
        }
        before = guest;
        run_elements(&f);
        other = guest;
        guest = before;
        memmove(guest.ram + CODE + 1, guest.ram + CODE, f.len);
        guest.ram[CODE] = f.rep;
        run();
        assert_int_equal(arch->rip, guest.raised ? CODE : CODE + 1 + f.len);
        equal_states();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_that_are_no_neighbours), cmocka_unit_test(page_faults_in_the_middle),
        cmocka_unit_test(segments_that_end), cmocka_unit_test(indexes_that_wrap),
        cmocka_unit_test(overlapping_strings), cmocka_unit_test(comparisons_that_end_in_the_middle),
        cmocka_unit_test(one_translation_serves_many), cmocka_unit_test(runs_equal_their_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
