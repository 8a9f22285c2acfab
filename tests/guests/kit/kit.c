#include "tests/guests/kit/kit.h"

struct frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;
};

struct __attribute__((packed)) gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, reserved;
};

extern const u64 interrupt_stubs[256];
extern u64 gdt[];
void kit_main(void);
void kit_user_enter(void (*fn)(void), u64 stack);
void kit_user_leave(void);
extern const u8 kit_user_done[];
void kit_interrupt(struct frame *f);

volatile int fault_vector;
volatile u64 fault_error, fault_cr2, fault_rip;
u64 recovery_rip;
static irq_fn handlers[256];
static struct gate idt[256];
static u32 passed, failed, seed = 2463534242U;
static u64 tables[64][512] __attribute__((aligned(4096)));
static u32 tables_used;
static u8 tss[104] __attribute__((aligned(16)));
static u8 fault_stack[4096] __attribute__((aligned(16)));
static u8 user_stack[4096] __attribute__((aligned(16)));

/* --- output --- */

void putch(char c)
{
    outb(PORT_COM1, (u8)c);
}

void wait_uart(void)
{
    while ((inb(PORT_LSR) & LSR_THRE) == 0) {
        __asm__ volatile("pause");
    }
}

static void put(char c)
{
    wait_uart();
    putch(c);
}

