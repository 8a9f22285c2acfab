/* units: vcpu/x86_64/emulate.c vcpu/x86_64/emulate_short.c vcpu/x86_64/emulate_mem.c vcpu/x86_64/emulate_operand.c vcpu/x86_64/emulate_ops.c vcpu/x86_64/emulate_stack.c vcpu/x86_64/emulate_string.c vcpu/x86_64/emulate_system.c vcpu/x86_64/emulate_far.c vcpu/x86_64/emulate_table.c vcpu/x86_64/emulate_alu.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c vcpu/x86_64/decode_cr.c vcpu/x86_64/linear.c vcpu/x86_64/task_memory.c vcpu/x86_64/task_segments.c vcpu/x86_64/walk.c tests/unit/emu_guest.c */
/* The emulator against the CPU that runs this test: each instruction is executed by both on the same registers, flags and
 * memory, and everything is compared. Memory is RAM, a device, and both sides of a page boundary. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/x86.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CODE 0x20000000UL
#define DATA 0x10000000UL
#define DATA_PAGES 4U
#define DATA_BYTES KIB(16)
#define CODE_GPA 0x20000ULL
#define DATA_GPA 0x24000ULL
#define STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* --- native execution ---------------------------------------------------------------------------------------------- */

u64 native_gpr[16], native_flags, native_target = CODE, native_stack;
void native_run(void);
void native_back(void);
__asm__(".text\n"
        ".globl native_run, native_back\n"
        "native_run:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, native_stack(%rip)\n"
        "push native_flags(%rip); popfq\n"
        "mov native_gpr+8*0(%rip), %rax; mov native_gpr+8*1(%rip), %rcx; mov native_gpr+8*2(%rip), %rdx\n"
        "mov native_gpr+8*3(%rip), %rbx; mov native_gpr+8*5(%rip), %rbp; mov native_gpr+8*6(%rip), %rsi\n"
        "mov native_gpr+8*7(%rip), %rdi; mov native_gpr+8*8(%rip), %r8; mov native_gpr+8*9(%rip), %r9\n"
        "mov native_gpr+8*10(%rip), %r10; mov native_gpr+8*11(%rip), %r11; mov native_gpr+8*12(%rip), %r12\n"
        "mov native_gpr+8*13(%rip), %r13; mov native_gpr+8*14(%rip), %r14; mov native_gpr+8*15(%rip), %r15\n"
        "mov native_gpr+8*4(%rip), %rsp\n"
        "jmp *native_target(%rip)\n"
        "native_back:\n"
        "mov %rsp, native_gpr+8*4(%rip); mov native_stack(%rip), %rsp\n"
        "pushfq; pop native_flags(%rip); cld\n"
        "mov %rax, native_gpr+8*0(%rip); mov %rcx, native_gpr+8*1(%rip); mov %rdx, native_gpr+8*2(%rip)\n"
        "mov %rbx, native_gpr+8*3(%rip); mov %rbp, native_gpr+8*5(%rip); mov %rsi, native_gpr+8*6(%rip)\n"
        "mov %rdi, native_gpr+8*7(%rip); mov %r8, native_gpr+8*8(%rip); mov %r9, native_gpr+8*9(%rip)\n"
        "mov %r10, native_gpr+8*10(%rip); mov %r11, native_gpr+8*11(%rip); mov %r12, native_gpr+8*12(%rip)\n"
        "mov %r13, native_gpr+8*13(%rip); mov %r14, native_gpr+8*14(%rip); mov %r15, native_gpr+8*15(%rip)\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n");

static u8 *const code = (u8 *)CODE;
static u8 *const data = (u8 *)DATA;

/* Small numbers, all-ones and sign bits meet more flag cases than uniform ones. */
static u64 interesting(void)
{
    static const u64 values[] = {0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
                                 0x7FFFFFFFFFFFFFFFULL, 0x8000000000000000ULL, ~0ULL};

    return random64() % 3 != 0 ? random64() : values[random64() % ARRAY_SIZE(values)];
}

