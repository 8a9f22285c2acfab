/* units: vcpu/x86_64/emulate.c vcpu/x86_64/emulate_short.c vcpu/x86_64/emulate_mem.c vcpu/x86_64/emulate_operand.c vcpu/x86_64/emulate_ops.c vcpu/x86_64/emulate_stack.c vcpu/x86_64/emulate_string.c vcpu/x86_64/emulate_system.c vcpu/x86_64/emulate_far.c vcpu/x86_64/emulate_table.c vcpu/x86_64/emulate_alu.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c vcpu/x86_64/decode_cr.c vcpu/x86_64/linear.c vcpu/x86_64/task_memory.c vcpu/x86_64/task_segments.c vcpu/x86_64/walk.c tests/unit/emu_guest.c */
/* The emulator's rules that the native comparison cannot show: segmentation, faults and restart, LOCK, port strings, stack
 * and branches, bounded work, what is refused; and the decoding of control register accesses. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/x86.h"
#include <string.h>

#define CODE 0x400000ULL
#define CODE_GPA 0x20000ULL
#define DATA 0x500000ULL
#define DATA_GPA 0x24000ULL
#define ALL (PTE_P | PTE_RW | PTE_US)

static struct vcpu_arch *const arch = &guest.v.arch;

static void put_code(u64 gpa, const char *bytes, size_t len)
{
    memset(guest.ram + gpa, 0x90, 32);
    memcpy(guest.ram + gpa, bytes, len);
}

/* 64-bit: code at CODE, one RAM page and one device page at DATA, nothing behind. */
static void long_mode(const char *bytes, size_t len)
{
    guest_reset_long();
    guest_map(CODE, CODE_GPA, ALL);
    guest_map(DATA, DATA_GPA, ALL);
    guest_map(DATA + KIB(4), GUEST_DEVICE, ALL);
    put_code(CODE_GPA, bytes, len);
    arch->rip = CODE;
}
#define LONG(text) long_mode(text, sizeof(text) - 1)

static void legacy_mode(const char *bytes, size_t len, bool real)
{
    if (real) {
        guest_reset_real();
    } else {
        guest_reset_protected();
    }
    put_code(0x2000, bytes, len);
    arch->rip = 0x2000;
}
#define REAL(text) legacy_mode(text, sizeof(text) - 1, true)
#define PROTECTED(text) legacy_mode(text, sizeof(text) - 1, false)

static void done(u64 rip)
{
    guest.raised = false;
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_false(guest.raised);
    assert_int_equal(arch->rip, rip);
}

/* The instruction faults and changes nothing. */
static void faults(u8 vector, bool has_error, u32 error)
{
    struct vcpu_arch before = *arch;

    guest.raised = false;
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_true(guest.raised);
    assert_int_equal(guest.vector, vector);
    assert_int_equal(guest.has_error, has_error);
    assert_int_equal(guest.error, error);
    assert_memory_equal(before.gpr, arch->gpr, sizeof(before.gpr));
    assert_int_equal(before.rip, arch->rip);
    assert_int_equal(before.rflags, arch->rflags);
}

static void page_faults_name_the_byte(void **state)
{
    (void)state;
    LONG("\x48\x89\x03"); /* mov [rbx], rax: its second half lies on no page */
    arch->gpr[X86_RBX] = DATA + KIB(8) - 4;
    faults(VECTOR_PF, true, PF_ERROR_WR);
    assert_int_equal(guest.cr2, DATA + KIB(8));
    assert_int_equal(guest.mmio_count, 0);
    guest_map(DATA + KIB(8), DATA_GPA, PTE_P | PTE_US);
    arch->cpl = 3;
    faults(VECTOR_PF, true, PF_ERROR_P | PF_ERROR_WR | PF_ERROR_US);
    LONG("\xF0\x48\x01\x03"); /* lock add: not even read */
    arch->gpr[X86_RBX] = DATA + KIB(8) - 4;
    faults(VECTOR_PF, true, PF_ERROR_WR);
    assert_int_equal(guest.mmio_count, 0);
}

