/* Every form of memory access on a device that stores (MOTE_SCRATCH_MMIO), against the same instructions on RAM (row 46).
 * A page of RAM or the device's takes turns at one virtual address between two pages of RAM, so that all registers and
 * addresses are the same; then registers, flags and memory must be. Needs selftest=on. */
#include "tests/guests/kit/kit.h"

#define PAGE 4096UL
#define WINDOW 0xC0000000UL /* RAM, RAM or device, RAM */
#define TARGET (WINDOW + PAGE)
#define SPAN 64UL /* bytes before and behind the operand that are compared */
#define FLAGS_ALL 0x8D5UL /* OF SF ZF AF PF CF; a form names those that its manual page defines */
#define MSR_FS_BASE 0xC0000100U
#define MSR_GS_BASE 0xC0000101U

/* A form is a piece of code, assembled here; the table names it. code is 64 or 32. */
struct form {
    const char *name;
    const void *code;
    u64 flags;
    u64 bits;
};
extern const struct form forms_start[], forms_end[];
__asm__(".section .rodata.forms,\"a\"\n.balign 8\n.global forms_start\nforms_start:\n.text\n");
#define STR(x) STR_(x)
#define STR_(x) #x
#define FORM_BITS(bits, ret, flags, name, text)                                                                         \
    __asm__(".text\n.code" #bits "\n771: " text "\n" ret "\n.code64\n.section .rodata.names,\"a\"\n772: .asciz \"" name    \
            "\"\n.section .rodata.forms,\"a\"\n.quad 772b, 771b, " STR(flags) ", " #bits "\n.text\n")
#define F(name, text) FORM_BITS(64, "ret", 0x8D5, name, text)
#define FF(flags, name, text) FORM_BITS(64, "ret", flags, name, text)
#define F32(name, text) FORM_BITS(32, "lret", 0x8D5, name, text)

/* RBX RBP RSI RDI R9 R12 R13 = operand, R11 = operand - 12345678h, FS = operand - 20h, GS = operand - 2; R10 = 2, RCX = 3. */
F("mov-b", "movb %al, (%rbx)"); F("mov-ah", "movb %ah, (%rbx)"); F("mov-sil", "movb %sil, (%rbx)"); F("mov-r10b", "movb %r10b, (%rbx)");
F("mov-w", "movw %ax, (%rbx)"); F("mov-l", "movl %edx, (%rbx)"); F("mov-q", "movq %rdx, (%rbx)"); F("mov-r14", "movq %r14, (%r9)");
F("mov-r15d", "movl %r15d, (%rbx)"); F("load-b", "movb (%rbx), %al"); F("load-dh", "movb (%rbx), %dh"); F("load-r11b", "movb (%rbx), %r11b");
F("load-w", "movw (%rbx), %r14w"); F("load-l", "movl (%rbx), %r15d"); F("load-q", "movq (%rbx), %rdi"); F("load-self", "movq (%rbx), %rbx");
F("imm-b", "movb $0x5A, (%rbx)"); F("imm-w", "movw $0x1234, (%rbx)"); F("imm-l", "movl $0x89ABCDEF, (%rbx)"); F("imm-q", "movq $-0x12345678, (%rbx)");
F("disp8", "movl 8(%rbx), %eax"); F("disp8-minus", "movl %eax, -8(%r9)"); F("disp32", "movl 0x12345678(%r11), %eax");
F("sib", "movl (%rbx,%r10,4), %eax"); F("sib-disp", "movw %ax, -3(%r12,%r10,8)"); F("r12", "movq (%r12), %rax"); F("r13", "movq %rax, (%r13)");
F("rbp", "movq 1(%rbp), %rax"); F("addr32", "addr32 movl (%ebx), %eax"); F("addr32-sib", "addr32 movl %eax, 4(%r9d,%r10d,2)");
F("fs", "movq %fs:0x20, %rax"); F("fs-store", "movl %eax, %fs:0x20"); F("gs", "movw %gs:(%r10), %ax"); F("gs-store", "movb %al, %gs:1(%r10)");
F("ds-prefix", ".byte 0x3E, 0x8B, 0x03"); F("all-prefixes", ".byte 0x66, 0x67, 0x3E, 0x44, 0x8B, 0x33");
F("moffs-b", "movabs 0xC0001010, %al"); F("moffs-w", "movabs %ax, 0xC0001012"); F("moffs-l", "movabs 0xC0001014, %eax"); F("moffs-q", "movabs %rax, 0xC0001018");
F("movzx-bw", "movzbw (%rbx), %ax"); F("movzx-bl", "movzbl (%rbx), %r8d"); F("movzx-bq", "movzbq (%rbx), %rax"); F("movzx-wl", "movzwl (%rbx), %eax");
F("movzx-wq", "movzwq (%rbx), %rdx"); F("movsx-bw", "movsbw (%rbx), %ax"); F("movsx-bl", "movsbl (%rbx), %eax"); F("movsx-bq", "movsbq (%rbx), %rax");
F("movsx-wl", "movswl (%rbx), %r9d"); F("movsx-wq", "movswq (%rbx), %rdx"); F("movsxd", "movslq (%rbx), %rax");
F("movnti-l", "movnti %eax, (%rbx)"); F("movnti-q", "movnti %rax, (%rbx)");
#define ALU(op, flags)                                                                                                  \
    FF(flags, #op "-b", #op "b %al, (%rbx)"); FF(flags, #op "-w", #op "w %dx, (%rbx)"); FF(flags, #op "-l", #op "l %r8d, (%rbx)"); \
    FF(flags, #op "-q", #op "q %rdx, (%rbx)"); FF(flags, #op "-load-b", #op "b (%rbx), %dh");                           \
    FF(flags, #op "-load-l", #op "l (%rbx), %eax"); FF(flags, #op "-load-q", #op "q (%rbx), %r14");                      \
    FF(flags, #op "-imm8", #op "l $-5, (%rbx)"); FF(flags, #op "-imm-b", #op "b $0x7F, (%rbx)");                         \
    FF(flags, #op "-imm-w", #op "w $0x1234, (%rbx)"); FF(flags, #op "-imm-q", #op "q $0x12345678, (%rbx)")
ALU(add, 0x8D5); ALU(or, 0x8C5); ALU(adc, 0x8D5); ALU(sbb, 0x8D5); ALU(and, 0x8C5); ALU(sub, 0x8D5); ALU(xor, 0x8C5); ALU(cmp, 0x8D5);
FF(0x8C5, "test-b", "testb %al, (%rbx)"); FF(0x8C5, "test-q", "testq %rdx, (%rbx)"); FF(0x8C5, "test-imm-b", "testb $0x81, (%rbx)");
FF(0x8C5, "test-imm-l", "testl $0x80000001, (%rbx)"); F("lock-add", "lock addq %rax, (%rbx)"); FF(0x8C5, "lock-or", "lock orb $0x10, (%rbx)");
F("not-b", "notb (%rbx)"); F("not-q", "notq (%rbx)"); F("neg-w", "negw (%rbx)"); F("neg-q", "lock negq (%rbx)"); F("inc-b", "incb (%rbx)");
F("inc-l", "lock incl (%rbx)"); F("dec-w", "decw (%rbx)"); F("dec-q", "decq (%rbx)");
F("xchg-b", "xchgb %dl, (%rbx)"); F("xchg-w", "xchgw %ax, (%rbx)"); F("xchg-l", "xchgl %eax, (%rbx)"); F("xchg-q", "xchgq %r8, (%rbx)");
F("xadd-b", "xaddb %al, (%rbx)"); F("xadd-w", "xaddw %ax, (%rbx)"); F("xadd-l", "lock xaddl %edx, (%rbx)"); F("xadd-q", "xaddq %r8, (%rbx)");
F("cmpxchg-b", "cmpxchgb %dl, (%rbx)"); F("cmpxchg-l", "lock cmpxchgl %edx, (%rbx)"); F("cmpxchg-q", "cmpxchgq %rdx, (%rbx)");
F("cmpxchg-w-equal", "movw (%rbx), %ax; cmpxchgw %dx, (%rbx)"); F("cmpxchg-l-equal", "movl (%rbx), %eax; lock cmpxchgl %edx, (%rbx)");
F("cmpxchg-q-equal", "movq (%rbx), %rax; lock cmpxchgq %rdx, (%rbx)"); F("cmpxchg8b", "lock cmpxchg8b (%rbx)");
F("cmpxchg8b-equal", "movl (%rbx), %eax; movl 4(%rbx), %edx; movl $7, %ecx; movq %rbx, %r8; movl $9, %ebx; cmpxchg8b (%r8)");
FF(0x8C5, "shl-1-b", "shlb (%rbx)"); FF(0x8C5, "shl-1-l", "shll (%rbx)"); FF(0x0C5, "shr-5-l", "shrl $5, (%rbx)"); FF(0x0C5, "sar-cl-q", "sarq %cl, (%rbx)");
F("rol-1-w", "rolw (%rbx)"); FF(0x0D5, "ror-3-b", "rorb $3, (%rbx)"); FF(0x0D5, "rol-cl-q", "rolq %cl, (%rbx)"); F("rcl-1-l", "rcll (%rbx)");
FF(0x0D5, "rcr-cl-q", "rcrq %cl, (%rbx)");
FF(1, "bt-imm", "btl $7, (%rbx)"); FF(1, "bts-l", "btsl %ecx, (%rbx)"); FF(1, "btr-q", "lock btrq %rcx, (%rbx)"); FF(1, "btc-imm-q", "btcq $33, (%rbx)");
FF(1, "bts-far", "movq $77, %rcx; btsq %rcx, (%rbx)"); FF(1, "btc-before", "movl $-9, %ecx; btcl %ecx, (%rbx)"); FF(1, "bt-far-w", "movw $100, %cx; btw %cx, (%rbx)");
F("setc", "setc (%rbx)"); F("setnz", "setnz (%rbx)"); F("setg", "setg (%rbx)"); F("cmovz", "cmovzl (%rbx), %eax"); F("cmovc", "cmovcq (%rbx), %rax"); F("cmovle-w", "cmovlew (%rbx), %dx");
F("push-q", "pushq (%rbx); popq %rax"); F("push-w", "pushw (%rbx); popw %ax"); F("pop-q", "pushq %rdx; popq (%rbx)"); F("pop-w", "pushw %dx; popw (%rbx)");
F("movbe-load-w", "movbe (%rbx), %ax"); F("movbe-load-q", "movbe (%rbx), %r14"); F("movbe-l", "movbe %edx, (%rbx)"); F("movbe-q", "movbe %rdx, (%rbx)");
F("stosb", "stosb"); F("stosw", "stosw"); F("stosl", "stosl"); F("stosq", "stosq"); F("rep-stosb", "rep stosb"); F("rep-stosq", "rep stosq");
F("rep-stosw-down", "std; rep stosw"); F("stosl-addr32", "addr32 rep stosl"); F("lodsb", "lodsb"); F("lodsq", "lodsq"); F("rep-lodsw", "rep lodsw");
F("lodsl-fs", "movl $0x20, %esi; fs lodsl"); F("movsb-up", "addq $9, %rdi; movsb"); F("movsq-up", "addq $9, %rdi; movsq"); F("rep-movsb", "addq $11, %rdi; rep movsb");
F("rep-movsl", "addq $16, %rdi; rep movsl"); F("rep-movsb-overlap", "addq $1, %rdi; rep movsb"); F("rep-movsq-down", "std; addq $8, %rdi; rep movsq");
F("rep-movsb-zero", "xorl %ecx, %ecx; rep movsb"); F("movs-to-ram", "movl $0xC0000100, %edi; rep movsl"); F("movs-from-ram", "movl $0xC0000100, %esi; rep movsq");
F("scasb", "scasb"); F("repne-scasb", "movb 2(%rbx), %al; repne scasb"); F("repe-scasl", "movl (%rbx), %eax; repe scasl"); F("cmpsb", "incq %rdi; cmpsb");
F("repe-cmpsb", "repe cmpsb"); F("repne-cmpsw", "addq $2, %rdi; repne cmpsw");
F32("32-mov-l", "movl %eax, (%ebx)"); F32("32-mov-w", "movw %ax, (%ebx)"); F32("32-load-b", "movb (%ebx), %ah"); F32("32-sib", "movl -4(%ebx,%ecx,2), %edx");
F32("32-moffs", "movl 0xC0001010, %eax"); F32("32-add", "addl %eax, (%ebx)"); F32("32-inc", "incl %eax; lock incl (%ebx)"); F32("32-push", "pushl (%ebx); popl %edx");
F32("32-pop", "pushl %eax; popl (%ebx)"); F32("32-stos", "rep stosl"); F32("32-movs", "addl $12, %edi; rep movsw"); F32("32-xchg", "xchgb %bh, (%esi)");
F32("32-cmpxchg", "cmpxchgl %edx, (%ebx)"); F32("32-movsx", "movswl (%ebx), %ecx"); F32("32-test", "testb $0x40, (%ebx)");
__asm__(".section .rodata.forms,\"a\"\n.global forms_end\nforms_end:\n.text\n");

struct registers {
    u64 rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};
struct outcome {
    struct registers registers;
    u8 memory[2 * SPAN];
    u8 ram[32];
};

extern struct registers file;
extern u64 form_rsp;
extern struct __attribute__((packed)) far_pointer { u64 offset; u16 selector; } form_target;
struct registers file;
u64 form_rsp;
struct far_pointer form_target;

/* A far call with a 64-bit operand for 64-bit code is of no use to RET; so two ways. */
static __attribute__((noinline)) void run_form(bool wide)
{
#define SWAP(load)                                                                                                      \
    load(rax, 0) load(rcx, 8) load(rdx, 16) load(rbx, 24) load(rbp, 32) load(rsi, 40) load(rdi, 48) load(r8, 56)        \
    load(r9, 64) load(r10, 72) load(r11, 80) load(r12, 88) load(r13, 96) load(r14, 104) load(r15, 112)
#define LOAD(r, at) "mov file+" #at ", %%" #r "\n\t"
#define STORE(r, at) "mov %%" #r ", file+" #at "\n\t"
#define RUN(call)                                                                                                       \
    __asm__ volatile("push %%rbp\n\tpush file+120\n\tpopfq\n\t" SWAP(LOAD) call "\n\t" SWAP(STORE)                     \
                     "pushfq\n\tcld\n\tpop file+120\n\tpop %%rbp" ::                                                    \
                     : "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc")
    if (wide) {
        RUN("call *form_target");
    } else {
        RUN("lcall *form_target");
    }
}

static u8 pages[3][PAGE] __attribute__((aligned(4096)));

static void fill(u64 at, u64 bytes, u32 variant)
{
    for (u64 i = 0; i < bytes; i += 8) {
        *(volatile u64 *)(at + i) = (0x9E3779B97F4A7C15ULL + variant * 0x0101010101010180ULL) * (i / 8 + 3) ^ i << 56;
    }
}

static void save(const volatile u8 *from, u8 *to, u64 bytes)
{
    for (u64 i = 0; i < bytes; i += 8) {
        *(u64 *)(to + i) = *(const volatile u64 *)(from + i);
    }
}

static void set_registers(u64 at, u32 variant, u64 flags)
{
    file = (struct registers){.rax = 0x8877665544332211ULL ^ (variant ? 0xFFULL : 0), .rcx = 3, .rdx = 0xF0E1D2C3B4A59687ULL,
                              .rbx = at, .rbp = at, .rsi = at, .rdi = at, .r8 = 0x0123456789ABCDEFULL, .r9 = at, .r10 = 2,
                              .r11 = at - 0x12345678, .r12 = at, .r13 = at, .r14 = 0x7FFFFFFFFFFFFFFFULL, .r15 = 0x8000000080000001ULL,
                              .flags = flags};
}

/* The form with its operand at `at` and physical page `frame` under the middle of the window. */
static void run_on(const struct form *f, u64 frame, u64 at, u32 variant, struct outcome *o)
{
    u64 from = (at - SPAN) & ~7ULL;

    map_page(TARGET, frame, PAGE_PRESENT | PAGE_WRITE);
    fill(from, 2 * SPAN, variant);
    fill(TARGET + 0x10, 16, variant);
    fill(WINDOW + 0x100, 32, 7);
    set_registers(at, variant, variant ? 2 : 2 | FLAGS_ALL);
    (void)try_wrmsr(MSR_FS_BASE, at - 0x20);
    (void)try_wrmsr(MSR_GS_BASE, at - 2);
    form_target = (struct far_pointer){(u64)f->code | (f->bits == 32 ? 0x30ULL << 32 : 0), 0};
    run_form(f->bits == 64);
    o->registers = file;
    o->registers.flags &= f->flags | 0x400;
    save((volatile u8 *)from, o->memory, sizeof(o->memory));
    save((volatile u8 *)WINDOW + 0x100, o->ram, sizeof(o->ram));
}

static u32 moffs_differ(void)
{
    static u8 device[16];

    map_page(TARGET, MOTE_SCRATCH_MMIO, PAGE_PRESENT | PAGE_WRITE);
    save((volatile u8 *)TARGET + 0x10, device, sizeof(device));
    return memcmp(device, &pages[1][0x10], sizeof(device)) != 0;
}

static void try_form(const struct form *f)
{
    static const u64 offsets[] = {0x100, 0x1F3, PAGE - 3, PAGE - 8, (u64)-5};
    static struct outcome ram, device;
    u32 bad = 0;

    for (u32 i = 0; i < ARRAY_SIZE(offsets); i++) {
        for (u32 variant = 0; variant < 2; variant++) {
            u64 at = TARGET + offsets[i];
            run_on(f, (u64)pages[1], at, variant, &ram);
            run_on(f, MOTE_SCRATCH_MMIO, at, variant, &device);
            bool same = memcmp(&ram, &device, sizeof(ram)) == 0 && !moffs_differ();
            if (!same && bad++ == 0) {
                print("%s at 0x%lx: rax 0x%lx 0x%lx rdx 0x%lx 0x%lx flags 0x%lx 0x%lx\n", f->name, at, ram.registers.rax,
                      device.registers.rax, ram.registers.rdx, device.registers.rdx, ram.registers.flags, device.registers.flags);
            }
        }
    }
    check(bad == 0, f->name, "different=%u", bad);
}

void guest_main(void)
{
    map_page(WINDOW, (u64)pages[0], PAGE_PRESENT | PAGE_WRITE);
    map_page(TARGET + PAGE, (u64)pages[2], PAGE_PRESENT | PAGE_WRITE);
    map_page(TARGET, MOTE_SCRATCH_MMIO, PAGE_PRESENT | PAGE_WRITE);
    *(volatile u64 *)TARGET = 0x1122334455667788ULL;
    u64 stored = *(volatile u64 *)TARGET;
    check(stored == 0x1122334455667788ULL, "device-stores", "0x%lx", stored);
    if (stored != 0x1122334455667788ULL) {
        return;
    }
    for (const struct form *f = forms_start; f < forms_end; f++) {
        try_form(f);
    }
}