static int map_pages(void **state)
{
    (void)state;
    int prot = PROT_READ | PROT_WRITE;
    void *c = mmap(code, 4096, prot | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    void *d = mmap(data, DATA_BYTES, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return c == code && d == data ? 0 : -1;
}

/* Data pages 0 and 2 are RAM, 1 and 3 are the device's. */
static u8 *guest_data(unsigned page)
{
    return page % 2 == 0 ? guest.ram + DATA_GPA + KIB(4) * page : guest.device + KIB(4) * page;
}

static void prepare_guest(const u8 *bytes, size_t len)
{
    guest_reset_long();
    guest_map(CODE, CODE_GPA, PTE_P);
    for (unsigned i = 0; i < DATA_PAGES; i++) {
        guest_map(DATA + KIB(4) * i, (i % 2 == 0 ? DATA_GPA : GUEST_DEVICE) + KIB(4) * i, PTE_P | PTE_RW);
        memcpy(guest_data(i), data + KIB(4) * i, KIB(4));
    }
    memcpy(guest.ram + CODE_GPA, bytes, len);
    guest.v.arch.rip = CODE;
    memcpy(guest.v.arch.gpr, native_gpr, sizeof(native_gpr));
    guest.v.arch.rflags = native_flags;
}

static void run_native(const u8 *bytes, size_t len)
{
    static const u8 jump[] = {0xFF, 0x25, 0, 0, 0, 0};
    void (*back)(void) = native_back;

    memcpy(code, bytes, len);
    memcpy(code + len, jump, sizeof(jump));
    memcpy(code + len + sizeof(jump), &back, sizeof(back));
    native_run();
}

static void describe(const u8 *bytes, size_t len)
{
    print_error("instruction:");
    for (size_t i = 0; i < len; i++) {
        print_error(" %02x", bytes[i]);
    }
    print_error("\n");
}

static void check(bool ok, const char *what, const u8 *bytes, size_t len)
{
    if (!ok) {
        describe(bytes, len);
        fail_msg("%s differs", what);
    }
}

/* Execute in both worlds and compare all that can be seen, flags in undefined excepted. */
static void both(const u8 *bytes, size_t len, u64 undefined)
{
    prepare_guest(bytes, len);
    u64 before[16];
    memcpy(before, native_gpr, sizeof(before));
    int rc = vcpu_emulate(&guest.v);
    check(rc == 0 && !guest.raised, "acceptance", bytes, len);
    run_native(bytes, len);
    check(guest.v.arch.rip == CODE + len, "rip", bytes, len);
    for (int i = 0; i < 16; i++) {
        if (guest.v.arch.gpr[i] != native_gpr[i]) {
            print_error("gpr %d was %lx, native %lx, emulated %lx\n", i, before[i], native_gpr[i], guest.v.arch.gpr[i]);
            check(false, "register", bytes, len);
        }
    }
    u64 seen = (STATUS | RFLAGS_DF) & ~undefined;
    if (((guest.v.arch.rflags ^ native_flags) & seen) != 0) {
        print_error("flags: native %lx emulated %lx\n", native_flags & seen, guest.v.arch.rflags & seen);
        check(false, "flags", bytes, len);
    }
    for (unsigned i = 0; i < DATA_PAGES; i++) {
        check(memcmp(guest_data(i), data + KIB(4) * i, KIB(4)) == 0, "memory", bytes, len);
    }
}

/* --- instruction forms ----------------------------------------------------------------------------------------------- */

#define ANY_REG 0xFF
#define F_LOCK 1U
#define F_BYTE 2U    /* operands of one byte: no size prefixes */
#define F_MEM 4U     /* memory only */
#define F_BITS 8U    /* register holds a bit number */
#define F_NO16 16U
#define F_SHIFT 32U

struct form {
    u8 opcode[3];
    u8 opcode_len;
    u8 reg; /* ModRM.reg, or ANY_REG */
    u8 imm; /* bytes; 4 stands for Iz */
    u8 flags;
    u64 undefined;
};

struct builder {
    u8 bytes[16];
    size_t len;
};

static void emit(struct builder *b, u64 value, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        b->bytes[b->len++] = (u8)(value >> (8 * i));
    }
}

static u64 random_target(void)
{
    /* Half of the operands lie across or next to a page boundary. */
    u64 page = random64() % DATA_PAGES;

    if (random64() % 2 == 0 && page > 0) {
        return DATA + KIB(4) * page - random64() % 9;
    }
    return DATA + 512 + random64() % (DATA_BYTES - 1024);
}

/* ModRM and what follows for a memory operand at target; sets base and index registers. Returns REX bits. */
static u8 emit_memory(struct builder *b, u64 target, u8 reg, u8 tail)
{
    u8 base = (u8)(random64() % 16), index = (u8)(random64() % 16), scale = (u8)(random64() % 4);
    s32 disp = random64() % 2 == 0 ? (s8)random64() : (s32)random64() % 100000;
    u8 rex = (u8)((reg >> 3) << 2);

    if (random64() % 8 == 0) { /* RIP-relative: tail bytes of immediate follow */
        emit(b, (u8)((reg & 7) << 3 | 5), 1);
        emit(b, target - (CODE + b->len + 4 + tail), 4);
        return rex;
    }
    if (base == reg || base == X86_RSP || base == X86_RAX) {
        base = (reg & 15) == X86_RBX ? X86_RBP : X86_RBX;
    }
    bool use_index = index != X86_RSP && index != base && index != reg && random64() % 2 == 0;
    u8 mod = disp >= -128 && disp < 128 ? 1 : 2;
    u64 address = target - (u64)(s64)disp;
    emit(b, (u8)(mod << 6 | (reg & 7) << 3 | (use_index || (base & 7) == 4 ? 4 : base & 7)), 1);
    if (use_index) {
        native_gpr[index] = random64() % 5000;
        address -= native_gpr[index] << scale;
        emit(b, (u8)(scale << 6 | (index & 7) << 3 | (base & 7)), 1);
        rex |= (u8)((index >> 3) << 1);
    } else if ((base & 7) == 4) {
        emit(b, 4 << 3 | 4, 1);
    }
    emit(b, (u64)(s64)disp, mod == 1 ? 1 : 4);
    native_gpr[base] = address;
    return rex | base >> 3;
}

static void random_state(void)
{
    for (int i = 0; i < 16; i++) {
        native_gpr[i] = interesting();
    }
    native_gpr[X86_RSP] = DATA + 2048;
    native_flags = RFLAGS_FIXED | RFLAGS_IF | (random64() & STATUS);
    for (unsigned i = 0; i < DATA_BYTES / 8; i++) {
        u64 value = interesting();
        memcpy(data + 8 * i, &value, 8);
    }
}

struct shape {
    u8 size; /* 1, 2, 4, 8 */
    u8 reg, imm;
    bool lock, addrsize;
};

static u64 bit_number(u8 size)
{
    s64 bit = (s64)(random64() % 2000) - 1000;

    return (u64)bit & (size == 8 ? ~0ULL : BIT(8 * size) - 1);
}

/* Prefixes, REX, opcode and operand in their order; the operand is built first because it decides REX. */
static struct builder build(const struct form *f, const struct shape *s, bool memory)
{
    struct builder b = {.len = 0}, tail = {.len = 0}, head = {.len = 0};

    b.len = (s->lock ? 1 : 0) + (s->size == 2 ? 1 : 0) + (s->addrsize ? 1 : 0) + 1 + f->opcode_len;
    size_t start = b.len;
    u8 rex = s->size == 8 ? 8 : 0;
    if (memory) {
        if (f->flags & F_BITS) {
            native_gpr[s->reg] = bit_number(s->size);
        }
        rex |= emit_memory(&b, random_target(), s->reg, s->imm);
    } else {
        u8 rm = (u8)(random64() % 16);
        rm = rm == X86_RSP ? X86_RBP : rm;
        emit(&b, (u8)(0xC0 | (s->reg & 7) << 3 | (rm & 7)), 1);
        rex |= (u8)(rm >> 3 | (s->reg >> 3) << 2);
    }
    memcpy(tail.bytes, b.bytes + start, b.len - start);
    tail.len = b.len - start;
    if (s->lock) {
        emit(&head, 0xF0, 1);
    }
    if (s->size == 2) {
        emit(&head, 0x66, 1);
    }
    if (s->addrsize) {
        emit(&head, 0x67, 1);
    }
    emit(&head, 0x40 | rex, 1);
    for (u8 i = 0; i < f->opcode_len; i++) {
        emit(&head, f->opcode[i], 1);
    }
    memcpy(head.bytes + head.len, tail.bytes, tail.len);
    head.len += tail.len;
    emit(&head, interesting(), s->imm);
    return head;
}

static void try_form(const struct form *f)
{
    static const u8 sizes[] = {2, 4, 8};
    bool memory = (f->flags & F_MEM) != 0 || random64() % 4 != 0;
    struct shape s = {.size = sizes[random64() % 3], .reg = (u8)(random64() % 16)};

    random_state();
    s.size = (f->flags & F_BYTE) != 0 ? 1 : (f->flags & F_NO16) != 0 && s.size == 2 ? 4 : s.size;
    s.reg = f->reg != ANY_REG ? f->reg : s.reg == X86_RSP ? X86_RSI : s.reg;
    s.imm = f->imm == 4 && s.size == 2 ? 2 : f->imm;
    s.lock = memory && (f->flags & F_LOCK) != 0 && random64() % 2 == 0;
    s.addrsize = false;
    struct builder b = build(f, &s, memory);
    both(b.bytes, b.len, f->undefined);
}

#define ONE(op, reg_, imm_, fl, und) {{op}, 1, reg_, imm_, fl, und}
#define TWO(op, reg_, imm_, fl, und) {{0x0F, op}, 2, reg_, imm_, fl, und}
#define ALU_FORMS(base, und, lock)                                                                                     \
    ONE(base, ANY_REG, 0, F_BYTE | (lock), und), ONE((base) + 1, ANY_REG, 0, lock, und),                               \
        ONE((base) + 2, ANY_REG, 0, F_BYTE, und), ONE((base) + 3, ANY_REG, 0, 0, und),                                 \
        ONE(0x80, (base) >> 3, 1, F_BYTE | (lock), und), ONE(0x81, (base) >> 3, 4, lock, und),                         \
        ONE(0x83, (base) >> 3, 1, lock, und)
#define SHIFT_UNDEF (RFLAGS_AF | RFLAGS_OF)
#define SHIFT_FORMS(n, und)                                                                                            \
    ONE(0xC0, n, 1, F_BYTE | F_SHIFT, und), ONE(0xC1, n, 1, F_SHIFT, und), ONE(0xD0, n, 0, F_BYTE, RFLAGS_AF),           \
        ONE(0xD1, n, 0, 0, RFLAGS_AF), ONE(0xD2, n, 0, F_BYTE | F_SHIFT, und), ONE(0xD3, n, 0, F_SHIFT, und)

static const struct form forms[] = {
    ALU_FORMS(0x00, 0, F_LOCK),
    ALU_FORMS(0x08, RFLAGS_AF, F_LOCK),
    ALU_FORMS(0x10, 0, F_LOCK),
    ALU_FORMS(0x18, 0, F_LOCK),
    ALU_FORMS(0x20, RFLAGS_AF, F_LOCK),
    ALU_FORMS(0x28, 0, F_LOCK),
    ALU_FORMS(0x30, RFLAGS_AF, F_LOCK),
    ALU_FORMS(0x38, 0, 0),
    ONE(0x84, ANY_REG, 0, F_BYTE, RFLAGS_AF), ONE(0x85, ANY_REG, 0, 0, RFLAGS_AF),
    ONE(0xF6, 0, 1, F_BYTE, RFLAGS_AF), ONE(0xF7, 0, 4, 0, RFLAGS_AF),
    ONE(0xF6, 2, 0, F_BYTE | F_LOCK, 0), ONE(0xF7, 2, 0, F_LOCK, 0),
    ONE(0xF6, 3, 0, F_BYTE | F_LOCK, 0), ONE(0xF7, 3, 0, F_LOCK, 0),
    ONE(0xFE, 0, 0, F_BYTE | F_LOCK, 0), ONE(0xFF, 0, 0, F_LOCK, 0),
    ONE(0xFE, 1, 0, F_BYTE | F_LOCK, 0), ONE(0xFF, 1, 0, F_LOCK, 0),
    ONE(0x86, ANY_REG, 0, F_BYTE | F_LOCK, 0), ONE(0x87, ANY_REG, 0, F_LOCK, 0),
    ONE(0x88, ANY_REG, 0, F_BYTE, 0), ONE(0x89, ANY_REG, 0, 0, 0), ONE(0x8A, ANY_REG, 0, F_BYTE, 0),
    ONE(0x8B, ANY_REG, 0, 0, 0), ONE(0xC6, 0, 1, F_BYTE, 0), ONE(0xC7, 0, 4, 0, 0), ONE(0x63, ANY_REG, 0, 0, 0),
    SHIFT_FORMS(0, SHIFT_UNDEF), SHIFT_FORMS(1, SHIFT_UNDEF), SHIFT_FORMS(2, SHIFT_UNDEF), SHIFT_FORMS(3, SHIFT_UNDEF),
    SHIFT_FORMS(4, SHIFT_UNDEF), SHIFT_FORMS(5, SHIFT_UNDEF), SHIFT_FORMS(7, SHIFT_UNDEF),
    TWO(0xB0, ANY_REG, 0, F_BYTE | F_LOCK, 0), TWO(0xB1, ANY_REG, 0, F_LOCK | F_MEM, 0),
    TWO(0xB6, ANY_REG, 0, 0, 0), TWO(0xB7, ANY_REG, 0, 0, 0), TWO(0xBE, ANY_REG, 0, 0, 0), TWO(0xBF, ANY_REG, 0, 0, 0),
    TWO(0xC0, ANY_REG, 0, F_BYTE | F_LOCK, 0), TWO(0xC1, ANY_REG, 0, F_LOCK, 0), TWO(0xC3, ANY_REG, 0, F_MEM | F_NO16, 0),
    TWO(0xA3, ANY_REG, 0, F_BITS, 0), TWO(0xAB, ANY_REG, 0, F_BITS | F_LOCK, 0), TWO(0xB3, ANY_REG, 0, F_BITS | F_LOCK, 0),
    TWO(0xBB, ANY_REG, 0, F_BITS | F_LOCK, 0), TWO(0xBA, 4, 1, 0, 0), TWO(0xBA, 5, 1, F_LOCK, 0),
    TWO(0xBA, 6, 1, F_LOCK, 0), TWO(0xBA, 7, 1, F_LOCK, 0),
};

static void forms_equal_native(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        for (int n = 0; n < 300; n++) {
            try_form(&forms[i]);
        }
    }
}

