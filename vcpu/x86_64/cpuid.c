/* What a guest sees through CPUID: one const allow-list, computed once against this machine. A leaf or bit that is not
 * listed is zero. SDM Vol. 2 "CPUID"; APM Vol. 3 appendix E. */
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/pv.h"
#include "vcpu/x86_64/x86.h"

#define ALL 0xFFFFFFFFU
#define MAX_BASIC 0x16U
#define MAX_EXTENDED 0x80000008U
#define MAX_HYPERVISOR 0x40000010U
#define MAX_MOTE 0x40000101U
#define BUS_KHZ 1000000U /* the input of the local APIC's timer */
#define MOTE_INTERFACE_VERSION 1U
/* Four characters as CPUID stores them. */
#define TEXT(a, b, c, d) ((u32)(a) | (u32)(b) << 8 | (u32)(c) << 16 | (u32)(d) << 24)
#define BITS32(high, low) ((u32)GENMASK(high, low))

/* Leaf 1. Not there: MONITOR, hardware virtualization, SMX, PCID (ECX). MCE and MCA have no bank that could report. The
 * interrupt chip brings x2APIC, TSC deadline and APIC, the VM HTT. */
#define LEAF1_ECX                                                                                                      \
    (BIT32(0) /* SSE3 */ | BIT32(1) /* PCLMULQDQ */ | BIT32(9) /* SSSE3 */ | BITS32(13, 12) /* FMA CX16 */ | \
     BITS32(20, 19) /* SSE4 */ | BITS32(23, 22) /* MOVBE POPCNT */ | BITS32(26, 25) /* AES XSAVE */ | \
     BITS32(30, 28) /* AVX F16C RDRAND */)
#define LEAF1_EDX                                                                                                      \
    (BITS32(8, 0) /* FPU VME DE PSE TSC MSR PAE MCE CX8 */ | BITS32(17, 11) /* SEP MTRR PGE MCA CMOV PAT PSE36 */ | \
     BIT32(19) /* CLFSH */ | BITS32(27, 23) /* MMX FXSR SSE SSE2 SS */)
#define LEAF1_EBX_CLFLUSH BITS32(15, 8)
#define LEAF1_EBX_COUNT BITS32(23, 16)
#define LEAF1_EBX_ID BITS32(31, 24)
#define LEAF4_EAX_CORES BITS32(31, 26)
#define LEAFB_SUBLEAF BITS32(7, 0)
#define LEAFB_SMT 0x100U /* ECX[15:8]: level type */
#define LEAFB_CORE 0x200U
#define EXT8_ECX_CORES BITS32(7, 0)
#define EXT8_ECX_ID_BITS BITS32(15, 12)

/* Leaf 7. Ours, whatever the CPU has: TSC_ADJUST. Not there: TSX, INVPCID, RDT, MPX, PT (EBX); PKU, WAITPKG, CET, LA57
 * (ECX); all of EDX but FSRM. */
#define LEAF7_EBX                                                                                                      \
    (BIT32(0) /* FSGSBASE */ | BIT32(3) /* BMI1 */ | BITS32(9, 5) /* AVX2 FDP SMEP BMI2 ERMS */ | \
     BIT32(13) /* no FCS FDS */ | BITS32(21, 16) /* AVX512F DQ RDSEED ADX SMAP IFMA */ | \
     BITS32(24, 23) /* CLFLUSHOPT CLWB */ | BITS32(31, 28) /* AVX512CD SHA BW VL */)
#define LEAF7_ECX                                                                                                      \
    (BITS32(2, 1) /* AVX512VBMI UMIP */ | BITS32(12, 8) /* GFNI VAES VPCLMULQDQ VNNI BITALG */ | \
     BIT32(14) /* VPOPCNTDQ */ | BIT32(22) /* RDPID */)
#define LEAF7_EBX_TSC_ADJUST BIT32(1)
#define LEAF7_EDX (BIT32(4) /* FSRM */ | BIT32(10) /* MD_CLEAR */ | BIT32(29) /* ARCH_CAPABILITIES */)

/* 80000001. Not there: hardware virtualization, extended APIC, OSVW, IBS, SKINIT, LWP, TOPOEXT, perf counters, MWAITX
 * (ECX); APIC, FFXSR (EDX). */
