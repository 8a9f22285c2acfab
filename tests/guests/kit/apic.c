#include "tests/guests/kit/apic.h"

#define AP_PAGE 0x8000U
#define AP_STACK 8192U

extern const u8 kit_ap_code[], kit_ap_code_end[], kit_ap_cr3[];
void kit_ap_main(void);

u64 kit_ap_stack;
static void (*volatile ap_fn)(void);
static volatile u32 ap_alive;
static u8 ap_stacks[CPUS_MAX][AP_STACK] __attribute__((aligned(16)));

static volatile u32 *page(u64 base, u32 offset)
{
    return (volatile u32 *)(base + offset);
}

static u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}

static void wrmsr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

bool apic_is_x2(void)
{
    return (rdmsr(MSR_APIC_BASE) & BASE_EXTD) != 0;
}

u32 apic_get(u32 reg)
{
    return apic_is_x2() ? (u32)rdmsr(MSR_X2APIC + reg) : *page(APIC_PAGE, reg * 16);
}

void apic_set(u32 reg, u32 value)
{
    if (apic_is_x2()) {
        wrmsr(MSR_X2APIC + reg, value);
    } else {
        *page(APIC_PAGE, reg * 16) = value;
    }
}

void apic_send(u32 destination, u32 icr)
{
    if (apic_is_x2()) {
        wrmsr(MSR_X2APIC + APIC_ICR, (u64)destination << 32 | icr);
    } else {
        apic_set(APIC_ICR_HIGH, destination << 24);
        apic_set(APIC_ICR, icr);
    }
}

u32 apic_errors(void)
{
    apic_set(APIC_ESR, 0);
    return apic_get(APIC_ESR);
}

void apic_enable(bool x2)
{
    if (x2) {
        wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_EXTD);
    }
    apic_set(APIC_SVR, 0x1FF);
}

u32 cpu_index(void)
{
    u32 r[4];

    cpuid(1, 0, r);
    return r[1] >> 24;
}

void kit_ap_main(void)
{
    void (*fn)(void) = ap_fn;

    load_idt();
    ap_alive = 1;
    fn();
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

bool start_cpu(u32 n, void (*fn)(void))
{
    memcpy((void *)(u64)AP_PAGE, kit_ap_code, (size_t)(kit_ap_code_end - kit_ap_code));
    *(volatile u32 *)(AP_PAGE + (u64)(kit_ap_cr3 - kit_ap_code)) = (u32)READ_REG(cr3);
    kit_ap_stack = (u64)&ap_stacks[n][AP_STACK] - 16;
    ap_fn = fn;
    ap_alive = 0;
    apic_send(n, ICR_INIT);
    wait_us(100);
    apic_send(n, ICR_STARTUP | AP_PAGE >> 12);
    wait_us(100);
    apic_send(n, ICR_STARTUP | AP_PAGE >> 12);
    return wait_count(&ap_alive, 1, 2000) == 1;
}

u32 ioapic_get(u32 reg)
{
    *page(IOAPIC_PAGE, 0) = reg;
    return *page(IOAPIC_PAGE, 0x10);
}

void ioapic_set(u32 reg, u32 value)
{
    *page(IOAPIC_PAGE, 0) = reg;
    *page(IOAPIC_PAGE, 0x10) = value;
}

void ioapic_route(u32 pin, u32 low, u32 destination)
{
    ioapic_set(0x11 + 2 * pin, destination << 24);
    ioapic_set(0x10 + 2 * pin, low);
}

u32 wait_count(const volatile u32 *counter, u32 value, u32 ms)
{
    u64 end = time_ns() + ms * 1000000ULL;

    while (*counter < value && time_ns() < end) {
        __asm__ volatile("pause");
    }
    return *counter;
}

void wait_us(u64 us)
{
    u64 end = time_ns() + us * 1000;

    while (time_ns() < end) {
        __asm__ volatile("pause");
    }
}

volatile u32 apic_counts[256];

void apic_count(u32 vector)
{
    apic_counts[vector]++;
    apic_set(APIC_EOI, 0);
}