static void canonical_addresses(void **state)
{
    (void)state;
    LONG("\x48\x89\x03");
    arch->gpr[X86_RBX] = 0x800000000000ULL;
    faults(VECTOR_GP, true, 0);
    arch->gpr[X86_RBX] = 0x7FFFFFFFFFFFULL; /* the last byte is not canonical */
    faults(VECTOR_GP, true, 0);
    LONG("\x48\x89\x45\x00");
    arch->gpr[X86_RBP] = BIT(63);
    faults(VECTOR_SS, true, 0);
    LONG("\x50");
    arch->gpr[X86_RSP] = BIT(62);
    faults(VECTOR_SS, true, 0);
}

static void segment_bases_and_limits(void **state)
{
    (void)state;
    LONG("\x65\x88\x03"); /* mov gs:[rbx], al */
    arch->seg[X86_GS].base = DATA;
    arch->seg[X86_DS].base = 0x1234; /* ignored in 64-bit code */
    arch->gpr[X86_RBX] = 5;
    arch->gpr[X86_RAX] = 0x77;
    done(CODE + 3);
    assert_int_equal(guest.ram[DATA_GPA + 5], 0x77);
    REAL("\x26\x66\x89\x07"); /* mov es:[bx], eax */
    arch->seg[X86_ES].base = 0x10000;
    arch->gpr[X86_RBX] = 0xFFFF0000 | 0xFFFC;
    arch->gpr[X86_RAX] = 0x12345678;
    done(0x2004);
    assert_int_equal(guest.ram[0x1FFFF], 0x12);
    arch->rip = 0x2000;
    arch->gpr[X86_RBX]++;
    faults(VECTOR_GP, false, 0); /* real mode pushes no error codes */
    PROTECTED("\x88\x03");
    arch->seg[X86_DS].limit = 0xFFF;
    arch->gpr[X86_RBX] = 0xFFF;
    done(0x2002);
    arch->rip = 0x2000;
    arch->gpr[X86_RBX] = 0x1000;
    faults(VECTOR_GP, true, 0);
    arch->seg[X86_DS].attr |= BIT32(2); /* expand-down: valid above the limit */
    done(0x2002);
    arch->rip = 0x2000;
    arch->gpr[X86_RBX] = 0xFFF;
    faults(VECTOR_GP, true, 0);
}

static void segment_rights(void **state)
{
    (void)state;
    PROTECTED("\x88\x03");
    arch->seg[X86_DS].attr &= ~BIT32(1); /* read-only */
    faults(VECTOR_GP, true, 0);
    arch->seg[X86_DS].attr |= BIT32(16); /* null selector */
    faults(VECTOR_GP, true, 0);
    PROTECTED("\x2E\x8A\x03"); /* mov al, cs:[ebx] */
    arch->gpr[X86_RBX] = 0x2000;
    done(0x2003);
    assert_int_equal(arch->gpr[X86_RAX], 0x2E);
    arch->rip = 0x2000;
    arch->seg[X86_CS].attr &= ~BIT32(1); /* execute-only */
    faults(VECTOR_GP, true, 0);
    PROTECTED("\x2E\x88\x03");
    faults(VECTOR_GP, true, 0);
    REAL("\x2E\x88\x07"); /* but real mode writes through CS */
    done(0x2003);
}

static void lock_where_illegal(void **state)
{
    static const char cases[][6] = {"\xF0\x89\x03", "\xF0\x01\xC3", "\xF0\x39\x03", "\xF0\x8B\x03", "\xF0\xAA\x90",
                                        "\xF0\x83\x3B", "\xF0\x0F\xA3\x03"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        long_mode(cases[i], 4);
        arch->gpr[X86_RBX] = DATA;
        faults(VECTOR_UD, false, 0);
    }
}

static void what_is_no_memory_form(void **state)
{
    (void)state;
    LONG("\x0F\xC7\xC9"); /* cmpxchg8b ecx */
    faults(VECTOR_UD, false, 0);
    LONG("\x0F\xC3\xC0");
    faults(VECTOR_UD, false, 0);
    LONG("\x06");
    faults(VECTOR_UD, false, 0);
    LONG("\x48\x0F\xC7\x0B"); /* cmpxchg16b wants 16-byte alignment */
    arch->gpr[X86_RBX] = DATA + 8;
    faults(VECTOR_GP, true, 0);
    LONG("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x89\x03");
    faults(VECTOR_GP, true, 0);
}

