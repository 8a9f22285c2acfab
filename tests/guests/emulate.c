/* Instructions on memory that is not RAM, against the same instructions on RAM. A hole in guest memory reads as ones and
 * ignores writes, so RAM filled with ones must give the same registers and flags; where an operand straddles RAM and
 * hole, its RAM half must change alike. Then port strings across a page boundary. Rows 26 and 46. */
#include "tests/guests/kit/kit.h"

#define PAGE 4096UL
#define HOLE 0x10000000UL /* guest-physical, beyond the VM's memory */
#define MIXED 0xC0000000UL /* virtual: a RAM page, then a hole page */
#define PLAIN 0xC0010000UL /* virtual: two RAM pages */
#define PORT_SCRATCH (PORT_COM1 + 7)
#define STATUS 0x8D5UL /* OF SF ZF AF PF CF */
#define NO_AF 0x10UL
#define NO_OF_AF 0x810UL

struct form {
    const char *name;
    u8 len;
    u8 code[10];
    u64 undefined; /* flags that the manual leaves open */
};
#define FORM(name, undefined, ...) {name, sizeof((u8[]){__VA_ARGS__}), {__VA_ARGS__}, undefined}

/* The operand is [RBX], for strings also [RSI] or [RDI]; RCX is small. */
static const struct form forms[] = {
    FORM("mov8-store", 0, 0x88, 0x03), FORM("mov16-store", 0, 0x66, 0x89, 0x03), FORM("mov32-store", 0, 0x89, 0x03),
    FORM("mov64-store", 0, 0x48, 0x89, 0x03), FORM("mov64-r9-store", 0, 0x4C, 0x89, 0x0B), FORM("mov-ah-store", 0, 0x88, 0x23),
    FORM("mov8-load", 0, 0x8A, 0x13), FORM("mov16-load", 0, 0x66, 0x8B, 0x13), FORM("mov32-load", 0, 0x8B, 0x13),
    FORM("mov64-load", 0, 0x48, 0x8B, 0x13), FORM("mov32-addr32", 0, 0x67, 0x8B, 0x13), FORM("mov32-ds", 0, 0x3E, 0x8B, 0x13),
    FORM("mov8-imm", 0, 0xC6, 0x03, 0x5A), FORM("mov16-imm", 0, 0x66, 0xC7, 0x03, 0x34, 0x12),
    FORM("mov32-imm", 0, 0xC7, 0x03, 0x78, 0x56, 0x34, 0x12), FORM("mov64-imm", 0, 0x48, 0xC7, 0x03, 0x78, 0x56, 0x34, 0x92),
    FORM("mov-sib", 0, 0x8B, 0x54, 0x8B, 0xF8), FORM("movzx8", 0, 0x0F, 0xB6, 0x13), FORM("movzx16", 0, 0x48, 0x0F, 0xB7, 0x13),
    FORM("movsx8", 0, 0x0F, 0xBE, 0x13), FORM("movsx16", 0, 0x48, 0x0F, 0xBF, 0x13), FORM("movsxd", 0, 0x48, 0x63, 0x13),
    FORM("movnti", 0, 0x0F, 0xC3, 0x03),
    FORM("add", 0, 0x01, 0x03), FORM("add-load", 0, 0x03, 0x03), FORM("lock-add64", 0, 0xF0, 0x48, 0x01, 0x03),
    FORM("or", NO_AF, 0x09, 0x03), FORM("or8-imm", NO_AF, 0x80, 0x0B, 0x21), FORM("adc", 0, 0x48, 0x11, 0x03),
    FORM("sbb", 0, 0x66, 0x19, 0x03), FORM("and", NO_AF, 0x21, 0x03), FORM("and-imm", NO_AF, 0x81, 0x23, 0xF0, 0xF0, 0, 0),
    FORM("sub", 0, 0x28, 0x03), FORM("sub-imm8", 0, 0x48, 0x83, 0x2B, 0x85), FORM("xor", NO_AF, 0x31, 0x03),
    FORM("cmp", 0, 0x39, 0x03), FORM("cmp-imm", 0, 0x83, 0x3B, 0xFF), FORM("test", NO_AF, 0x85, 0x03),
    FORM("test-imm", NO_AF, 0xF6, 0x03, 0x80), FORM("not", 0, 0xF7, 0x13), FORM("neg", 0, 0xF7, 0x1B),
    FORM("inc", 0, 0xFE, 0x03), FORM("dec", 0, 0x48, 0xFF, 0x0B), FORM("shl", NO_AF, 0xD1, 0x23),
    FORM("shr-imm", NO_OF_AF, 0xC1, 0x2B, 0x05), FORM("sar-cl", NO_OF_AF, 0x48, 0xD3, 0x3B), FORM("rol", 0, 0xD1, 0x03),
    FORM("ror-imm", 0x800, 0xC0, 0x0B, 0x03), FORM("xchg", 0, 0x87, 0x03), FORM("xchg64", 0, 0x48, 0x87, 0x03),
    FORM("xadd", 0, 0xF0, 0x0F, 0xC1, 0x03), FORM("cmpxchg", 0, 0xF0, 0x0F, 0xB1, 0x13),
    FORM("cmpxchg8b", 0, 0xF0, 0x0F, 0xC7, 0x0B), FORM("bt", 0x894, 0x0F, 0xBA, 0x23, 0x07), FORM("bts", 0x894, 0x0F, 0xAB, 0x0B),
    FORM("btr", 0x894, 0x0F, 0xB3, 0x0B), FORM("btc-imm", 0x894, 0x48, 0x0F, 0xBA, 0x3B, 0x09),
    FORM("setc", 0, 0x0F, 0x92, 0x03), FORM("setnz", 0, 0x0F, 0x95, 0x03), FORM("cmovz", 0, 0x0F, 0x44, 0x13),
    FORM("cmovnz", 0, 0x48, 0x0F, 0x45, 0x13), FORM("push", 0, 0xFF, 0x33, 0x58), FORM("pop", 0, 0x50, 0x8F, 0x03),
    FORM("stosb", 0, 0xF3, 0xAA), FORM("stosq", 0, 0xF3, 0x48, 0xAB), FORM("lodsw", 0, 0xF3, 0x66, 0xAD),
    FORM("movsb-load", 0, 0xF3, 0xA4), FORM("scasb", 0, 0xF3, 0xAE), FORM("cmpsd", 0, 0xF3, 0xA7),
};

