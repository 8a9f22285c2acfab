/* What a guest is shown and may change: CPUID, XCR0, control registers, MSRs (rows 15-17, 19-21). */
#include "tests/guests/kit/kit.h"

#define CR4_OSXSAVE (1ULL << 18)
#define EFER_BITS 0xD01ULL /* NXE LMA LME SCE: what this payload may see */
#define MSR_EFER 0xC0000080U
#define MSR_PAT 0x277U
#define GP 13
#define UD 6

/* --- CPUID --- */

static u32 leaf_reg(u32 leaf, u32 sub, u32 reg)
{
    u32 r[4];

    cpuid(leaf, sub, r);
    return r[reg];
}

enum { EAX, EBX, ECX, EDX };
struct feature { u32 leaf, reg, bit; bool set; };

static void check_features(void)
{
    static const struct feature rows[] = {
        {1, ECX, 3, false}, {1, ECX, 5, false}, {1, ECX, 6, false}, {1, EDX, 9, true},
        {1, ECX, 31, true}, {1, EDX, 7, true}, {1, EDX, 14, true}, {1, EDX, 0, true}, {1, EDX, 5, true},
        {1, EDX, 6, true}, {1, EDX, 15, true}, {1, EDX, 26, true}, {7, ECX, 5, false}, {7, ECX, 16, false},
        {0x80000001, ECX, 2, false}, {0x80000001, EDX, 20, true}, {0x80000001, EDX, 29, true},
    };
    u32 wrong = 0;

    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        bool set = (leaf_reg(rows[i].leaf, 0, rows[i].reg) >> rows[i].bit & 1) != 0;
        if (set != rows[i].set) {
            print("leaf 0x%x register %u bit %u is %u\n", rows[i].leaf, rows[i].reg, rows[i].bit, set);
            wrong++;
        }
    }
    check(wrong == 0, "cpuid-bits", "wrong=%u", wrong);
}

static void print_leaves(void)
{
    static const u32 leaves[] = {0, 1, 7, 0xD, 0x16, 0x40000000, 0x40000001, 0x40000100, 0x80000001, 0x80000008, 0x8000000A};
    u32 r[4];

    for (u32 i = 0; i < ARRAY_SIZE(leaves); i++) {
        cpuid(leaves[i], 0, r);
        print("cpuid 0x%x: 0x%x 0x%x 0x%x 0x%x\n", leaves[i], r[0], r[1], r[2], r[3]);
    }
}

static void check_cpuid(void)
{
    u32 r[4];

    print_leaves();
    check_features();
    cpuid(0x40000000, 0, r);
    check(r[1] == 0x4B4D564B && r[2] == 0x564B4D56 && r[3] == 0x4D, "cpuid-kvm", "max=0x%x", r[0]);
    cpuid(0x40000100, 0, r);
    check(r[1] == 0x65746F4D && r[2] == r[1] && r[3] == r[1], "cpuid-mote", "max=0x%x", r[0]);
    cpuid(0x8000000A, 0, r);
    check((r[0] | r[1] | r[2] | r[3]) == 0, "cpuid-svm-leaf", "eax=0x%x", r[0]);
    check(leaf_reg(1, 0, EBX) >> 24 == 0, "cpuid-apic-id", "id=%u", leaf_reg(1, 0, EBX) >> 24);
    WRITE_REG(cr4, READ_REG(cr4) & ~CR4_OSXSAVE);
    u32 off = leaf_reg(1, 0, ECX) >> 27 & 1;
    WRITE_REG(cr4, READ_REG(cr4) | CR4_OSXSAVE);
    check(off == 0 && (leaf_reg(1, 0, ECX) >> 27 & 1) == 1, "cpuid-osxsave", "off=%u", off);
}

/* A prefix makes the instruction longer; upper halves of the registers are cleared. */
static void check_cpuid_form(void)
{
    u64 a = 0xFFFFFFFF00000000ULL, b = ~0ULL, c = 0xFFFFFFFF00000000ULL, d = ~0ULL;
    int v = TRY(".byte 0x66, 0x66, 0x0F, 0xA2", : "+a"(a), "+b"(b), "+c"(c), "+d"(d) :);

    check(v == NO_FAULT && (a | b | c | d) >> 32 == 0 && a == leaf_reg(0, 0, EAX), "cpuid-prefixed", "vector=%d", v);
}

/* --- XCR0 --- */