static void unknown_instructions_are_refused(void **state)
{
    static const char cases[][6] = {"\x0F\x28\x03", "\xC5\xF8\x28\x03", "\xD9\x03", "\x0F\x01\x13", "\x0F\xC7\x33",
                                        "\xF2\x0F\x38\xF0\x03", "\x8C\x03"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        long_mode(cases[i], 5);
        arch->gpr[X86_RBX] = DATA;
        struct vcpu_arch before = *arch;
        assert_int_equal(vcpu_emulate(&guest.v), -E_NOSYS);
        assert_false(guest.raised);
        assert_memory_equal(&before, arch, sizeof(before));
    }
    LONG("\x66\x0F\xAE\x3B"); /* clflushopt of a device does nothing */
    arch->gpr[X86_RBX] = DATA + KIB(4);
    done(CODE + 4);
    LONG("\x90"); /* code in device memory */
    arch->rip = DATA + KIB(4);
    assert_int_equal(vcpu_emulate(&guest.v), -E_NOSYS);
    arch->rip = DATA + KIB(64); /* code on no page */
    faults(VECTOR_PF, true, PF_ERROR_ID);
    assert_int_equal(guest.cr2, DATA + KIB(64));
}

/* A device access made by an event's delivery is not the instruction's at the PC. */
static void event_delivery_is_refused(void **state)
{
    (void)state;
    LONG("\x88\x03");
    arch->gpr[X86_RBX] = DATA;
    arch->reinject = true;
    arch->interrupted_type = VCPU_EVENT_EXCEPTION;
    assert_int_equal(vcpu_emulate(&guest.v), -E_NOSYS);
    arch->interrupted_type = VCPU_EVENT_IRQ;
    arch->rflags |= RFLAGS_IF;
    assert_int_equal(vcpu_emulate(&guest.v), -E_NOSYS);
    arch->rflags &= ~RFLAGS_IF; /* kept until the guest can take it */
    done(CODE + 2);
}