struct registers {
    u64 rax, rcx, rdx, rbx, rsi, rdi, r9, flags;
};

static u8 code[32];
static u8 pages[3][PAGE] __attribute__((aligned(4096)));
static u8 scratch[PAGE] __attribute__((aligned(4096)));

static void run(struct registers *r)
{
    u64 target = (u64)code;

    __asm__ volatile("push %[flags]; popfq; call *%[target]; pushfq; pop %[flags]; cld"
                     : "+a"(r->rax), "+c"(r->rcx), "+d"(r->rdx), "+b"(r->rbx), "+S"(r->rsi), "+D"(r->rdi), [flags] "+r"(r->flags)
                     : [target] "r"(target)
                     : "memory", "cc");
}

static void load_code(const struct form *f)
{
    memcpy(code, f->code, f->len);
    code[f->len] = 0xC3;
    __asm__ volatile("cpuid" : : "a"(0) : "rbx", "rcx", "rdx", "memory"); /* serialise: the code was just written */
}

/* The state after the form with its operand at base + offset; addresses as offsets from base. */
static struct registers outcome(const struct form *f, u64 base, u64 offset, u64 flags)
{
    bool reads_si = f->code[f->len - 1] == 0xA4 || f->code[f->len - 1] == 0xA7 || f->code[f->len - 1] == 0xAD;
    u64 at = base + offset, other = (u64)scratch + 512;
    struct registers r = {0x8877665544332211, 5, 0xFFFFFFFFFFFFFFFF, at, reads_si ? at : other, reads_si ? other : at, 0, flags};