static int try_xsetbv(u32 index, u64 value)
{
    return TRY("xsetbv", : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}

static u64 xgetbv(void)
{
    u32 a, d;

    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (u64)d << 32 | a;
}

/* Emulated SVM without an XSETBV intercept leaves combinations to the emulator: those are printed, the runner judges. */
static void check_xcr0(void)
{
    static const u64 illegal[] = {0, 2, 6, 1ULL << 62, 1ULL << 63 | 1, 1ULL << 10 | 1};
    u64 allowed = leaf_reg(0xD, 0, EAX);
    u32 wrong = 0;

    for (u32 i = 0; i < ARRAY_SIZE(illegal); i++) {
        wrong += try_xsetbv(0, illegal[i]) != GP;
    }
    wrong += try_xsetbv(1, 1) != GP;
    check(wrong == 0 && xgetbv() == 1, "xsetbv-illegal", "wrong=%u xcr0=0x%lx", wrong, xgetbv());
    u32 small = leaf_reg(0xD, 0, EBX);
    int v = try_xsetbv(0, allowed);
    u32 large = leaf_reg(0xD, 0, EBX);
    check(v == NO_FAULT && xgetbv() == allowed, "xsetbv-legal", "allowed=0x%lx", allowed);
    bool avx = (allowed & 4) != 0;
    check(small == 576 && large == leaf_reg(0xD, 0, ECX) && (!avx || large >= 832), "cpuid-d-size", "%u then %u", small, large);
    v = try_xsetbv(0, 5);
    print("INFO avx-without-sse vector=%d avx=%u\n", v, avx);
    (void)try_xsetbv(0, 3);
}

/* --- control registers --- */

/* Write, read back, restore. */
#define CR_KEEPS(cr, value)                                                                                           \
    ({                                                                                                                 \
        u64 old_ = READ_REG(cr);                                                                                       \
        int v_ = TRY("mov %0, %%" #cr, : : "r"((u64)(value)));                                                         \
        u64 now_ = READ_REG(cr);                                                                                       \
        WRITE_REG(cr, old_);                                                                                           \
        v_ == NO_FAULT && now_ == (u64)(value);                                                                        \
    })
#define CR_FAULTS(cr, value) (TRY("mov %0, %%" #cr, : : "r"((u64)(value))) == GP)

static void check_cr0(void)
{
    static const u32 bits[] = {1, 2, 3, 5, 16, 18, 30};
    u64 cr0 = READ_REG(cr0);
    u32 wrong = 0;

    for (u32 i = 0; i < ARRAY_SIZE(bits); i++) {
        wrong += !CR_KEEPS(cr0, cr0 ^ 1ULL << bits[i]);
    }
    wrong += !CR_KEEPS(cr0, cr0 | 3ULL << 29);
    check(wrong == 0, "cr0-bits", "wrong=%u cr0=0x%lx", wrong, cr0);
    u64 illegal[] = {cr0 & ~1ULL, (cr0 & ~(1ULL << 30)) | 1ULL << 29, cr0 & ~(1ULL << 31),
                     (cr0 ^ 1ULL << 18) | 1ULL << 32}; /* bit 32 alone QEMU does not see */
    wrong = 0;
    for (u32 i = 0; i < ARRAY_SIZE(illegal); i++) {
        wrong |= CR_FAULTS(cr0, illegal[i]) ? 0 : 1U << i;
    }
    check(wrong == 0 && READ_REG(cr0) == cr0, "cr0-illegal", "accepted=0x%x", wrong);
}

static void check_cr4(void)
{
    static const u32 legal[] = {2, 3, 4, 7, 8, 9, 10}; /* with every CPU that has long mode */
    static const u32 illegal[] = {12, 13, 14, 15, 19, 26, 31, 32, 63};
    u64 cr4 = READ_REG(cr4);
    u32 wrong = 0;

    for (u32 i = 0; i < ARRAY_SIZE(legal); i++) {
        wrong += !CR_KEEPS(cr4, cr4 ^ 1ULL << legal[i]);
    }
    check(wrong == 0 && (cr4 & 1 << 13) == 0, "cr4-bits", "wrong=%u cr4=0x%lx", wrong, cr4);
    wrong = !CR_FAULTS(cr4, cr4 & ~(1ULL << 5));
    for (u32 i = 0; i < ARRAY_SIZE(illegal); i++) {
        wrong += !CR_FAULTS(cr4, cr4 | 1ULL << illegal[i]);
    }
    check(wrong == 0 && READ_REG(cr4) == cr4, "cr4-illegal", "wrong=%u", wrong);
}

static void check_cr3_cr8(void)
{
    u32 wrong = 0;

    for (u64 i = 0; i < 16; i++) {
        wrong += !CR_KEEPS(cr8, i);
    }
    check(wrong == 0, "cr8", "wrong=%u", wrong);
    check(CR_FAULTS(cr8, 16), "cr8-reserved", "value=16");
    check(CR_KEEPS(cr3, READ_REG(cr3) | 0x18) && CR_KEEPS(cr2, 0x123456789ABCULL), "cr3-cr2", "cr3=0x%lx", READ_REG(cr3));
}

static void check_efer(void)
{
    u64 efer, again;

    (void)try_rdmsr(MSR_EFER, &efer);
    check((efer & ~EFER_BITS) == 0 && (efer & 0x500) == 0x500, "efer", "efer=0x%lx", efer);
    u32 wrong = (try_wrmsr(MSR_EFER, efer | 1 << 12) != GP) + (try_wrmsr(MSR_EFER, efer | 2) != GP) +
                (try_wrmsr(MSR_EFER, efer & ~0x100ULL) != GP) + (try_wrmsr(MSR_EFER, efer | 1ULL << 40) != GP);
    (void)try_rdmsr(MSR_EFER, &again);
    check(wrong == 0 && again == efer, "efer-illegal", "wrong=%u", wrong);
}

/* MOV to and from one control register through one GPR: CR2 takes any value, the others their own. */
#define CR_BY(cr, reg)                                                                                                 \
    ({                                                                                                                 \
        u64 in_ = READ_REG(cr), out_;                                                                                  \
        __asm__ volatile("mov %1, %%" #reg "\n\tmov %%" #reg ", %%" #cr "\n\txor %%" #reg ", %%" #reg                   \
                         "\n\tmov %%" #cr ", %%" #reg "\n\tmov %%" #reg ", %0" : "=m"(out_) : "m"(in_) : #reg, "memory"); \
        wrong += out_ != in_;                                                                                          \
        done++;                                                                                                        \
    })
#define CR_BY_ALL(cr)                                                                                                  \
    CR_BY(cr, rax); CR_BY(cr, rcx); CR_BY(cr, rdx); CR_BY(cr, rbx); CR_BY(cr, rsi); CR_BY(cr, rdi); CR_BY(cr, r8);       \
    CR_BY(cr, r9); CR_BY(cr, r10); CR_BY(cr, r11); CR_BY(cr, r12); CR_BY(cr, r13); CR_BY(cr, r14); CR_BY(cr, r15)
/* RSP and RBP carry the frame: read only, into a register that is put back. */
#define CR_INTO(cr, reg)                                                                                               \
    ({                                                                                                                 \
        u64 in_ = READ_REG(cr), out_;                                                                                  \
        __asm__ volatile("mov %%" #reg ", %%r15\n\tmov %%" #cr ", %%" #reg "\n\tmov %%" #reg ", %%r14\n\tmov %%r15, %%" #reg \
                         "\n\tmov %%r14, %0" : "=r"(out_) : : "r14", "r15");                                           \
        wrong += out_ != in_;                                                                                          \
        done++;                                                                                                        \
    })

static __attribute__((noinline)) void check_cr_gprs(void)
{
    u32 wrong = 0, done = 0;

    CR_BY_ALL(cr0);
    CR_BY_ALL(cr2);
    CR_BY_ALL(cr3);
    CR_BY_ALL(cr4);
    CR_BY_ALL(cr8);
    CR_INTO(cr0, rsp); CR_INTO(cr0, rbp); CR_INTO(cr4, rsp); CR_INTO(cr8, rsp); CR_INTO(cr3, rbp);
    check(wrong == 0, "cr-gprs", "CR %u/%u ok", done - wrong, done);
}

static void check_msw(void)
{
    u64 cr0 = READ_REG(cr0);
    u16 in_memory;

    WRITE_REG(cr0, cr0 | 8);
    __asm__ volatile("clts");
    bool clts = (READ_REG(cr0) & 8) == 0;
    __asm__ volatile("lmsw %w0" ::"r"(0xFFFE));
    u64 set = READ_REG(cr0); /* MP EM TS, PE stays */
    in_memory = 1;
    __asm__ volatile("lmsw %0" ::"m"(in_memory));
    u64 clear = READ_REG(cr0);
    __asm__ volatile("smsw %0" : "=m"(in_memory));
    u64 smsw;
    __asm__ volatile("smsw %0" : "=r"(smsw));
    WRITE_REG(cr0, cr0);
    check(clts && (set & 0xF) == 0xF && (clear & 0xF) == 1, "clts-lmsw", "set=0x%lx clear=0x%lx", set, clear);
    check((u16)smsw == (u16)clear && in_memory == (u16)clear, "smsw", "register=0x%lx memory=0x%x", smsw, in_memory);
}

/* --- MSRs --- */

static const struct { u32 first, last; } listed[] = {
    {0x10, 0x12}, {0x1B, 0x1B}, {0x3B, 0x3B}, {0x8B, 0x8B}, {0xFE, 0xFE}, {0x174, 0x176}, {0x179, 0x17A}, {0x1D9, 0x1D9},
    {0x200, 0x20F},
    {0x250, 0x250}, {0x258, 0x259}, {0x268, 0x26F}, {0x277, 0x277}, {0x2FF, 0x2FF}, {0x6E0, 0x6E0}, {0xC0000080, 0xC0000084},
    {0xC0000100, 0xC0000103},
};
static const u32 intel[] = {0x17, 0xCE, 0x1A0};
static const u32 amd[] = {0xC0010000, 0xC0010001, 0xC0010002, 0xC0010003,
                          0xC0010004, 0xC0010005, 0xC0010006, 0xC0010007, 0xC0010010, 0xC0010015, 0xC001001F, 0xC0010055, 0xC0011029};

static bool is_listed(u32 msr)
{
    const u32 *vendor = on_amd() ? amd : intel;
    u32 count = on_amd() ? ARRAY_SIZE(amd) : ARRAY_SIZE(intel);

    for (u32 i = 0; i < ARRAY_SIZE(listed); i++) {
        if (msr >= listed[i].first && msr <= listed[i].last) {
            return true;
        }
    }
    for (u32 i = 0; i < count; i++) {
        if (vendor[i] == msr) {
            return true;
        }
    }
    return false;
}

/* Listed ones answer, the others #GP, reads and writes alike; what is listed is not written. */
static u32 sweep(u32 msr)
{
    u64 value;
    bool known = is_listed(msr);
    u32 wrong = try_rdmsr(msr, &value) != (known ? NO_FAULT : GP);

    if (!known) {
        wrong += try_wrmsr(msr, random32()) != GP;
    }
    if (wrong != 0) {
        print("msr 0x%x is wrong\n", msr);
    }
    return wrong;
}

static void check_msrs(void)
{
    static const u32 bases[] = {0, 0xC0000000, 0xC0010000};
    u32 wrong = 0, random = 0;
    u64 pat, a = ~0ULL, d = ~0ULL;

    for (u32 b = 0; b < ARRAY_SIZE(bases); b++) {
        for (u32 i = 0; i < 0x2000; i++) {
            wrong += sweep(bases[b] + i);
        }
    }
    for (u32 i = 0; i < 2000; i++) {
        random += sweep(random32() | 0x20000000);
    }
    check(wrong == 0 && random == 0, "msr-sweep", "wrong=%u random=%u", wrong, random);
    int v = try_wrmsr(MSR_PAT, 0x0007040600070406ULL);
    (void)TRY("rdmsr", : "+a"(a), "+d"(d) : "c"(MSR_PAT));
    check(v == NO_FAULT && a == 0x70406 && d == 0x70406, "msr-edx-eax", "rax=0x%lx rdx=0x%lx", a, d);
    v = try_wrmsr(MSR_PAT, 0x0207040600070406ULL);
    (void)try_rdmsr(MSR_PAT, &pat);
    check(v == GP && pat == 0x0007040600070406ULL, "msr-pat-type", "vector=%d", v);
    wrong = (try_wrmsr(0xC0000082, 1ULL << 47) != GP) + (try_wrmsr(0xC0000083, 1ULL << 63) != GP) +
            (try_wrmsr(0x176, 1ULL << 48) != GP);
    check(wrong == 0, "msr-canonical", "wrong=%u", wrong);
}

void guest_main(void)
{
    check_cpuid();
    check_cpuid_form();
    if ((leaf_reg(1, 0, ECX) >> 26 & 1) != 0) {
        check_xcr0();
    }
    check_cr0();
    check_cr4();
    check_cr3_cr8();
    check_efer();
    check_cr_gprs();
    check_msw();
    check_msrs();
}