static void device_accesses_keep_their_width(void **state)
{
    static const struct { const char *code; u8 len, size, count; } cases[] = {
        {"\x88\x03", 2, 1, 1}, {"\x66\x89\x03", 3, 2, 1}, {"\x89\x03", 2, 4, 1}, {"\x48\x89\x03", 3, 8, 1},
        {"\x0F\xB6\x03", 3, 1, 1}, {"\x0F\xB7\x03", 3, 2, 1}, {"\x48\x63\x03", 3, 4, 1}, {"\x09\x03", 2, 4, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        long_mode(cases[i].code, cases[i].len);
        arch->gpr[X86_RBX] = DATA + KIB(4) + 0x10;
        done(CODE + cases[i].len);
        assert_int_equal(guest.mmio_count, cases[i].count);
        for (unsigned k = 0; k < guest.mmio_count; k++) {
            assert_int_equal(guest.mmio[k].address, GUEST_DEVICE + 0x10);
            assert_int_equal(guest.mmio[k].size, cases[i].size);
        }
    }
    LONG("\x48\x89\x03"); /* three bytes RAM, five bytes device: 4 and 1 */
    arch->gpr[X86_RBX] = DATA + KIB(4) - 3;
    arch->gpr[X86_RAX] = 0x8877665544332211ULL;
    done(CODE + 3);
    assert_memory_equal(guest.ram + DATA_GPA + 0xFFD, "\x11\x22\x33", 3);
    assert_int_equal(guest.mmio_count, 2);
    assert_int_equal(guest.mmio[0].value, 0x77665544);
    assert_int_equal(guest.mmio[1].address, GUEST_DEVICE + 4);
    assert_int_equal(guest.mmio[1].value, 0x88);
}

/* Row 26: a string from a port across a page boundary, then the second page is missing. */
static void port_strings(void **state)
{
    (void)state;
    LONG("\xF3\x6C"); /* rep insb */
    guest_map(DATA + KIB(4), DATA_GPA + KIB(8), ALL);
    arch->gpr[X86_RDX] = 0xABCD03F8;
    arch->gpr[X86_RCX] = 20;
    arch->gpr[X86_RDI] = DATA + KIB(4) - 10;
    guest.pio_next = 0x40;
    done(CODE + 2);
    assert_int_equal(guest.pio_count, 20);
    assert_true(guest.pio[0].address == 0x3F8 && guest.pio[0].size == 1 && !guest.pio[0].write);
    assert_memory_equal(guest.ram + DATA_GPA + 0xFF6, "@ABCDEFGHI", 10);
    assert_memory_equal(guest.ram + DATA_GPA + KIB(8), "JKLMNOPQRS", 10);
    assert_int_equal(arch->gpr[X86_RCX], 0);
    assert_int_equal(arch->gpr[X86_RDI], DATA + KIB(4) + 10);
    LONG("\xF3\x66\x6F"); /* rep outsw, downwards */
    memcpy(guest.ram + DATA_GPA, "abcdef", 6);
    arch->rflags |= RFLAGS_DF;
    arch->gpr[X86_RDX] = 0x1F0;
    arch->gpr[X86_RCX] = 3;
    arch->gpr[X86_RSI] = DATA + 4;
    done(CODE + 3);
    assert_int_equal(guest.pio_count, 3);
    assert_true(guest.pio[0].value == 0x6665 && guest.pio[2].value == 0x6261 && guest.pio[1].write && guest.pio[1].size == 2);
    assert_int_equal(arch->gpr[X86_RSI], DATA - 2);
    LONG("\x48\x6D"); /* insd whatever REX.W says */
    arch->gpr[X86_RDI] = DATA;
    done(CODE + 2);
    assert_int_equal(guest.pio[0].size, 4);
    assert_int_equal(arch->gpr[X86_RDI], DATA + 4);
}

static void smsw_and_umip(void **state)
{
    (void)state;
    LONG("\x0F\x01\x23"); /* smsw [rbx] */
    arch->gpr[X86_RBX] = DATA;
    arch->cpl = 3;
    done(CODE + 3);
    assert_memory_equal(guest.ram + DATA_GPA, &arch->cr0, 2);
    arch->rip = CODE;
    arch->cr4 |= CR4_UMIP;
    faults(VECTOR_GP, true, 0);
    arch->cpl = 0;
    done(CODE + 3);
}

/* The TSS at DATA has its map at 104. */
static void port_strings_want_permission(void **state)
{
    (void)state;
    LONG("\x6F"); /* outsd */
    arch->gpr[X86_RDX] = 0x0E;
    arch->gpr[X86_RSI] = DATA;
    arch->cpl = 3;
    arch->seg[X86_TR].base = DATA;
    arch->seg[X86_TR].limit = 107;
    arch->seg[X86_TR].attr = 0x8B;
    guest.ram[DATA_GPA + 102] = 104;
    guest.ram[DATA_GPA + 105] = 0x3F; /* ports 8 to 13 */
    guest.ram[DATA_GPA + 106] = 0xFC; /* 18 and beyond */
    done(CODE + 1);
    assert_int_equal(guest.pio_count, 1);
    arch->rip = CODE;
    arch->gpr[X86_RDX] = 0x0D;
    faults(VECTOR_GP, true, 0);
    arch->gpr[X86_RDX] = 0x0F;
    faults(VECTOR_GP, true, 0);
    arch->gpr[X86_RDX] = 0x18; /* its word is not all within the limit */
    faults(VECTOR_GP, true, 0);
    arch->gpr[X86_RDX] = 0x0E;
    arch->seg[X86_TR].attr = 0x83; /* one of 16 bits has no map */
    faults(VECTOR_GP, true, 0);
    arch->seg[X86_TR].limit = 102;
    faults(VECTOR_GP, true, 0);
    arch->rflags |= FIELD_PREP(RFLAGS_IOPL_MASK, 2);
    faults(VECTOR_GP, true, 0);
    assert_int_equal(guest.pio_count, 1);
    arch->rflags |= RFLAGS_IOPL_MASK;
    done(CODE + 1);
    assert_int_equal(guest.pio_count, 2);
    PROTECTED("\x6E");
    arch->rflags |= RFLAGS_IOPL_MASK | RFLAGS_VM; /* in virtual-8086 mode the map alone counts */
    arch->cpl = 3;
    arch->seg[X86_TR] = (struct x86_seg){.attr = 0x8B, .limit = 102};
    faults(VECTOR_GP, true, 0);
    arch->seg[X86_TR].limit = 103;
    done(0x2001);
}

static void strings_stop_where_memory_stops(void **state)
{
    (void)state;
    LONG("\xF3\x6C");
    arch->gpr[X86_RCX] = 20;
    arch->gpr[X86_RDI] = DATA + KIB(8) - 5;
    assert_int_equal(vcpu_emulate(&guest.v), 0);
    assert_true(guest.raised && guest.vector == VECTOR_PF && guest.cr2 == DATA + KIB(8));
    assert_int_equal(arch->gpr[X86_RCX], 15); /* five done, and no sixth byte taken from the port */
    assert_int_equal(guest.pio_count, 5);
    assert_int_equal(arch->rip, CODE);
    LONG("\xF3\xAA"); /* rep stosb of more than one call's share */
    arch->gpr[X86_RCX] = 3000;
    arch->gpr[X86_RDI] = DATA;
    arch->gpr[X86_RAX] = 0x5A;
    unsigned calls = 0;
    while (arch->rip == CODE && calls < 1000) {
        assert_int_equal(vcpu_emulate(&guest.v), 0);
        calls++;
    }
    assert_true(calls > 1 && calls < 1000);
    assert_int_equal(arch->gpr[X86_RDI], DATA + 3000);
    assert_int_equal(arch->gpr[X86_RCX], 0);
    assert_int_equal(guest.ram[DATA_GPA + 2999], 0x5A);
}

static void stack_widths(void **state)
{
    (void)state;
    REAL("\x66\x50"); /* push eax with a 16-bit stack */
    arch->gpr[X86_RSP] = 0x12340002;
    arch->gpr[X86_RAX] = 0x11223344;
    faults(VECTOR_SS, false, 0);
    arch->gpr[X86_RSP] = 0x12343000;
    done(0x2002);
    assert_int_equal(arch->gpr[X86_RSP], 0x12342FFC);
    assert_int_equal(guest.ram[0x2FFC], 0x44);
    PROTECTED("\x66\x58");
    arch->gpr[X86_RSP] = 0x3000;
    guest.ram[0x3000] = 0x99;
    done(0x2002);
    assert_int_equal(arch->gpr[X86_RSP], 0x3002);
    assert_int_equal(arch->gpr[X86_RAX], 0x99);
}

static void near_branches(void **state)
{
    u64 target = CODE + 0x800;

    (void)state;
    LONG("\xFF\x13"); /* call [rbx] */
    arch->gpr[X86_RBX] = DATA + KIB(4);
    arch->gpr[X86_RSP] = DATA + 0x100;
    memcpy(guest.device, &target, 8);
    done(target);
    assert_int_equal(guest_read64(DATA_GPA + 0xF8), CODE + 2);
    assert_int_equal(arch->gpr[X86_RSP], DATA + 0xF8);
    LONG("\xFF\x23");
    arch->gpr[X86_RBX] = DATA + KIB(4);
    memcpy(guest.device, &target, 8);
    done(target);
    LONG("\xFF\x13");
    arch->gpr[X86_RBX] = DATA;
    guest_write64(DATA_GPA, BIT(50));
    arch->gpr[X86_RSP] = DATA + 0x100;
    faults(VECTOR_GP, true, 0);
}

/* --- LTR with its table in a device ---------------------------------------------------------------------------------- */

#define TSS_AVAILABLE 0x0000890012340067ULL

static void table(u64 base, u16 limit, u64 low, u64 high)
{
    arch->gdtr.base = base;
    arch->gdtr.limit = limit;
    arch->gpr[X86_RAX] = 0xFFFF0008;
    memcpy(guest.device + 8, &low, 8);
    memcpy(guest.device + 16, &high, 8);
}

static void ltr_takes(u64 rip, u64 base)
{
    done(rip);
    const struct x86_seg *tr = &arch->seg[X86_TR];
    assert_true(tr->selector == 8 && tr->base == base && tr->limit == 0x67 && tr->attr == 0x8B);
    const struct guest_access *last = &guest.mmio[guest.mmio_count - 1];
    assert_true(last->write && last->address == GUEST_DEVICE + 13 && last->size == 1 && last->value == 0x8B);
}

static void ltr_refuses(u8 vector, u32 error)
{
    struct x86_seg before = arch->seg[X86_TR];
    unsigned count = guest.mmio_count;

    faults(vector, true, error);
    assert_memory_equal(&before, &arch->seg[X86_TR], sizeof(before));
    for (; count < guest.mmio_count; count++) {
        assert_false(guest.mmio[count].write);
    }
}

#define LTR_AX "\x0F\x00\xD8"

static void ltr_in_protected_mode(void **state)
{
    static const u64 types[] = {0x8B, 0x82, 0x99, 0x85, 0x8F};

    (void)state;
    PROTECTED(LTR_AX);
    table(GUEST_DEVICE, 15, TSS_AVAILABLE, 0);
    ltr_takes(0x2003, 0x1234);
    PROTECTED("\xF0" LTR_AX);
    faults(VECTOR_UD, false, 0);
    PROTECTED(LTR_AX);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        table(GUEST_DEVICE, 15, (TSS_AVAILABLE & ~GENMASK(47, 40)) | types[i] << 40, 0);
        ltr_refuses(VECTOR_GP, 8);
    }
    table(GUEST_DEVICE, 15, TSS_AVAILABLE & ~BIT(47), 0);
    ltr_refuses(VECTOR_NP, 8);
    table(GUEST_DEVICE, 14, TSS_AVAILABLE, 0);
    ltr_refuses(VECTOR_GP, 8);
    table(GUEST_DEVICE, 15, TSS_AVAILABLE, 0);
    arch->gpr[X86_RAX] = 0xF;
    ltr_refuses(VECTOR_GP, 0xC);
    arch->gpr[X86_RAX] = 3;
    ltr_refuses(VECTOR_GP, 0);
    arch->gpr[X86_RAX] = 8;
    arch->cpl = 3;
    ltr_refuses(VECTOR_GP, 0);
    REAL(LTR_AX);
    faults(VECTOR_UD, false, 0);
}

