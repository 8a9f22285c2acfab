/* Scenes: a mode of the CPU with its descriptors, page tables and registers, some of them wrong. */
#include "tests/guests/hostile/hostile.h"

/* In a block. */
#define GDT 0x400U
#define TSS 0x500U
#define TSS_DF 0x580U
#define IDT 0x1000U
#define STREAMS_AT 0x2000U
#define SCRATCH 0x6000U
#define TOP 0x7FF0U
#define TABLE(n) (0x8000U + 0x1000U * (n))
enum { PD32, PT32, PDPT_PAE, PD_LOW, PD_HIGH, PML4, PDPT, PT64 };

enum { SEL_CODE16 = 0x08, SEL_FLAT = 0x10, SEL_CODE32 = 0x18, SEL_CODE64 = 0x20, SEL_DATA = 0x28, SEL_USER32 = 0x33,
       SEL_USER_FLAT = 0x3B, SEL_USER64 = 0x43, SEL_TSS = 0x50, SEL_DF = 0x60, GDT_ENTRIES = 32 };

#define CR0_PE 1U
#define CR0_PG 0x80000000U
#define CR4_PSE 0x10U
#define CR4_PAE 0x20U
#define EFER_LME 0x100U
#define FLAGS_IF 0x200U
#define FLAGS_VM 0x20000U

enum mode { REAL, PROT16, PROT32, PAGED32, PAE32, V86, COMPAT, LONG64, MODES };

extern const u8 hostile_code[], hostile_code_end[], hostile_16[], hostile_32[], hostile_32_first[], hostile_df[], hostile_64[],
    hostile_64_first[];

static u32 offset_of(const u8 *label)
{
    return (u32)(label - hostile_code);
}

static u64 segment(u64 base, u64 limit, u64 access, u64 flags)
{
    return (limit & 0xFFFF) | (base & 0xFFFFFF) << 16 | access << 40 | (limit >> 16 & 0xF) << 48 | flags << 52 | (base >> 24 & 0xFF) << 56;
}

/* Behind what the handlers need: odd segments, gates, and anything. */
static void build_gdt(u8 *block, bool wide)
{
    u64 base = (u64)block, *gdt = (u64 *)(block + GDT);

    gdt[SEL_CODE16 / 8] = segment(base, 0xFFFF, 0x9B, 0);
    gdt[SEL_FLAT / 8] = segment(0, 0xFFFFF, 0x93, 0xC);
    gdt[SEL_CODE32 / 8] = segment(base, 0xFFFF, 0x9B, 4);
    gdt[SEL_CODE64 / 8] = segment(0, 0xFFFFF, 0x9B, 0xA);
    gdt[SEL_DATA / 8] = segment(base, 0xFFFF, 0x93, 4);
    gdt[SEL_USER32 / 8] = segment(base, 0xFFFF, 0xFB, 4);
    gdt[SEL_USER_FLAT / 8] = segment(0, 0xFFFFF, 0xF3, 0xC);
    gdt[SEL_USER64 / 8] = segment(0, 0xFFFFF, 0xFB, 0xA);
    gdt[SEL_TSS / 8] = segment(base + TSS, 0x7F, 0x89, 0);
    if (!wide) {
        gdt[SEL_DF / 8] = segment(base + TSS_DF, 0x7F, 0x89, 0);
    }
    for (u32 i = SEL_DF / 8 + 1; i < GDT_ENTRIES; i++) {
        u64 random = segment(hostile_value(), hostile_below(0x100000), hostile_below(256), hostile_below(16));
        gdt[i] = hostile_one_in(4) ? hostile_random() << 16 | hostile_below(0x10000) : random;
    }
}

/* An entry for va: the address itself, or now and then another one, or anything. */
static u64 entry(u64 va, u64 flags, bool wild)
{
    if (wild && hostile_one_in(100)) {
        return hostile_one_in(2) ? (hostile_value() & ~0xFFFULL) | flags : hostile_random();
    }
    return va | flags;
}

