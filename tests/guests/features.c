/* The CPU's features in full: every CPUID leaf for the runner to judge (rows 15, 16), every combination of XCR0 (17), and
 * the values of the MSRs that there are, with writes that must and must not be taken (21). */
#include "tests/guests/kit/kit.h"

#define CR4_OSXSAVE (1ULL << 18)
#define UD 6
#define GP 13
#define XCR0_HIDDEN 0x218ULL /* MPX and PKRU: never offered */
#define XCR0_AVX512 0xE0ULL
#define XCR0_BITS 10

/* --- CPUID --- */

static void print_leaf(u32 leaf, u32 sub)
{
    u32 r[4];

    cpuid(leaf, sub, r);
    if ((r[0] | r[1] | r[2] | r[3]) != 0) {
        print("CPUID %8x %x %8x %8x %8x %8x\n", leaf, sub, r[0], r[1], r[2], r[3]);
    }
}

/* All that is not zero. */
static void print_leaves(void)
{
    static const u32 bases[] = {0, 0x40000000, 0x40000100, 0x80000000, 0x8FFFFFF0, 0xC0000000};

    for (u32 b = 0; b < ARRAY_SIZE(bases); b++) {
        for (u32 leaf = bases[b]; leaf < bases[b] + 0x30; leaf++) {
            for (u32 sub = 0; sub < 10; sub++) {
                u32 first[4], r[4];
                cpuid(leaf, 0, first);
                cpuid(leaf, sub, r);
                if (sub == 0 || memcmp(first, r, sizeof(r)) != 0) { /* else it has no subleaves */
                    print_leaf(leaf, sub);
                }
            }
        }
    }
}

/* --- XCR0 --- */

static u64 xgetbv(void)
{
    u32 a, d;

    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (u64)d << 32 | a;
}

static int try_xsetbv(u64 index, u64 value)
{
    return TRY("xsetbv", : : "c"(index), "a"(0xFFFFFFFF00000000ULL | (u32)value), "d"(0xFFFFFFFF00000000ULL | value >> 32));
}

static bool xcr0_legal(u64 v, u64 allowed)
{
    bool avx = (v & 4) != 0, avx512 = (v & XCR0_AVX512) != 0;

    return (v & 1) != 0 && (v & ~allowed) == 0 && (!avx || (v & 2) != 0) && (!avx512 || (avx && (v & XCR0_AVX512) == XCR0_AVX512));
}

/* From the components' own leaves: SDM Vol. 1 13.4.3. */
static u32 area_size(u64 v)
{
    u32 size = 576, r[4];

    for (u32 i = 2; i < 63; i++) {
        if ((v >> i & 1) != 0) {
            cpuid(0xD, i, r);
            size = r[0] + r[1] > size ? r[0] + r[1] : size;
        }
    }
    return size;
}

static void check_xcr0(void)
{
    u32 r[4], wrong = 0, hidden = 0, legal = 0, sizes = 0;

    cpuid(0xD, 0, r);
    u64 allowed = (u64)r[3] << 32 | r[0];
    for (u64 v = 0; v < 1 << XCR0_BITS; v++) {
        int vector = try_xsetbv(0, v);
        bool taken = vector == NO_FAULT && xgetbv() == v;
        if ((v & XCR0_HIDDEN) != 0) {
            hidden += vector != GP;
            continue;
        }
        bool expected = xcr0_legal(v, allowed);
        wrong += expected ? !taken : vector != GP;
        cpuid(0xD, 0, r);
        sizes += r[1] != area_size(xgetbv() & ~XCR0_HIDDEN) && (xgetbv() & XCR0_HIDDEN) == 0;
        legal += expected;
    }
    for (u32 bit = XCR0_BITS; bit < 64; bit++) {
        wrong += try_xsetbv(0, 1ULL << bit | 3) != GP;
    }
    check(wrong == 0 && legal >= 2, "xcr0-all", "wrong=%u legal=%u allowed=0x%lx", wrong, legal, allowed);
    check(hidden == 0, "xcr0-hidden", "taken=%u", hidden);
    (void)try_xsetbv(0, allowed);
    cpuid(0xD, 0, r);
    check(sizes == 0 && r[1] == r[2] && r[2] == area_size(allowed), "xsave-sizes", "wrong=%u max=%u", sizes, r[2]);
    wrong = 0;
    for (u64 index = 1; index < 5; index++) {
        wrong += try_xsetbv(index, 1) != GP;
    }
    wrong += try_xsetbv(0xFFFFFFFF, 1) != GP;
    wrong += try_xsetbv(0xFFFFFFFF00000000ULL, 3) != NO_FAULT; /* only ECX counts */
    check(wrong == 0, "xcr-index", "wrong=%u", wrong);
}