static void conditions_equal_native(void **state)
{
    (void)state;
    for (u8 cc = 0; cc < 16; cc++) {
        struct form set = TWO(0x90 + cc, 0, 0, F_BYTE, 0), move = TWO(0x40 + cc, ANY_REG, 0, 0, 0);
        for (int n = 0; n < 200; n++) {
            try_form(&set);
            try_form(&move);
        }
    }
}

/* --- string instructions ------------------------------------------------------------------------------------------------ */

static void try_string(u8 opcode, u8 rep)
{
    struct builder b = {.len = 0};
    u8 shape = (u8)(random64() % 4);

    random_state();
    native_gpr[X86_RCX] = random64() % 60;
    native_gpr[X86_RSI] = random_target();
    native_gpr[X86_RDI] = random_target();
    native_gpr[X86_RSI] = MAX(native_gpr[X86_RSI], DATA + 1024);
    native_gpr[X86_RDI] = MAX(native_gpr[X86_RDI], DATA + 1024);
    native_gpr[X86_RSI] = MIN(native_gpr[X86_RSI], DATA + DATA_BYTES - 1024);
    native_gpr[X86_RDI] = MIN(native_gpr[X86_RDI], DATA + DATA_BYTES - 1024);
    native_flags |= random64() % 2 == 0 ? RFLAGS_DF : 0;
    if (random64() % 2 == 0) { /* long runs of equal elements for CMPS and SCAS */
        memset(data, 0x5A, DATA_BYTES);
        native_gpr[X86_RAX] = 0x5A5A5A5A5A5A5A5AULL;
        data[random64() % DATA_BYTES] = 1;
    }
    if (rep != 0) {
        emit(&b, rep, 1);
    }
    if (random64() % 4 == 0) {
        emit(&b, 0x67, 1);
    }
    if (shape == 1) {
        emit(&b, 0x66, 1);
    } else if (shape == 2) {
        emit(&b, 0x48, 1);
    }
    emit(&b, shape == 3 ? opcode : opcode + 1U, 1);
    both(b.bytes, b.len, 0);
}