static void ltr_in_long_mode(void **state)
{
    (void)state;
    LONG(LTR_AX);
    table(DATA + KIB(4), 23, TSS_AVAILABLE, 0xFFFF8000);
    ltr_takes(CODE + 3, 0xFFFF800000001234);
    LONG(LTR_AX);
    table(DATA + KIB(4), 23, TSS_AVAILABLE, 0x00FF8000); /* not canonical */
    ltr_refuses(VECTOR_GP, 8);
    table(DATA + KIB(4), 23, TSS_AVAILABLE, BIT(40));
    ltr_refuses(VECTOR_GP, 8);
    table(DATA + KIB(4), 22, TSS_AVAILABLE, 0);
    ltr_refuses(VECTOR_GP, 8);
    table(DATA + KIB(4), 23, TSS_AVAILABLE & ~BIT(43), 0); /* a 16-bit TSS */
    ltr_refuses(VECTOR_GP, 8);
    table(0x600000, 23, TSS_AVAILABLE, 0);
    ltr_refuses(VECTOR_PF, 0);
    assert_int_equal(guest.cr2, 0x600008);
}

static struct x86_exit cr_of(const char *bytes, size_t len)
{
    struct x86_exit xe = {.code = X86_EXIT_CR};

    long_mode(bytes, len);
    arch->gpr[X86_RBX] = DATA;
    arch->gpr[X86_R10] = 0x1111BEEF;
    guest.ram[DATA_GPA] = 0x3D;
    assert_int_equal(x86_decode_cr_dr(&guest.v, &xe), 0);
    assert_int_equal(xe.insn_len, len);
    return xe;
}
#define CR_OF(text) cr_of(text, sizeof(text) - 1)