static void user_xsetbv(void)
{
    __asm__ volatile("xsetbv" ::"c"(0), "a"(1), "d"(0));
}

static void check_xsetbv_rights(void)
{
    u64 before = xgetbv();
    int user = run_user(user_xsetbv);

    check(user == GP && xgetbv() == before, "xsetbv-user", "vector=%d", user);
    WRITE_REG(cr4, READ_REG(cr4) & ~CR4_OSXSAVE);
    int off = try_xsetbv(0, 1);
    check(off == UD, "xsetbv-off", "vector=%d", off);
    WRITE_REG(cr4, READ_REG(cr4) | CR4_OSXSAVE);
    check(xgetbv() == before, "xcr0-kept", "xcr0=0x%lx", xgetbv());
}

/* --- MSRs --- */

#define APIC_BASE 0xFEE00900 /* of the first CPU, on */
enum cpu { BOTH, INTEL, AMD };
struct value { u32 msr; u8 cpu; u64 value; };

static const struct value values[] = {
    {0x17, INTEL, 0}, {0x1B, BOTH, APIC_BASE}, {0x8B, BOTH, 0}, {0xCE, INTEL, 0}, {0xFE, BOTH, 0x508}, {0x174, BOTH, 0},
    {0x175, BOTH, 0}, {0x176, BOTH, 0}, {0x179, BOTH, 0}, {0x17A, BOTH, 0}, {0x1A0, INTEL, 0x1801}, {0x1D9, BOTH, 0},
    {0x200, BOTH, 0}, {0x20F, BOTH, 0}, {0x250, BOTH, 0}, {0x26F, BOTH, 0}, {0x277, BOTH, 0x0007040600070406}, {0x2FF, BOTH, 0x806},
    {0xC0000080, BOTH, 0x500}, {0xC0000081, BOTH, 0}, {0xC0000082, BOTH, 0}, {0xC0000083, BOTH, 0}, {0xC0000084, BOTH, 0},
    {0xC0000100, BOTH, 0}, {0xC0000101, BOTH, 0}, {0xC0000102, BOTH, 0}, {0xC0000103, BOTH, 0}, {0xC0010015, AMD, 1 << 24},
    {0xC0011029, AMD, 2},
};

/* Of both halves of RAX and RDX nothing may be left over. */
static int rdmsr_wide(u64 msr, u64 *rax, u64 *rdx)
{
    u64 a = ~0ULL, d = ~0ULL;
    int v = TRY("rdmsr", : "+a"(a), "+d"(d) : "c"(msr));

    *rax = a;
    *rdx = d;
    return v;
}

static void check_values(void)
{
    u32 wrong = 0;
    u64 a, d;

    for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
        const struct value *row = &values[i];
        bool here = row->cpu == BOTH || (row->cpu == AMD) == on_amd();
        int v = rdmsr_wide(row->msr, &a, &d);
        bool ok = here ? v == NO_FAULT && a == (u32)row->value && d == row->value >> 32 : v == GP && a == ~0ULL && d == ~0ULL;
        if (!ok) {
            print("msr 0x%x: vector=%d rax=0x%lx rdx=0x%lx\n", row->msr, v, a, d);
            wrong++;
        }
    }
    check(wrong == 0, "msr-values", "wrong=%u", wrong);
    (void)rdmsr_wide(0xFFFFFFFF0000008BULL, &a, &d);
    check(a == 0 && d == 0, "msr-ecx-only", "rax=0x%lx", a);
    int v = rdmsr_wide(0x10, &a, &d);
    u64 tsc = d << 32 | a, later = rdtsc();
    check(v == NO_FAULT && (a | d) >> 32 == 0 && later > tsc && later - tsc < 1ULL << 32, "msr-tsc", "0x%lx 0x%lx", tsc, later);
    v = try_wrmsr(0x10, 1ULL << 50);
    later = rdtsc();
    check(v == NO_FAULT && later > 1ULL << 50 && later < (1ULL << 50) + (1ULL << 32), "msr-tsc-write", "0x%lx", later);
}

struct trial { u32 msr; u8 cpu; u64 value; int vector; u64 reads; };

