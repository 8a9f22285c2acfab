/* What operations cost, in ticks of the TSC: under `qemu -icount shift=0` and in Bochs a tick is an instruction. Each
 * operation is timed 400 times; the median counts, less the cost of reading the clock twice. Prints "COST name ticks". */
#include "tests/guests/kit/apic.h"

#define SAMPLES 400
#define MSR_EFER 0xC0000080
#define VECTOR_SELF 0x40
#define VECTOR_TIMER 0x50
#define HALT_TICKS 100000U /* from arming the timer to its deadline: long enough that the CPU sleeps by then */

static u64 samples[SAMPLES];

static u64 median(void)
{
    for (u32 i = 1; i < SAMPLES; i++) { /* insertion sort: nearly all samples are equal */
        u64 v = samples[i];
        u32 j = i;
        for (; j != 0 && samples[j - 1] > v; j--) {
            samples[j] = samples[j - 1];
        }
        samples[j] = v;
    }
    return samples[SAMPLES / 2];
}

static u64 overhead;

#define MEASURE(name, operation)                                                                                       \
    do {                                                                                                               \
        for (u32 i_ = 0; i_ < SAMPLES; i_++) {                                                                         \
            u64 start_ = rdtsc();                                                                                      \
            operation;                                                                                                 \
            samples[i_] = rdtsc() - start_;                                                                            \
        }                                                                                                              \
        u64 cost_ = median();                                                                                          \
        print("COST %s %lu\n", name, cost_ - (cost_ < overhead ? cost_ : overhead));                                   \
    } while (0)

/* The bare instructions: what stands around them in the kit's functions would count, too. */
static inline u64 rdmsr(u32 msr)
{
    u32 low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" ::"a"((u32)value), "d"((u32)(value >> 32)), "c"(msr) : "memory");
}

static inline u64 vmmcall(u64 number)
{
    __asm__ volatile("vmmcall" : "+a"(number)::"memory");
    return number;
}

static inline u64 vmcall(u64 number)
{
    __asm__ volatile("vmcall" : "+a"(number)::"memory");
    return number;
}

static inline u32 mmio_read(u64 address)
{
    u32 value;

    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write(u64 address, u32 value)
{
    __asm__ volatile("movl %0, (%1)" ::"r"(value), "r"(address) : "memory");
}

/* --- interrupts ----------------------------------------------------------------------------------------------------- */

struct __attribute__((packed)) gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, reserved;
};

/* Written by the handler: when its first instruction ran, and what its end of interrupt cost. */
static volatile u64 arrived, eoi_ticks;
void on_timed(void);

/* The bare handler: the kit's would count, too. RAX, RCX, RDX are its to spoil: who waits for it knows. */
__asm__(".globl on_timed\n"
        "on_timed:\n\t"
        "rdtsc\n\t"
        "shlq $32, %rdx\n\t"
        "orq %rdx, %rax\n\t"
        "movq %rax, arrived(%rip)\n\t"
        "pushq %rbx\n\t"
        "movl $0x80B, %ecx\n\t" /* x2APIC EOI */
        "rdtsc\n\t"
        "movl %eax, %ebx\n\t"
        "xorl %eax, %eax\n\t"
        "xorl %edx, %edx\n\t"
        "wrmsr\n\t"
        "rdtsc\n\t"
        "subl %ebx, %eax\n\t"
        "movq %rax, eoi_ticks(%rip)\n\t"
        "popq %rbx\n\t"
        "iretq");

static void catch_vector(u32 vector)
{
    struct __attribute__((packed)) { u16 limit; u64 base; } idtr;
    u64 entry = (u64)on_timed;

    __asm__ volatile("sidt %0" : "=m"(idtr));
    struct gate *gate = (struct gate *)idtr.base + vector;
    gate->offset_low = (u16)entry;
    gate->offset_mid = (u16)(entry >> 16);
    gate->offset_high = (u32)(entry >> 32);
}