static void put_number(u64 value, u32 base, bool sign, u32 width)
{
    char buf[24];
    u32 n = 0;

    if (sign && (long long)value < 0) {
        put('-');
        value = -value;
    }
    do {
        buf[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (n < width && n < sizeof(buf)) {
        buf[n++] = '0';
    }
    while (n != 0) {
        put(buf[--n]);
    }
}

static void vprint(const char *f, va_list args)
{
    for (; *f != '\0'; f++) {
        if (*f != '%') {
            if (*f == '\n') {
                put('\r');
            }
            put(*f);
            continue;
        }
        u32 width = 0;
        bool wide = false;
        for (f++; *f >= '0' && *f <= '9'; f++) {
            width = width * 10 + (u32)(*f - '0');
        }
        for (; *f == 'l'; f++) {
            wide = true;
        }
        if (*f == 's') {
            for (const char *s = va_arg(args, const char *); *s != '\0'; s++) {
                put(*s);
            }
        } else if (*f == 'c') {
            put((char)va_arg(args, int));
        } else if (*f == 'd') {
            put_number(wide ? va_arg(args, u64) : (u64)(long long)va_arg(args, int), 10, true, width);
        } else if (*f == 'u' || *f == 'x') {
            put_number(wide ? va_arg(args, u64) : va_arg(args, u32), *f == 'x' ? 16 : 10, false, width);
        } else {
            put(*f);
        }
    }
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprint(format, args);
    va_end(args);
}

void check(bool ok, const char *name, const char *format, ...)
{
    va_list args;

    print("CHECK %s %s ", name, ok ? "ok" : "FAIL");
    va_start(args, format);
    vprint(format, args);
    va_end(args);
    print("\n");
    ok ? passed++ : failed++;
}

void exit_vm(u32 code)
{
    (void)hypercall(MOTE_HC_EXIT, code, 0, 0, 0, 0, 0);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

void finish(void)
{
    print("DONE pass=%u fail=%u\n", passed, failed);
    exit_vm(failed != 0);
}

/* --- interrupts --- */

static void die(const struct frame *f)
{
    print("CHECK unexpected-exception FAIL vector=%u error=0x%lx rip=0x%lx cr2=0x%lx\n", (u32)f->vector, f->error, f->rip,
          READ_REG(cr2));
    failed++;
    finish();
}

void kit_interrupt(struct frame *f)
{
    if (handlers[f->vector] != NULL) {
        handlers[f->vector]((u32)f->vector);
        return;
    }
    bool user = (f->cs & 3) != 0;
    if (f->vector >= 32 || (recovery_rip == 0 && !user)) {
        die(f);
    }
    fault_vector = (int)f->vector;
    fault_error = f->error;
    fault_cr2 = READ_REG(cr2);
    fault_rip = f->rip;
    if (user) {
        kit_user_leave();
    }
    f->rip = recovery_rip;
    recovery_rip = 0;
}

void set_handler(u32 vector, irq_fn fn)
{
    handlers[vector] = fn;
}

void load_idt(void)
{
    struct __attribute__((packed)) {
        u16 limit;
        u64 base;
    } pointer = {sizeof(idt) - 1, (u64)idt};

    __asm__ volatile("lidt %0" ::"m"(pointer));
}

static void setup_idt(void)
{
    u64 base = (u64)tss;

    for (u32 i = 0; i < 256; i++) {
        u64 at = interrupt_stubs[i];
        idt[i] = (struct gate){(u16)at, 8, i == 8, 0x8E, (u16)(at >> 16), (u32)(at >> 32), 0};
    }
    *(u64 *)(tss + 4) = (u64)fault_stack + sizeof(fault_stack);  /* RSP0 */
    *(u64 *)(tss + 36) = (u64)fault_stack + sizeof(fault_stack); /* IST1, for #DF */
    gdt[9] = (sizeof(tss) - 1) | (base & 0xFFFFFF) << 16 | 0x89ULL << 40 | (base >> 24 & 0xFF) << 56;
    gdt[10] = base >> 32;
    load_idt();
    __asm__ volatile("ltr %w0" ::"r"(0x48));
}

void pic_setup(u8 base)
{
    outb(0x20, 0x11);
    outb(0xA0, 0x11);
    outb(0x21, base);
    outb(0xA1, (u8)(base + 8));
    outb(0x21, 4);
    outb(0xA1, 2);
    outb(0x21, 1);
    outb(0xA1, 1);
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
}

void pic_unmask(u32 pin)
{
    u16 port = pin < 8 ? 0x21 : 0xA1;

    outb(port, (u8)(inb(port) & ~(1U << (pin & 7))));
    if (pin >= 8) {
        outb(0x21, (u8)(inb(0x21) & ~4U));
    }
}

void pic_eoi(u32 pin)
{
    if (pin >= 8) {
        outb(0xA0, 0x20);
    }
    outb(0x20, 0x20);
}

void pit_start(u32 hz)
{
    u32 reload = 1193182 / hz;

    outb(0x43, 0x34);
    outb(0x40, (u8)reload);
    outb(0x40, (u8)(reload >> 8));
}

/* --- hypervisor --- */

bool on_amd(void)
{
    u32 r[4];

    cpuid(0, 0, r);
    return r[1] == 0x68747541; /* "Auth" */
}

u64 hypercall(u64 number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    static int amd = -1;
    register u64 r8 __asm__("r8") = e;
    register u64 r9 __asm__("r9") = f;
    u64 result;

    if (amd < 0) {
        amd = on_amd();
    }
    if (amd) {
        __asm__ volatile("vmmcall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "c"(d), "r"(r8), "r"(r9) : "memory");
    } else {
        __asm__ volatile("vmcall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "c"(d), "r"(r8), "r"(r9) : "memory");
    }
    return result;
}

int run_user(void (*fn)(void))
{
    fault_vector = NO_FAULT;
    kit_user_enter(fn, (u64)user_stack + sizeof(user_stack) - 8);
    return fault_vector;
}

bool user_returned(int vector)
{
    return vector == 6 && fault_rip == (u64)kit_user_done;
}

int try_rdmsr(u32 msr, u64 *value)
{
    u32 lo = 0, hi = 0;
    int v = TRY("rdmsr", : "+a"(lo), "+d"(hi) : "c"(msr));

    *value = (u64)hi << 32 | lo;
    return v;
}

int try_wrmsr(u32 msr, u64 value)
{
    return TRY("wrmsr", : : "a"((u32)value), "d"((u32)(value >> 32)), "c"(msr));
}

/* --- paging --- */

static u64 *new_table(void)
{
    if (tables_used == ARRAY_SIZE(tables)) {
        print("CHECK kit-page-tables FAIL exhausted\n");
        exit_vm(1);
    }
    return tables[tables_used++];
}

static u64 *descend(u64 *entry, u32 level)
{
    if ((*entry & PAGE_PRESENT) != 0 && (*entry & 0x80) == 0) {
        return (u64 *)(*entry & 0x000FFFFFFFFFF000ULL);
    }
    u64 *table = new_table();
    if ((*entry & PAGE_PRESENT) != 0) { /* split a large page */
        u64 size = 1ULL << (12 + 9 * (level - 1));
        for (u32 i = 0; i < 512; i++) {
            table[i] = (*entry & ~0x80ULL) + i * size + (level > 1 ? 0x80 : 0);
        }
    }
    *entry = (u64)table | PAGE_PRESENT | PAGE_WRITE | PAGE_USER;
    return table;
}

void map_page(u64 va, u64 pa, u64 flags)
{
    u64 *table = (u64 *)(READ_REG(cr3) & ~0xFFFULL);

    for (u32 level = 3; level != 0; level--) {
        table = descend(&table[va >> (12 + 9 * level) & 511], level);
    }
    table[va >> 12 & 511] = flags == 0 ? 0 : pa | flags;
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

/* An identity map of 4 GiB of our own, user-accessible, 2 MiB pages. */
static void setup_paging(void)
{
    u64 *root = new_table();
    u64 *upper = new_table();

    root[0] = (u64)upper | PAGE_PRESENT | PAGE_WRITE | PAGE_USER;
    for (u64 g = 0; g < 4; g++) {
        u64 *table = new_table();
        upper[g] = (u64)table | PAGE_PRESENT | PAGE_WRITE | PAGE_USER;
        for (u64 i = 0; i < 512; i++) {
            table[i] = (g << 30 | i << 21) | 0x80 | PAGE_PRESENT | PAGE_WRITE | PAGE_USER;
        }
    }
    WRITE_REG(cr3, root);
}

/* --- C library --- */

/* By words: emulators count instructions. */
typedef u64 __attribute__((aligned(1), may_alias)) word;

void *memset(void *p, int v, size_t n)
{
    u8 *at = p;
    u64 words = n / sizeof(word);

    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0x0101010101010101U * (u8)v) : "memory");
    for (n %= sizeof(word); n != 0; n--) {
        *at++ = (u8)v;
    }
    return p;
}

void *memcpy(void *d, const void *s, size_t n)
{
    u8 *to = d;
    const u8 *from = s;
    u64 words = n / sizeof(word);

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    for (n %= sizeof(word); n != 0; n--) {
        *to++ = *from++;
    }
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    size_t i = 0;

    while (n - i >= sizeof(word) && *(const word *)((const u8 *)a + i) == *(const word *)((const u8 *)b + i)) {
        i += sizeof(word);
    }
    for (; i < n; i++) {
        if (((const u8 *)a)[i] != ((const u8 *)b)[i]) {
            return ((const u8 *)a)[i] < ((const u8 *)b)[i] ? -1 : 1;
        }
    }
    return 0;
}

u32 random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

void kit_main(void)
{
    setup_paging();
    setup_idt();
    guest_main();
    finish();
}
