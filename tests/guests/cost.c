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
    MEASURE("hypercall", (void)hypercall(MOTE_HC_VERSION, 0, 0, 0, 0, 0, 0));
    MEASURE("rdmsr-apic-base", (void)try_rdmsr(MSR_APIC_BASE, &value));
    (void)try_rdmsr(MSR_EFER, &value);
    MEASURE("wrmsr-efer", (void)try_wrmsr(MSR_EFER, value));
    MEASURE("port-pic", (void)inb(0x21));
    MEASURE("port-nobody", (void)inb(0x300));
    MEASURE("port-uart-out", outb(PORT_COM1 + 7, 0));
    MEASURE("mmio-nobody", (void)*(volatile u32 *)0xFEB80000);
    MEASURE("first-touch", (*page = 1, page += 4096));
    check(scratch, "abi", "version=%u", MOTE_ABI_VERSION);
}