/* One to one, but for what CPU 0 has above 1 MiB; of 4 GiB the first and the last, where the devices are. */
static void build_tables(u8 *block, bool wild)
{
    u64 at = (u64)block;
    u32 *pd32 = (u32 *)(block + TABLE(PD32)), *pt32 = (u32 *)(block + TABLE(PT32));
    u64 *pdpt_pae = (u64 *)(block + TABLE(PDPT_PAE)), *low = (u64 *)(block + TABLE(PD_LOW)), *high = (u64 *)(block + TABLE(PD_HIGH));
    u64 *pml4 = (u64 *)(block + TABLE(PML4)), *pdpt = (u64 *)(block + TABLE(PDPT)), *pt64 = (u64 *)(block + TABLE(PT64));

    for (u32 i = 0; i < 256; i++) {
        pt32[i] = (u32)entry(i << 12, 7, wild);
        pt64[i] = entry(i << 12, 7, wild);
    }
    for (u32 i = 2; i < 1024; i++) {
        pd32[i] = (u32)entry((u64)i << 22, 0x87, wild);
    }
    for (u32 i = 4; i < 512; i++) {
        low[i] = entry((u64)i << 21, 0x87, wild);
    }
    for (u32 i = 0; i < 512; i++) {
        high[i] = entry(0xC0000000ULL + ((u64)i << 21), 0x87, wild);
    }
    pd32[0] = (u32)(at + TABLE(PT32)) | 7;
    low[0] = (at + TABLE(PT64)) | 7;
    pdpt_pae[0] = (at + TABLE(PD_LOW)) | 1;
    pdpt_pae[3] = (at + TABLE(PD_HIGH)) | 1;
    pdpt[0] = (at + TABLE(PD_LOW)) | 7;
    pdpt[3] = (at + TABLE(PD_HIGH)) | 7;
    pml4[0] = (at + TABLE(PDPT)) | 7;
    for (u32 i = 4; wild && i < 512; i++) {
        pdpt[i] = hostile_one_in(8) ? entry((u64)i << 30, 0x87, true) : 0;
        pml4[i] = hostile_one_in(8) ? hostile_value() | 7 : 0;
    }
}

static void build_real_idt(u8 *block)
{
    u32 *vectors = (u32 *)(block + IDT);

    for (u32 i = 0; i < 256; i++) {
        vectors[i] = (u32)((u64)block >> 4) << 16 | offset_of(hostile_16);
    }
}

static void build_idt(u8 *block, u32 selector, u32 handler, u32 access)
{
    u64 *gates = (u64 *)(block + IDT);

    for (u32 i = 0; i < 256; i++) {
        gates[i] = (handler & 0xFFFF) | (u64)selector << 16 | (u64)access << 40 | (u64)(handler >> 16) << 48;
        if (i > 31 && hostile_one_in(32)) {
            gates[i] = hostile_one_in(2) ? hostile_random() : (u64)(0x50 + 8 * hostile_below(24)) << 16 | 0x8500ULL << 32;
        }
    }
    for (u32 i = 8; access == 0x8E && i < 14; i += 2) { /* #DF, #TS, #SS through another task */
        gates[i] = (u64)SEL_DF << 16 | 0x8500ULL << 32;
    }
}

static void build_long_idt(u8 *block)
{
    u64 *gates = (u64 *)(block + IDT), handler = (u64)block + offset_of(hostile_64);

    for (u32 i = 0; i < 256; i++) {
        u64 access = i == 3 || hostile_one_in(8) ? 0xEE : 0x8E;
        gates[2 * i] = (handler & 0xFFFF) | SEL_CODE64 << 16 | 1ULL << 32 | access << 40 | (handler >> 16) << 48;
        if (i > 31 && hostile_one_in(32)) {
            gates[2 * i] = hostile_random();
        }
    }
}

/* Stacks of the handlers: all at the block's own, or now and then one of them somewhere else. */
static void build_tasks(u8 *block, bool wide, u32 cr3)
{
    u32 *tss = (u32 *)(block + TSS), *df = (u32 *)(block + TSS_DF);

    if (wide) {
        u64 top = (u64)block + TOP, elsewhere = hostile_one_in(50) ? hostile_value() : top;
        *(u64 *)(block + TSS + 4) = hostile_one_in(50) ? hostile_value() : top;
        *(u64 *)(block + TSS + 36) = elsewhere;
        return;
    }
    tss[1] = TOP;
    tss[2] = SEL_DATA;
    df[7] = cr3;
    df[8] = offset_of(hostile_df);
    df[9] = 2;
    df[14] = TOP;
    df[18] = SEL_DATA;
    df[19] = SEL_CODE32;
    df[20] = SEL_DATA;
    df[21] = SEL_DATA;
    tss[7] = cr3;
    df[1] = TOP;
    df[2] = SEL_DATA;
}

struct shape { u32 cr0, cr4, efer; u8 table; bool wide; u32 code_bits, code, user_code; const u8 *first; };

