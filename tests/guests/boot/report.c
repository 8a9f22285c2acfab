/* A kernel that says how it was started: registers, then the information block line by line, each with checks. Output by
 * polled COM1, like every payload: "CHECK name ok|FAIL detail" lines and "DONE pass=N fail=M" at the end. */
#include "tests/guests/boot/report.h"

#define LCR_DATA_READY 0x20
#define COM1 0x3F8
#define EFLAGS_IF (1U << 9)
#define EFLAGS_VM (1U << 17)
#define CR0_PE 1U
#define CR0_PG (1U << 31)
#define MB1_MAGIC 0x2BADB002U
#define MB2_MAGIC 0x36D76289U
#define HC_EXIT 0x4D540001U
#define PORT_EXIT 0xF4
#define SEGMENT_LIMIT 0xFFFFFFFFU
#define CPUID_AMD 0x68747541U /* EBX of leaf 0: "Auth" */

/* In the order in which start.asm stores them. */
struct registers {
    u32 eax, ebx, ecx, edx, esi, edi, ebp, esp, eflags, cr0, cs;
};

extern const struct registers entry_registers;
static u32 passed, failed;
static volatile u32 data_mark = 0x600DDA7A;
static volatile u32 bss_mark[2048];

static void outb(u32 port, u32 value)
{
    __asm__ volatile("outb %b0, %w1" ::"a"(value), "Nd"(port));
}

static u32 inb(u32 port)
{
    u32 value = 0;

    __asm__ volatile("inb %w1, %b0" : "+a"(value) : "Nd"(port));
    return value;
}

static void put(char c)
{
    while ((inb(COM1 + 5) & LCR_DATA_READY) == 0) {
    }
    outb(COM1, (u8)c);
}

static void put_hex(u64 value)
{
    bool started = false;

    for (int shift = 60; shift >= 0; shift -= 4) {
        u32 digit = (u32)(value >> shift) & 15;
        started = started || digit != 0 || shift == 0;
        if (started) {
            put("0123456789abcdef"[digit]);
        }
    }
}

static void put_decimal(u32 value)
{
    if (value >= 10) {
        put_decimal(value / 10);
    }
    put((char)('0' + value % 10));
}

static void print_list(const char *f, va_list args)
{
    for (; *f != '\0'; f++) {
        if (*f == '\n') {
            put('\r');
        }
        if (*f != '%') {
            put(*f);
            continue;
        }
        f++;
        if (*f == 's') {
            for (const char *s = va_arg(args, const char *); *s != '\0'; s++) {
                put(*s);
            }
        } else if (*f == 'u') {
            put_decimal(va_arg(args, u32));
        } else if (*f == 'x') {
            put_hex(va_arg(args, u32));
        } else if (*f == 'X') {
            put_hex(va_arg(args, u64));
        }
    }
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_list(format, args);
    va_end(args);
}

void check(bool ok, const char *name, const char *format, ...)
{
    va_list args;

    print("CHECK %s %s ", name, ok ? "ok" : "FAIL");
    va_start(args, format);
    print_list(format, args);
    va_end(args);
    print("\n");
    passed += ok;
    failed += !ok;
}

/* By hypercall, or where there is no Mote by the test port. */
static void exit_vm(u32 code)
{
    u32 eax = 0, ebx, ecx, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    eax = 1;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(edx), "=c"(ecx), "=d"(edx) : : );
    if ((ecx >> 31) == 0) {
        outb(PORT_EXIT, code);
    }
    eax = HC_EXIT;
    if (ebx == CPUID_AMD) {
        __asm__ volatile("vmmcall" : "+a"(eax) : "D"(code));
    } else {
        __asm__ volatile("vmcall" : "+a"(eax) : "D"(code));
    }
    outb(PORT_EXIT, code);
}

static u32 segment_limit(u32 selector)
{
    u32 limit = 0;

    __asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(selector));
    return limit;
}

static void check_state(const struct registers *r)
{
    u32 ds, ss;
    volatile u32 *low = (volatile u32 *)&data_mark;
    volatile u32 *wrapped = (volatile u32 *)((u32)low ^ (1U << 20));

    __asm__ volatile("mov %%ds, %0; mov %%ss, %1" : "=r"(ds), "=r"(ss));
    print("entry: eax=%x ebx=%x ecx=%x edx=%x esi=%x edi=%x ebp=%x esp=%x eflags=%x cr0=%x cs=%x ds=%x ss=%x\n", r->eax,
          r->ebx, r->ecx, r->edx, r->esi, r->edi, r->ebp, r->esp, r->eflags, r->cr0, r->cs & 0xFFFF, ds, ss);
    check((r->cr0 & CR0_PE) != 0 && (r->cr0 & CR0_PG) == 0, "cr0", "%x", r->cr0);
    check((r->eflags & (EFLAGS_IF | EFLAGS_VM)) == 0, "eflags", "%x", r->eflags);
    check(segment_limit(r->cs & 0xFFFF) == SEGMENT_LIMIT, "cs-limit", "%x", segment_limit(r->cs & 0xFFFF));
    check(segment_limit(ds) == SEGMENT_LIMIT, "ds-limit", "%x", segment_limit(ds));
    u32 before = *wrapped;
    *low = ~before;
    check(*wrapped == before, "a20", "on");
    *low = 0x600DDA7A;
}

static void check_image(void)
{
    u32 sum = 0;

    for (u32 i = 0; i < sizeof(bss_mark) / sizeof(bss_mark[0]); i++) {
        sum |= bss_mark[i];
    }
    check(data_mark == 0x600DDA7A, "data", "%x", data_mark);
    check(sum == 0, "bss", "%x", sum);
}

void report_main(void)
{
    const struct registers *r = &entry_registers;

    print("boot: kernel [%x,%x)\n", (u32)kernel_start, (u32)bss_end);
    check_image();
    check_state(r);
    if (r->eax == MB1_MAGIC) {
        report_mb1(r->ebx);
    } else if (r->eax == MB2_MAGIC) {
        report_mb2(r->ebx);
    } else {
        check(r->eax == 0 && r->ebx == 0, "plain", "eax=%x ebx=%x", r->eax, r->ebx);
    }
    print("DONE pass=%u fail=%u\n", passed, failed);
    exit_vm(failed != 0);
}