#define EXT1_ECX                                                                                                       \
    (BIT32(0) /* LAHF */ | BITS32(8, 5) /* ABM SSE4A MISALIGNSSE PREFETCHW */ | BIT32(11) /* XOP */ | \
     BIT32(16) /* FMA4 */ | BIT32(21) /* TBM */)
#define EXT1_EDX                                                                                                       \
    (BITS32(8, 0) | BITS32(17, 11) /* as above, SYSCALL for SEP */ | BIT32(20) /* NX */ | \
     BITS32(24, 22) /* MMXEXT MMX FXSR */ | BITS32(27, 26) /* 1 GiB pages, RDTSCP */ | BITS32(31, 29) /* LM 3DNOW */)
#define EXT7_EDX BIT32(8) /* invariant TSC */
#define EXT8_EBX (BIT32(0) /* CLZERO */ | BIT32(2) /* XSAVEERPTR */ | BIT32(12) /* IBPB */)
#define LINEAR_BITS 48U
#define PHYS_BITS_MAX 48U /* what four levels of stage 2 translate */

/* Leaf 0xD, subleaf 1. Not there: XSAVES, XFD; XSAVEC where it does not work. */
#define XSAVEC BIT32(1)
#define XSAVE_EXTENSIONS (XSAVEC | BIT32(0) /* XSAVEOPT */ | BIT32(2) /* XGETBV1 */)
#define XCR0_ALLOWED (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)
#define XSAVE_FIRST_EXTENDED 2U
#define XSAVE_LAST 8U
#define XSAVE_LEGACY_BYTES 576U
#define XSAVE_ALIGNED BIT32(1) /* ECX of a component: 64-byte aligned in the compacted form */

enum fix { FIX_NONE, FIX_LEAF1, FIX_TSC, FIX_MHZ, FIX_KHZ, FIX_PV, FIX_MOTE, FIX_ADDRESS, FIX_CACHE, FIX_TOPOLOGY,
           FIX_CMP_LEGACY };

struct cpuid_row {
    u32 leaf, subleaf; /* subleaf ANY: the leaf has none */
    struct x86_cpuid mask, force;
    u8 fix;
};
#define ANY 0xFFFFFFFFU