static const struct shape shapes[MODES] = {
    [REAL] = {0, 0, 0, PD32, false, 16, 0, 0, hostile_16},
    [PROT16] = {CR0_PE, 0, 0, PD32, false, 16, SEL_CODE16, SEL_CODE16, hostile_16},
    [PROT32] = {CR0_PE, 0, 0, PD32, false, 32, SEL_CODE32, SEL_USER32, hostile_32_first},
    [PAGED32] = {CR0_PE | CR0_PG, CR4_PSE, 0, PD32, false, 32, SEL_CODE32, SEL_USER32, hostile_32_first},
    [PAE32] = {CR0_PE | CR0_PG, CR4_PAE, 0, PDPT_PAE, false, 32, SEL_CODE32, SEL_USER32, hostile_32_first},
    [V86] = {CR0_PE | CR0_PG, CR4_PSE, 0, PD32, false, 16, 0, 0, hostile_32_first},
    [COMPAT] = {CR0_PE | CR0_PG, CR4_PAE, EFER_LME, PML4, true, 32, SEL_CODE32, SEL_USER32, hostile_64_first},
    [LONG64] = {CR0_PE | CR0_PG, CR4_PAE, EFER_LME, PML4, true, 64, SEL_CODE64, SEL_USER64, hostile_64_first},
};

static u32 random_flags(void)
{
    u32 flags = 2;

    flags |= hostile_one_in(2) ? FLAGS_IF : 0;
    flags |= hostile_one_in(16) ? 0x100 : 0;                                 /* TF */
    flags |= hostile_one_in(2) ? 0x3000 : 0;                                 /* IOPL */
    return hostile_one_in(4) ? flags | (hostile_random() & 0x3C4CD5) : flags; /* NT, AC, VIF, VIP, ID; DF is a bit of these */
}

static void set_streams(u8 *block, struct hostile_params *p, enum mode mode, const struct shape *shape)
{
    bool user = mode != PROT16 && mode != REAL && hostile_one_in(4);
    u32 real = (u32)((u64)block >> 4);

    p->data = mode == REAL ? real : SEL_DATA;
    p->flags = random_flags() & ~FLAGS_VM;
    p->code = user ? shape->user_code : shape->code;
    p->stack = user ? SEL_USER_FLAT : SEL_FLAT;
    p->sp = hostile_one_in(50) ? (u32)hostile_value() : (u32)(u64)block + TOP - 0x400;
    p->segment = p->stack;
    p->code_base = mode == LONG64 ? (u32)(u64)block : 0;
    if (mode == REAL || mode == V86) {
        p->code = p->stack = real;
        p->segment = hostile_one_in(2) ? real : 0;
        p->sp = TOP - 0x400;
        p->flags |= mode == V86 ? FLAGS_VM : 0;
    }
}

static u32 noisy(u32 value, u32 noise)
{
    return hostile_one_in(6) ? value ^ (u32)(hostile_random() & noise) : value;
}

static void set_registers(u8 *block, struct hostile_params *p, enum mode mode, const struct shape *shape)
{
    u32 base = (u32)(u64)block;

    p->cr0 = noisy(shape->cr0 | 0x10, 0x6005002E);
    p->cr4 = noisy(shape->cr4, 0x3F07CF);
    p->efer = noisy(shape->efer, 0x4801);
    p->cr3 = base + TABLE(shape->table);
    p->entry = offset_of(shape->first) + (shape->wide ? base : 0);
    p->entry_selector = (u16)(mode == REAL ? base >> 4 : shape->wide ? SEL_CODE64 : shape->code_bits == 16 && mode != V86 ? SEL_CODE16
                                                                                                                   : SEL_CODE32);
    p->gdt_limit = GDT_ENTRIES * 8 - 1;
    p->gdt_base = base + GDT;
    p->idt_limit = hostile_one_in(32) ? (u16)hostile_random() : 0xFFF;
    p->idt_base = base + IDT;
}

void hostile_build(u32 victim)
{
    u8 *block = (u8 *)BLOCK(victim);
    struct hostile_params *p = (struct hostile_params *)(block + PARAMS);
    enum mode mode = hostile_below(MODES);
    const struct shape *shape = &shapes[mode];

    memset(block, 0, BLOCK_BYTES);
    memcpy(block, hostile_code, (size_t)(hostile_code_end - hostile_code));
    set_registers(block, p, mode, shape);
    set_streams(block, p, mode, shape);
    build_gdt(block, shape->wide);
    build_tasks(block, shape->wide, p->cr3);
    build_tables(block, hostile_one_in(4));
    if (mode == REAL) {
        build_real_idt(block);
    } else if (shape->wide) {
        build_long_idt(block);
    } else if (mode == PROT16) {
        build_idt(block, SEL_CODE16, offset_of(hostile_16), 0x86);
    } else {
        build_idt(block, SEL_CODE32, offset_of(hostile_32), 0x8E);
    }
    for (u32 i = 0; i < STREAMS; i++) {
        hostile_stream(block + STREAMS_AT + STREAM_BYTES * i, shape->code_bits);
    }
}