static void strings_equal_native(void **state)
{
    static const u8 opcodes[] = {0xA4, 0xA6, 0xAA, 0xAC, 0xAE}, reps[] = {0, 0xF2, 0xF3};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
        for (int n = 0; n < 600; n++) {
            try_string(opcodes[i], reps[n % 3]);
        }
    }
}

/* Forms without ModRM: accumulator and immediate, moffs, MOV to a register, MOVBE, CMPXCHG8B/16B, PUSH and POP. */
static void other_forms_equal_native(void **state)
{
    (void)state;
    for (int n = 0; n < 3000; n++) {
        struct builder b = {.len = 0};
        u8 shape = (u8)(random64() % 3), alu;
        random_state();
        if (shape == 1) {
            emit(&b, 0x66, 1);
        } else if (shape == 2) {
            emit(&b, 0x48, 1);
        }
        switch (n % 6) {
        case 0: /* op eAX, Iz and op AL, Ib */
            alu = (u8)(random64() % 8);
            emit(&b, alu << 3 | (random64() % 2 + 4), 1);
            emit(&b, interesting(), (b.bytes[b.len - 1] & 1) == 0 ? 1 : shape == 1 ? 2 : 4);
            both(b.bytes, b.len, alu == 1 || alu == 4 || alu == 6 ? RFLAGS_AF : 0);
            break;
        case 1: /* moffs */
            emit(&b, 0xA0 + random64() % 4, 1);
            emit(&b, random_target(), 8);
            both(b.bytes, b.len, 0);
            break;
        case 2:
            emit(&b, 0xB8 + random64() % 4, 1);
            emit(&b, interesting(), shape == 1 ? 2 : shape == 2 ? 8 : 4);
            both(b.bytes, b.len, 0);
            break;
        case 3: { /* CMPXCHG8B, CMPXCHG16B [RSI] */
            native_gpr[X86_RSI] = shape == 2 ? ALIGN_DOWN(random_target(), 16ULL) : random_target();
            if (random64() % 2 == 0) {
                memcpy(&native_gpr[X86_RAX], (void *)native_gpr[X86_RSI], shape == 2 ? 8 : 4);
                memcpy(&native_gpr[X86_RDX], (u8 *)native_gpr[X86_RSI] + (shape == 2 ? 8 : 4), shape == 2 ? 8 : 4);
            }
            if (shape == 1) {
                break;
            }
            emit(&b, 0x0EC70F, 3);
            both(b.bytes, b.len, 0);
            break;
        }
        case 4: /* PUSH, POP register; PUSH, POP [RBX] */
            native_gpr[X86_RSP] = random_target();
            native_gpr[X86_RBX] = random_target();
            switch (random64() % 4) {
            case 0:
                emit(&b, 0x50 + random64() % 8, 1);
                break;
            case 1:
                emit(&b, 0x58 + random64() % 8, 1);
                break;
            case 2:
                emit(&b, 0x33FF, 2);
                break;
            default:
                emit(&b, 0x038F, 2);
                break;
            }
            both(b.bytes, b.len, 0);
            break;
        default: /* POP [RSP + 8] and PUSH imm */
            native_gpr[X86_RSP] = random_target();
            if (random64() % 2 == 0) {
                emit(&b, 0x0824448F, 4);
            } else {
                emit(&b, 0x6A, 1);
                emit(&b, random64(), 1);
            }
            both(b.bytes, b.len, 0);
            break;
        }
    }
}

/* AH..BH exist only without REX. */
static void high_bytes_equal_native(void **state)
{
    (void)state;
    for (int n = 0; n < 500; n++) {
        struct builder b = {.len = 0};
        static const u8 ops[] = {0x00, 0x02, 0x28, 0x86, 0x88, 0x8A, 0x38};
        random_state();
        native_gpr[X86_RSI] = random_target();
        emit(&b, ops[random64() % ARRAY_SIZE(ops)], 1);
        emit(&b, (random64() % 8) << 3 | (random64() % 2 == 0 ? 6 : 0xC0 + random64() % 4), 1);
        if (b.bytes[1] >= 0xC0 && (b.bytes[1] >> 3 & 7) == 0) {
            continue;
        }
        both(b.bytes, b.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_equal_native),
        cmocka_unit_test(conditions_equal_native),
        cmocka_unit_test(strings_equal_native),
        cmocka_unit_test(other_forms_equal_native),
        cmocka_unit_test(high_bytes_equal_native),
    };
    return cmocka_run_group_tests(tests, map_pages, NULL);
}