/* THE list, sorted by leaf. Leaf 0xD is computed apart, from the same machine's sizes. */
static const struct cpuid_row rows[] = {
    {0x0, ANY, {0, ALL, ALL, ALL}, {MAX_BASIC, 0, 0, 0}, FIX_NONE},
    {0x1, ANY, {ALL, LEAF1_EBX_CLFLUSH, LEAF1_ECX, LEAF1_EDX}, {0, 0, CPUID_1_ECX_HYPERVISOR, 0},
     FIX_LEAF1},
    {0x2, ANY, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_NONE},
    {0x4, 0, {BITS32(13, 0), ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_CACHE},
    {0x4, 1, {BITS32(13, 0), ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_CACHE},
    {0x4, 2, {BITS32(13, 0), ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_CACHE},
    {0x4, 3, {BITS32(13, 0), ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_CACHE},
    {0x7, 0, {0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX}, {0, LEAF7_EBX_TSC_ADJUST, 0, 0}, FIX_NONE},
    {0xB, 0, {0, 0, 0, 0}, {0, 0, 0, 0}, FIX_TOPOLOGY},
    {0xB, 1, {0, 0, 0, 0}, {0, 0, 1, 0}, FIX_TOPOLOGY},
    {0xB, ANY, {0, 0, 0, 0}, {0, 0, 0, 0}, FIX_TOPOLOGY},
    {0x15, ANY, {0, 0, 0, 0}, {0, 0, 0, 0}, FIX_TSC},
    {0x16, ANY, {0, 0, 0, 0}, {0, 0, 0, 0}, FIX_MHZ},
    {0x40000000, ANY, {0, 0, 0, 0},
     {MAX_HYPERVISOR, TEXT('K', 'V', 'M', 'K'), TEXT('V', 'M', 'K', 'V'), TEXT('M', 0, 0, 0)},
     FIX_NONE},
    {0x40000001, ANY, {0, 0, 0, 0}, {X86_PV_FEATURES, 0, 0, 0}, FIX_PV},
    {0x40000010, ANY, {0, 0, 0, 0}, {0, BUS_KHZ, 0, 0}, FIX_KHZ},
    {0x40000100, ANY, {0, 0, 0, 0},
     {MAX_MOTE, TEXT('M', 'o', 't', 'e'), TEXT('M', 'o', 't', 'e'), TEXT('M', 'o', 't', 'e')},
     FIX_NONE},
    {0x40000101, ANY, {0, 0, 0, 0}, {MOTE_INTERFACE_VERSION, 0, 0, 0}, FIX_MOTE},
    {0x80000000, ANY, {0, ALL, ALL, ALL}, {MAX_EXTENDED, 0, 0, 0}, FIX_NONE},
    {0x80000001, ANY, {ALL, 0, EXT1_ECX, EXT1_EDX}, {0, 0, 0, 0}, FIX_CMP_LEGACY},
    {0x80000002, ANY, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_NONE},
    {0x80000003, ANY, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_NONE},
    {0x80000004, ANY, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_NONE},
    {0x80000005, ANY, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_NONE},
    {0x80000006, ANY, {ALL, ALL, ALL, ALL}, {0, 0, 0, 0}, FIX_NONE},
    {0x80000007, ANY, {0, 0, 0, 0}, {0, 0, 0, EXT7_EDX}, FIX_NONE}, /* all CPUs with nested paging have it */
    {0x80000008, ANY, {BITS32(7, 0), EXT8_EBX, 0, 0}, {0, 0, 0, 0}, FIX_ADDRESS},
};

/* The list applied to this machine. */
const struct x86_cpuid *x86_cpuid_commons[2][X86_CPUID_COMMON];
static struct {
    bool ready;
    struct x86_cpuid value[ARRAY_SIZE(rows)];
    u8 first[2][X86_CPUID_COMMON]; /* where a leaf's rows begin, for the leaves that are asked for often */
    u64 xcr0_allowed;
    struct x86_cpuid component[XSAVE_LAST];
} table;

static void fix_static(u8 fix, struct x86_cpuid *r)
{
    u64 hz = hostcpu_tsc_hz();

    if (fix == FIX_TSC) { /* crystal * EBX / EAX: exact to 10 Hz, and fits 32 bits */
        *r = (struct x86_cpuid){1, 10, (u32)(hz / 10), 0};
    } else if (fix == FIX_MHZ) {
        *r = (struct x86_cpuid){(u32)(hz / 1000000), (u32)(hz / 1000000), 0, 0};
    } else if (fix == FIX_KHZ) {
        r->eax = (u32)(hz / 1000);
    } else if (fix == FIX_MOTE) {
        r->ebx = (u32)(hz / 1000);
    } else if (fix == FIX_ADDRESS) {
        r->eax = MIN(r->eax, PHYS_BITS_MAX) | LINEAR_BITS << 8;
    }
}

/* Does the row's answer depend on the vCPU that asks? */
static bool depends_on_vcpu(u8 fix)
{
    return fix == FIX_LEAF1 || fix == FIX_PV || fix == FIX_CACHE || fix == FIX_TOPOLOGY || fix == FIX_CMP_LEGACY ||
           fix == FIX_ADDRESS;
}

static void compute_row(size_t i)
{
    const struct cpuid_row *row = &rows[i];
    struct x86_cpuid host = hostcpu_cpuid(row->leaf, row->subleaf == ANY ? 0 : row->subleaf);
    struct x86_cpuid *r = &table.value[i];

    r->eax = (host.eax & row->mask.eax) | row->force.eax;
    r->ebx = (host.ebx & row->mask.ebx) | row->force.ebx;
    r->ecx = (host.ecx & row->mask.ecx) | row->force.ecx;
    r->edx = (host.edx & row->mask.edx) | row->force.edx;
    fix_static(row->fix, r);
    u32 number = row->leaf & ~CPUID_EXT_FIRST;
    if (number < X86_CPUID_COMMON && (i == 0 || rows[i - 1].leaf != row->leaf)) {
        table.first[row->leaf >> 31][number] = (u8)i;
    }
    if (row->subleaf == ANY && !depends_on_vcpu(row->fix) && number < X86_CPUID_COMMON) {
        x86_cpuid_commons[row->leaf >> 31][number] = r;
    }
}

static void compute_xsave(void)
{
    struct x86_cpuid host = hostcpu_cpuid(CPUID_LEAF_XSAVE, 0);

    if ((hostcpu_cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE) != 0) {
        table.xcr0_allowed = (host.eax | (u64)host.edx << 32) & XCR0_ALLOWED;
    }
    for (u32 i = XSAVE_FIRST_EXTENDED; i < XSAVE_LAST; i++) {
        if ((table.xcr0_allowed & BIT(i)) != 0) {
            table.component[i] = hostcpu_cpuid(CPUID_LEAF_XSAVE, i);
        }
    }
    if (table.xcr0_allowed != 0) {
        u32 broken = hostcpu_xsavec_works() ? 0 : XSAVEC;
        table.component[1].eax = hostcpu_cpuid(CPUID_LEAF_XSAVE, 1).eax & XSAVE_EXTENSIONS & ~broken;
    }
}

void x86_cpuid_init(void)
{
    if (table.ready) {
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        compute_row(i);
    }
    compute_xsave();
    table.ready = true;
}

void x86_cpuid_forget(void)
{
    memset(&table, 0, sizeof(table));
    memset(x86_cpuid_commons, 0, sizeof(x86_cpuid_commons));
}

/* Row of leaf and subleaf, or ARRAY_SIZE(rows). */
static size_t find_row(u32 leaf, u32 subleaf)
{
    u32 number = leaf & ~CPUID_EXT_FIRST;

    for (size_t i = number < X86_CPUID_COMMON ? table.first[leaf >> 31][number] : 0;
         i < ARRAY_SIZE(rows) && rows[i].leaf <= leaf; i++) {
        if (rows[i].leaf == leaf && (rows[i].subleaf == ANY || rows[i].subleaf == subleaf)) {
            return i;
        }
    }
    return ARRAY_SIZE(rows);
}

struct x86_cpuid x86_cpuid_policy(u32 leaf, u32 subleaf)
{
    x86_cpuid_init();
    size_t row = find_row(leaf, subleaf);

    return row < ARRAY_SIZE(rows) ? table.value[row] : (struct x86_cpuid){0, 0, 0, 0};
}

/* Bytes of the standard-format XSAVE area for the components (SDM Vol. 1 13.4.3). */
static u32 xsave_size(u64 components)
{
    u32 size = XSAVE_LEGACY_BYTES;

    for (u32 i = XSAVE_FIRST_EXTENDED; i < XSAVE_LAST; i++) {
        u32 end = table.component[i].ebx + table.component[i].eax;
        size = (components & BIT(i)) != 0 && end > size ? end : size;
    }
    return size;
}

/* Bytes of the compacted format. */
static u32 xsavec_size(u64 components)
{
    u32 size = XSAVE_LEGACY_BYTES;

    for (u32 i = XSAVE_FIRST_EXTENDED; i < XSAVE_LAST; i++) {
        if ((components & BIT(i)) != 0) {
            size = (table.component[i].ecx & XSAVE_ALIGNED) != 0 ? ALIGN_UP(size, 64U) : size;
            size += table.component[i].eax;
        }
    }
    return size;
}

/* The sizes follow the guest's XCR0, which is the CPU's: not every CPU exits when the guest writes it. */
static void leaf_xsave(u32 subleaf, struct x86_cpuid *out)
{
    if (table.xcr0_allowed == 0) {
        return;
    }
    if (subleaf == 0) {
        *out = (struct x86_cpuid){(u32)table.xcr0_allowed, xsave_size(hostcpu_get_xcr0()),
                                  xsave_size(table.xcr0_allowed), 0};
    } else if (subleaf == 1) {
        out->eax = table.component[1].eax;
        out->ebx = (out->eax & XSAVEC) != 0 ? xsavec_size(hostcpu_get_xcr0()) : 0;
    } else if (subleaf < XSAVE_LAST) {
        *out = table.component[subleaf];
        out->ecx &= XSAVE_ALIGNED;
        out->edx = 0;
    }
}

static bool has_chip(const struct vcpu *v)
{
    return v->config.chip_ops != NULL && v->config.chip_ops->sysreg != NULL;
}

static u32 cpu_count(const struct vcpu *v)
{
    return MAX(v->config.cpu_count, 1U);
}

/* Bits that tell the CPUs of the one package apart. */
static u32 id_bits(const struct vcpu *v)
{
    return cpu_count(v) == 1 ? 0 : 32U - (u32)__builtin_clz(cpu_count(v) - 1);
}

static void leaf_1(struct vcpu *v, struct x86_cpuid *out)
{
    u64 apic_base = 0;

    out->ebx |= (u32)FIELD_PREP(LEAF1_EBX_ID, v->config.id) | (u32)FIELD_PREP(LEAF1_EBX_COUNT, cpu_count(v));
    out->edx |= cpu_count(v) > 1 ? CPUID_1_EDX_HTT : 0;
    if (has_chip(v)) {
        out->ecx |= CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE;
        if (x86_chip_sysreg(v, MSR_IA32_APIC_BASE, false, &apic_base) == 0 && (apic_base & APIC_BASE_EN) != 0) {
            out->edx |= CPUID_1_EDX_APIC;
        }
    }
    if ((x86_regs(v, X86_G_CR)->cr4 & CR4_OSXSAVE) != 0) {
        out->ecx |= CPUID_1_ECX_OSXSAVE;
    }
}

/* One package of single-threaded cores. Subleaf 0 is the thread level, 1 the core level, others are no level, and still say
 * the id (SDM Vol. 2 "CPUID" leaf 0BH). */
static void leaf_topology(const struct vcpu *v, u32 subleaf, struct x86_cpuid *out)
{
    out->ecx = subleaf & LEAFB_SUBLEAF;
    out->edx = v->config.id;
    if (subleaf == 0) {
        out->ebx = 1;
        out->ecx |= LEAFB_SMT;
    } else if (subleaf == 1) {
        out->eax = id_bits(v);
        out->ebx = cpu_count(v);
        out->ecx |= LEAFB_CORE;
    }
}

static void fix_for_vcpu(struct vcpu *v, const struct cpuid_row *row, u32 subleaf, struct x86_cpuid *out)
{
    bool amd = x86_cpuid_is_amd();

    if (row->fix == FIX_LEAF1) {
        leaf_1(v, out);
    } else if (row->fix == FIX_PV && has_chip(v)) {
        out->eax |= X86_PV_CHIP_FEATURES;
    } else if (row->fix == FIX_TOPOLOGY) {
        leaf_topology(v, subleaf, out);
    } else if (row->fix == FIX_CACHE && out->eax != 0) {
        out->eax |= (u32)FIELD_PREP(LEAF4_EAX_CORES, BIT(id_bits(v)) - 1);
    } else if (row->fix == FIX_CMP_LEGACY && amd && cpu_count(v) > 1) {
        out->ecx |= CPUID_EXT1_ECX_CMP_LEGACY;
    } else if (row->fix == FIX_ADDRESS && amd) {
        out->ecx = (u32)FIELD_PREP(EXT8_ECX_CORES, cpu_count(v) - 1) | (u32)FIELD_PREP(EXT8_ECX_ID_BITS, id_bits(v));
    }
}

void x86_cpuid_guest(struct vcpu *v, u32 leaf, u32 subleaf, struct x86_cpuid *out)
{
    *out = (struct x86_cpuid){0, 0, 0, 0};
    if (leaf == CPUID_LEAF_XSAVE) {
        leaf_xsave(subleaf, out);
        return;
    }
    size_t row = find_row(leaf, subleaf);
    if (row < ARRAY_SIZE(rows)) {
        *out = table.value[row];
        if (depends_on_vcpu(rows[row].fix)) {
            fix_for_vcpu(v, &rows[row], subleaf, out);
        }
    }
}

u64 x86_xcr0_allowed(void)
{
    x86_cpuid_init();
    return table.xcr0_allowed;
}

u8 x86_guest_phys_bits(void)
{
    return (u8)(x86_cpuid_policy(CPUID_EXT_ADDRESS, 0).eax & BITS32(7, 0));
}

bool x86_cpuid_is_amd(void)
{
    u32 ebx = x86_cpuid_policy(0, 0).ebx;

    return ebx == TEXT('A', 'u', 't', 'h') || ebx == TEXT('H', 'y', 'g', 'o');
}
