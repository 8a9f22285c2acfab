/* Polled output on COM1, checks, and the end. */
#include "tests/guests/boot/report.h"

#define LSR_THR_EMPTY 0x20
#define COM1 0x3F8
#define HC_EXIT 0x4D540001U
#define PORT_EXIT 0xF4
#define CPUID_AMD 0x68747541U /* EBX of leaf 0: "Auth" */
#define CPUID_HYPERVISOR (1U << 31)

static u32 passed, failed;

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
    while ((inb(COM1 + 5) & LSR_THR_EMPTY) == 0) {
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

/* By hypercall, or where there is no hypervisor by the test port. */
static void exit_vm(u32 code)
{
    u32 eax = 0, ebx, ecx, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    eax = 1;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(edx), "=c"(ecx), "=d"(edx));
    if ((ecx & CPUID_HYPERVISOR) == 0) {
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

void finish(void)
{
    print("DONE pass=%u fail=%u\n", passed, failed);
    exit_vm(failed != 0);
}