static void control_register_accesses(void **state)
{
    static const u8 numbers[] = {0, 2, 3, 4, 8};

    (void)state;
    for (u8 gpr = 0; gpr < 16; gpr++) { /* row 20: every GPR, both directions */
        for (size_t i = 0; i < ARRAY_SIZE(numbers) * 2; i++) {
            u8 cr = numbers[i / 2];
            char bytes[4] = {(char)(0x40 | gpr >> 3 | cr >> 3 << 2), 0x0F, (char)(0x20 + 2 * (i % 2)),
                             (char)(0xC0 | (cr & 7) << 3 | (gpr & 7))};
            struct x86_exit xe = cr_of(bytes, 4);
            assert_true(xe.cr.decoded && xe.cr.cr == cr && xe.cr.gpr == gpr && xe.cr.write == (i % 2 == 1));
            assert_int_equal(xe.cr.kind, X86_CR_MOV);
        }
    }
    struct x86_exit xe = CR_OF("\x0F\x06");
    assert_true(xe.cr.kind == X86_CR_CLTS && xe.cr.write);
    xe = CR_OF("\x41\x0F\x01\xF2"); /* lmsw r10w */
    assert_true(xe.cr.kind == X86_CR_LMSW && xe.cr.write && xe.cr.lmsw == 0xBEEF);
    xe = CR_OF("\x0F\x01\x33"); /* lmsw [rbx] */
    assert_true(xe.cr.kind == X86_CR_LMSW && xe.cr.lmsw == 0x3D);
    xe = CR_OF("\x0F\x01\xE3");
    assert_true(xe.cr.kind == X86_CR_SMSW && !xe.cr.write && xe.cr.gpr == X86_RBX);
    xe = CR_OF("\x0F\x01\x23");
    assert_true(xe.cr.kind == X86_CR_SMSW && xe.cr.gpr == X86_GPRS);
    done(CODE + 3);
    assert_int_equal(guest_read64(DATA_GPA), arch->cr0 & 0xFFFF);
    xe = CR_OF("\x44\x0F\x23\xC9"); /* mov dr9, rcx does not exist: VCPU's #UD */
    assert_true(xe.code == X86_EXIT_DR && xe.dr.dr == 9);
    xe = CR_OF("\x0F\x21\xF8");
    assert_true(xe.code == X86_EXIT_DR && xe.dr.dr == 7 && !xe.dr.write && xe.dr.gpr == X86_RAX);
    xe = CR_OF("\xF0\x0F\x22\xC1"); /* AMD's other name of CR8 */
    assert_int_equal(xe.cr.cr, 8);
    LONG("\x0F\x01\xF3\x90");
    arch->rip++;
    assert_int_equal(x86_decode_cr_dr(&guest.v, &xe), -E_NOSYS);
    LONG("\x0F\x01\x33");
    arch->gpr[X86_RBX] = 0x600000;
    assert_int_equal(x86_decode_cr_dr(&guest.v, &xe), -E_GUEST);
    assert_true(guest.raised && guest.vector == VECTOR_PF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_faults_name_the_byte),
        cmocka_unit_test(canonical_addresses),
        cmocka_unit_test(segment_bases_and_limits),
        cmocka_unit_test(segment_rights),
        cmocka_unit_test(lock_where_illegal),
        cmocka_unit_test(what_is_no_memory_form),
        cmocka_unit_test(unknown_instructions_are_refused),
        cmocka_unit_test(event_delivery_is_refused),
        cmocka_unit_test(device_accesses_keep_their_width),
        cmocka_unit_test(port_strings),
        cmocka_unit_test(port_strings_want_permission), cmocka_unit_test(smsw_and_umip), cmocka_unit_test(strings_stop_where_memory_stops),
        cmocka_unit_test(stack_widths),
        cmocka_unit_test(near_branches),
        cmocka_unit_test(ltr_in_protected_mode),
        cmocka_unit_test(ltr_in_long_mode),
        cmocka_unit_test(control_register_accesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