/* WRMSR, then `wait` until the handler ran; interrupts are on. */
#define WRMSR_AND_WAIT(msr, value, wait)                                                                               \
    do {                                                                                                               \
        u64 a_ = (u32)(value), c_ = (msr), d_ = (value) >> 32;                                                         \
        __asm__ volatile("wrmsr\n1:\t" wait "cmpq $0, arrived(%%rip)\n\tje 1b"                                        \
                         : "+a"(a_), "+c"(c_), "+d"(d_)::"memory", "cc");                                              \
    } while (0)

static void report(const char *name)
{
    u64 cost = median();

    print("COST %s %lu\n", name, cost - (cost < overhead ? cost : overhead));
}

static void measure_self_ipi(void)
{
    static u64 eois[SAMPLES];

    sti();
    for (u32 i = 0; i < SAMPLES; i++) {
        arrived = 0;
        u64 start = rdtsc();
        WRMSR_AND_WAIT(MSR_X2APIC + APIC_SELF, (u64)VECTOR_SELF, "");
        samples[i] = arrived - start;
        eois[i] = eoi_ticks;
    }
    cli();
    report("self-ipi");
    memcpy(samples, eois, sizeof(samples));
    report("x2apic-eoi");
}

static void measure_halt(void)
{
    apic_set(APIC_LVT_TIMER, TIMER_DEADLINE | VECTOR_TIMER);
    MEASURE("deadline-arm", wrmsr(MSR_TSC_DEADLINE, start_ + (1ULL << 40)));
    wrmsr(MSR_TSC_DEADLINE, 0);
    for (u32 i = 0; i < SAMPLES; i++) {
        arrived = 0;
        u64 deadline = rdtsc() + HALT_TICKS;
        WRMSR_AND_WAIT(MSR_TSC_DEADLINE, deadline, "sti\n\thlt\n\tcli\n\t");
        samples[i] = arrived - deadline;
    }
    report("halt-to-timer");
}

static void measure_apic(void)
{
    volatile u32 tpr;

    apic_enable(false);
    MEASURE("lapic-mmio-read", tpr = mmio_read(APIC_PAGE + APIC_LDR * 16));
    MEASURE("lapic-mmio-write", mmio_write(APIC_PAGE + APIC_TPR * 16, 0));
    apic_enable(true);
    MEASURE("x2apic-tpr", wrmsr(MSR_X2APIC + APIC_TPR, 0));
    catch_vector(VECTOR_SELF);
    catch_vector(VECTOR_TIMER);
    measure_self_ipi();
    measure_halt();
    (void)tpr;
}

void guest_main(void)
{
    u32 r[4];
    u64 value;
    static u8 buffer[SAMPLES * 4096 + 4096];
    u8 *page = buffer;
    bool scratch = hypercall(MOTE_HC_VERSION, 0, 0, 0, 0, 0, 0) == MOTE_ABI_VERSION;

    for (u32 i = 0; i < SAMPLES; i++) {
        u64 start = rdtsc();
        samples[i] = rdtsc() - start;
    }
    overhead = median();
    print("COST clock %lu\n", overhead);
    MEASURE("cpuid", cpuid(0, 0, r));
    if (on_amd()) {
        MEASURE("hypercall", (void)vmmcall(MOTE_HC_VERSION));
    } else {
        MEASURE("hypercall", (void)vmcall(MOTE_HC_VERSION));
    }
    MEASURE("rdmsr-apic-base", (void)rdmsr(MSR_APIC_BASE));
    value = rdmsr(MSR_EFER);
    MEASURE("wrmsr-efer", wrmsr(MSR_EFER, value));
    MEASURE("port-pic", (void)inb(0x21));
    MEASURE("port-nobody", (void)inb(0x300));
    MEASURE("port-uart-out", outb(PORT_COM1 + 7, 0));
    MEASURE("mmio-nobody", (void)mmio_read(0xFEB80000));
    MEASURE("first-touch", (*page = 1, page += 4096));
    measure_apic();
    check(scratch, "abi", "version=%u", MOTE_ABI_VERSION);
}
