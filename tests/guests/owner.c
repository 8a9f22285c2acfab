/* Registers belong to the guest that wrote them (rows 18, 22). Several VMs of this payload share a CPU; each fills what an
 * exit does not save with values made from its own number, lets the others run, and looks. */
#include "tests/guests/kit/kit.h"

#define CR4_OSFXSR (3ULL << 9)
#define CR4_OSXSAVE (1ULL << 18)
#define XCR0_AVX 7
#define ROUNDS 400
#define TICK_HZ 1000

static const u32 msrs[] = {0x174, 0x175, 0x176, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, 0xC0000100, 0xC0000102,
                           0xC0000103};
static u64 seed;
static u64 vectors[16][4] __attribute__((aligned(32))), seen[16][4] __attribute__((aligned(32)));
static bool avx;
static u32 switches;
static volatile u32 ticks;

static u64 value_of(u64 index)
{
    return (seed * 0x0101010101ULL + index * 0x1111) & 0x7FFFFFFFFFFULL;
}

static u64 msr_value(u32 i)
{
    bool narrow = msrs[i] == 0x174 || msrs[i] == 0xC0000084 || msrs[i] == 0xC0000103;
    return narrow ? (u32)value_of(i) & 0x7FFFFFFF : value_of(i);
}

static void tick(u32 vector)
{
    (void)vector;
    ticks++;
    pic_eoi(0);
}

#define EACH_VECTOR(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static void load_vectors(void)
{
#define LOAD(n) __asm__ volatile("vmovdqa %0, %%ymm" #n ::"m"(vectors[n]));
#define LOAD_SSE(n) __asm__ volatile("movdqa %0, %%xmm" #n ::"m"(vectors[n]));
    if (avx) {
        EACH_VECTOR(LOAD)
    } else {
        EACH_VECTOR(LOAD_SSE)
    }
}

static void store_vectors(void)
{
#define STORE(n) __asm__ volatile("vmovdqa %%ymm" #n ", %0" : "=m"(seen[n]));
#define STORE_SSE(n) __asm__ volatile("movdqa %%xmm" #n ", %0" : "=m"(seen[n]));
    if (avx) {
        EACH_VECTOR(STORE)
    } else {
        EACH_VECTOR(STORE_SSE)
    }
}

static u32 mxcsr_value(void)
{
    return 0x1F80 | (u32)(seed & 3) << 13; /* rounding */
}

static void fill(void)
{
    u32 mxcsr = mxcsr_value();
    u16 fcw = (u16)(0x37F & ~(3U << 8)) | (u16)((seed & 1) * 2 << 8); /* precision */

    for (u32 i = 0; i < ARRAY_SIZE(msrs); i++) {
        (void)try_wrmsr(msrs[i], msr_value(i));
    }
    for (u32 i = 0; i < 64; i++) {
        vectors[i / 4][i % 4] = value_of(100 + i);
    }
    load_vectors();
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" ::"m"(mxcsr), "m"(fcw));
    WRITE_REG(cr2, value_of(1));
    WRITE_REG(dr0, value_of(2));
    WRITE_REG(dr1, value_of(3));
    WRITE_REG(dr2, value_of(4));
    WRITE_REG(dr3, value_of(5));
    WRITE_REG(dr6, 0xFFFF0FF0ULL | (seed & 0xF));
}

static u32 wrong_msrs(void)
{
    u32 wrong = 0;

    for (u32 i = 0; i < ARRAY_SIZE(msrs); i++) {
        u64 value = 0;
        wrong += try_rdmsr(msrs[i], &value) != NO_FAULT || value != msr_value(i);
    }
    return wrong;
}

static u32 wrong_fpu(void)
{
    u32 mxcsr, bytes = avx ? 32 : 16, wrong = 0;
    u16 fcw;

    store_vectors();
    for (u32 i = 0; i < 16; i++) {
        wrong += memcmp(vectors[i], seen[i], bytes) != 0;
    }
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(fcw));
    return wrong + (mxcsr != mxcsr_value()) + ((fcw >> 8 & 3) != (seed & 1) * 2);
}

static u32 wrong_debug(void)
{
    return (READ_REG(cr2) != value_of(1)) + (READ_REG(dr0) != value_of(2)) + (READ_REG(dr1) != value_of(3)) +
           (READ_REG(dr2) != value_of(4)) + (READ_REG(dr3) != value_of(5)) + ((READ_REG(dr6) & 0xF) != (seed & 0xF));
}

static u64 xcr0(void)
{
    u32 a, d;

    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (u64)d << 32 | a;
}

/* Odd VMs keep AVX off, so that XCR0 differs too. */
static void setup_fpu(void)
{
    u32 r[4];

    WRITE_REG(cr4, READ_REG(cr4) | CR4_OSFXSR);
    cpuid(1, 0, r);
    if ((r[2] >> 26 & 1) != 0) {
        WRITE_REG(cr4, READ_REG(cr4) | CR4_OSXSAVE);
        avx = (r[2] >> 28 & 1) != 0 && (seed & 1) == 0;
        __asm__ volatile("xsetbv" ::"a"(avx ? XCR0_AVX : 3), "d"(0), "c"(0));
    }
}

void guest_main(void)
{
    u32 msr_errors = 0, fpu_errors = 0, debug_errors = 0, xcr0_errors = 0;

    seed = hypercall(MOTE_HC_VM_ID, 0, 0, 0, 0, 0, 0) + 1;
    setup_fpu();
    pic_setup(32);
    set_handler(32, tick);
    pic_unmask(0);
    pit_start(TICK_HZ);
    fill();
    for (u32 i = 0; i < ROUNDS; i++) {
        u32 before = ticks;
        u64 start = rdtsc();
        __asm__ volatile("sti; hlt; cli" ::: "memory"); /* Blocked: another VM's turn */
        switches += ticks != before && rdtsc() != start;
        msr_errors += wrong_msrs();
        fpu_errors += wrong_fpu();
        debug_errors += wrong_debug();
        xcr0_errors += (READ_REG(cr4) & CR4_OSXSAVE) != 0 && xcr0() != (avx ? XCR0_AVX : 3);
    }
    check(msr_errors == 0, "own-msrs", "wrong=%u turns=%u", msr_errors, switches);
    check(fpu_errors == 0, "own-fpu", "wrong=%u avx=%u", fpu_errors, avx);
    check(debug_errors == 0, "own-debug-cr2", "wrong=%u", debug_errors);
    check(xcr0_errors == 0, "own-xcr0", "wrong=%u", xcr0_errors);
}
