/* What operations cost, in ticks of the TSC: under `qemu -icount shift=0` and in Bochs a tick is an instruction. Each
 * operation is timed 400 times; the median counts, less the cost of reading the clock twice. Prints "COST name ticks". */
#include "tests/guests/kit/kit.h"

#define SAMPLES 400
#define MSR_APIC_BASE 0x1B
#define MSR_EFER 0xC0000080

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
    MEASURE("mmio-nobody", (void)*(volatile u32 *)0xFEB80000);
    MEASURE("first-touch", (*page = 1, page += 4096));
    check(scratch, "abi", "version=%u", MOTE_ABI_VERSION);
}