    memset(pages, 0xFF, sizeof(pages));
    memset(scratch, 0xFF, sizeof(scratch));
    load_code(f);
    run(&r);
    r.rbx -= base;
    *(reads_si ? &r.rsi : &r.rdi) -= base;
    r.flags &= STATUS & ~f->undefined;
    return r;
}

static u8 before[PAGE], copied[PAGE];

static bool equal_at(const struct form *f, u64 offset, u64 flags)
{
    struct registers hole = outcome(f, MIXED, offset, flags);

    memcpy(before, pages[0], PAGE); /* the RAM half of a straddling operand */
    memcpy(copied, scratch, PAGE);
    struct registers ram = outcome(f, PLAIN, offset, flags);
    return memcmp(&hole, &ram, sizeof(ram)) == 0 && memcmp(before, pages[1], PAGE) == 0 && memcmp(copied, scratch, PAGE) == 0;
}

static void try_form(const struct form *f)
{
    static const u64 flags[] = {2, 2 | 0x1, 2 | STATUS, 2 | 0x40};
    bool string = f->code[0] == 0xF3;
    u32 bad = 0;

    for (u32 i = 0; i < ARRAY_SIZE(flags); i++) {
        for (u64 offset = PAGE - 8; offset <= PAGE + 16; offset++) {
            bad += equal_at(f, offset, flags[i]) ? 0 : 1;
        }
        if (string) { /* downwards, from hole into RAM */
            bad += equal_at(f, PAGE + 16, flags[i] | 0x400) ? 0 : 1;
        }
    }
    check(bad == 0, f->name, "different=%u", bad);
}

static void port_strings(void)
{
    u64 at = PLAIN + PAGE - 10, n = 20;
    u32 wrong = 0;

    memset(pages, 0, sizeof(pages));
    outb(PORT_SCRATCH, 0x5A);
    u64 to = at, count = n;
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(PORT_SCRATCH) : "memory");
    for (u64 i = 0; i < n; i++) {
        wrong += ((u8 *)at)[i] == 0x5A ? 0 : 1;
    }
    wrong += pages[1][PAGE - 11] != 0 || pages[2][10] != 0;
    check(wrong == 0 && to == at + n && count == 0, "rep-insb-crossing", "wrong=%u", wrong);
    memcpy((void *)at, "rep outsb: one line\n", n);
    u64 from = at;
    count = n;
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(PORT_COM1) : "memory");
    check(from == at + n && count == 0, "rep-outsb-crossing", "left=%llu", (unsigned long long)count);
    for (u64 i = 0; i < n; i++) {
        ((u8 *)at)[i] = (u8)i;
    }
    from = at + n - 1;
    count = n;
    __asm__ volatile("std; rep outsb; cld" : "+S"(from), "+c"(count) : "d"(PORT_SCRATCH) : "memory");
    check(from == at - 1 && inb(PORT_SCRATCH) == 0, "rep-outsb-down", "last=%x", inb(PORT_SCRATCH));
    to = at;
    count = n;
    map_page(PLAIN + PAGE, 0, 0); /* the second page goes: ten bytes, then a page fault there */
    int vector = TRY("rep insb", : "+D"(to), "+c"(count) : "d"(PORT_SCRATCH));
    bool restartable = to == PLAIN + PAGE && count == 10;
    check(vector == 14 && fault_cr2 == PLAIN + PAGE && restartable, "rep-insb-fault", "vector=%d cr2=%llx left=%llu", vector,
          (unsigned long long)fault_cr2, (unsigned long long)count);
}

void guest_main(void)
{
    map_page(MIXED, (u64)pages[0], PAGE_PRESENT | PAGE_WRITE);
    map_page(MIXED + PAGE, HOLE, PAGE_PRESENT | PAGE_WRITE);
    map_page(PLAIN, (u64)pages[1], PAGE_PRESENT | PAGE_WRITE);
    map_page(PLAIN + PAGE, (u64)pages[2], PAGE_PRESENT | PAGE_WRITE);
    for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
        try_form(&forms[i]);
    }
    port_strings();
}