static const struct trial trials[] = {
    {0x1B, BOTH, 0xFEE00500, GP, APIC_BASE}, /* x2APIC mode of an APIC that is off */
    {0x1B, BOTH, 1ULL << 50 | 0x900, GP, APIC_BASE}, {0x8B, BOTH, 0, NO_FAULT, 0}, {0xFE, BOTH, 0, GP, 0x508},
    {0x174, BOTH, 8, NO_FAULT, 8}, {0x175, BOTH, 0x7FFFFFFFF000, NO_FAULT, 0x7FFFFFFFF000},
    {0x176, BOTH, 0x123456789000, NO_FAULT, 0x123456789000}, {0x179, BOTH, 1, GP, 0}, {0x17A, BOTH, 1, GP, 0},
    {0x200, BOTH, 0x80000006, NO_FAULT, 0x80000006}, {0x200, BOTH, 2, GP, 0x80000006}, /* no such memory type */
    {0x201, BOTH, 0xFF000800, NO_FAULT, 0xFF000800}, {0x201, BOTH, 1ULL << 60, GP, 0xFF000800},
    {0x250, BOTH, 0x0606060606060606, NO_FAULT, 0x0606060606060606}, {0x250, BOTH, 0x0706060606060606, GP, 0x0606060606060606},
    {0x277, BOTH, 0x0007010600070106, NO_FAULT, 0x0007010600070106}, {0x277, BOTH, 0x0807010600070106, GP, 0x0007010600070106},
    {0x2FF, BOTH, 0xC06, NO_FAULT, 0xC06}, {0x2FF, BOTH, 0x1C06, GP, 0xC06},
    {0xC0000080, BOTH, 0xD01, NO_FAULT, 0xD01}, {0xC0000080, BOTH, 0x1D01, GP, 0xD01}, /* SVME */
    {0xC0000080, BOTH, 0xC01, GP, 0xD01}, {0xC0000080, BOTH, 0x500, NO_FAULT, 0x500}, /* LME stays while paging is on */
    {0xC0000081, BOTH, 0x0013000800000000, NO_FAULT, 0x0013000800000000}, {0xC0000103, BOTH, 77, NO_FAULT, 77},
    {0xC0000103, BOTH, 1ULL << 32, GP, 77}, {0xC0010015, AMD, 0, NO_FAULT, 1 << 24}, {0x3A, BOTH, 5, GP, 0}, {0x480, BOTH, 0, GP, 0},
    {0xC0010114, BOTH, 0, GP, 0}, {0xC0010117, BOTH, 0x1000, GP, 0}, {0x79, BOTH, 0, GP, 0}, {0x48, BOTH, 1, GP, 0},
    {0x49, BOTH, 1, GP, 0}, {0xDA0, BOTH, 1, GP, 0},
};

/* What is refused leaves the old value; of an MSR that is not there, none is to be read. */
static void check_writes(void)
{
    u32 wrong = 0;

    for (u32 i = 0; i < ARRAY_SIZE(trials); i++) {
        const struct trial *t = &trials[i];
        u64 now = 0;
        if (t->cpu != BOTH && (t->cpu == AMD) != on_amd()) {
            continue;
        }
        int v = try_wrmsr(t->msr, t->value);
        (void)try_rdmsr(t->msr, &now);
        if (v != t->vector || now != t->reads) {
            print("msr 0x%x: wrote 0x%lx vector=%d reads 0x%lx\n", t->msr, t->value, v, now);
            wrong++;
        }
    }
    check(wrong == 0, "msr-writes", "wrong=%u", wrong);
    u64 aux;
    u32 a, d, c;
    (void)try_rdmsr(0xC0000103, &aux);
    __asm__ volatile("rdtscp" : "=a"(a), "=d"(d), "=c"(c));
    check(c == 77 && aux == 77, "rdtscp-aux", "aux=%u", c);
}

/* Every MSR there could be, and many that could not, is read and written with what was read. */
static void storm(void)
{
    u32 answered = 0;
    u64 value;

    for (u32 i = 0; i < 20000; i++) {
        u32 msr = i < 12000 ? (i % 3 == 0 ? 0 : i % 3 == 1 ? 0xC0000000 : 0xC0010000) + random32() % 0x2000 : random32();
        if (try_rdmsr(msr, &value) == NO_FAULT) {
            answered++;
            (void)try_wrmsr(msr, value);
        } else {
            (void)try_wrmsr(msr, random32());
        }
    }
    check(answered < 200, "msr-storm", "answered=%u", answered);
}

void guest_main(void)
{
    u32 r[4];

    print_leaves();
    cpuid(1, 0, r);
    check((r[2] >> 27 & 1) == 0, "osxsave-clear", "ecx=0x%x", r[2]);
    WRITE_REG(cr4, READ_REG(cr4) | CR4_OSXSAVE);
    cpuid(1, 0, r);
    check((r[2] >> 27 & 1) == 1, "osxsave-set", "ecx=0x%x", r[2]);
    check_xcr0();
    check_xsetbv_rights();
    check_values();
    check_writes();
    storm();
}
