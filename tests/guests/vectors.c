/* XSAVE state of CPUs that share one host CPU (row 18). Each fills every register of its components with a pattern of its own,
 * lets the others run, first by giving way and then by being preempted at any instruction, and looks; now and then it carries
 * its state through memory by each instruction of the XSAVE family that CPUID shows. The third CPU keeps XCR0 small. */
#include "tests/guests/kit/apic.h"

#define CR4_OSFXSR (3ULL << 9)
#define CR4_OSXSAVE (1ULL << 18)
#define XCR0_SSE 3U
#define XCR0_AVX 4U
#define XCR0_AVX512 0xE0U
#define KVM_SCHED_YIELD 11U
#define CPUS 3U
#define YIELDS 35000U /* each, so more than 10^5 switches */
#define SPINS 400U
#define MEMORY_EVERY 100U
#define COMPACTED (1ULL << 63)

enum { XSAVE, XSAVEOPT, XSAVEC, FORMATS };

struct state {
    u64 reg[32][8];
    u64 k[8];
    u32 mxcsr, fcw;
} __attribute__((aligned(64)));
static struct cpu {
    struct state want, seen;
    u8 area[4096] __attribute__((aligned(64)));
    u32 xcr0, width, regs;
    u32 wrong, wrong_header, wrong_xcr0, carried[FORMATS];
} cpus[CPUS];
static volatile u32 beats[CPUS], done;
static u32 switches;
static u32 all_xcr0, formats;

#define LOW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define HIGH(X) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define HIGHER(X) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)

static void load(const struct cpu *cpu, const struct state *s)
{
#define LOAD(n) __asm__ volatile("movdqu %0, %%xmm" #n ::"m"(s->reg[n]));
#define LOAD_Y(n) __asm__ volatile("vmovdqu %0, %%ymm" #n ::"m"(s->reg[n]));
#define LOAD_Z(n) __asm__ volatile("vmovdqu64 %0, %%zmm" #n ::"m"(s->reg[n]));
#define LOAD_K(n) __asm__ volatile("kmovw %0, %%k" #n ::"m"(s->k[n]));
    if (cpu->width == 8) {
        LOW(LOAD_Z) HIGH(LOAD_Z) HIGHER(LOAD_Z) LOW(LOAD_K)
    } else if (cpu->width == 4) {
        LOW(LOAD_Y) HIGH(LOAD_Y)
    } else {
        LOW(LOAD) HIGH(LOAD)
    }
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" ::"m"(s->mxcsr), "m"(s->fcw));
}

static void store(const struct cpu *cpu, struct state *s)
{
#define STORE(n) __asm__ volatile("movdqu %%xmm" #n ", %0" : "=m"(s->reg[n]));
#define STORE_Y(n) __asm__ volatile("vmovdqu %%ymm" #n ", %0" : "=m"(s->reg[n]));
#define STORE_Z(n) __asm__ volatile("vmovdqu64 %%zmm" #n ", %0" : "=m"(s->reg[n]));
#define STORE_K(n) __asm__ volatile("kmovw %%k" #n ", %0" : "=m"(s->k[n]));
    if (cpu->width == 8) {
        LOW(STORE_Z) HIGH(STORE_Z) HIGHER(STORE_Z) LOW(STORE_K)
    } else if (cpu->width == 4) {
        LOW(STORE_Y) HIGH(STORE_Y)
    } else {
        LOW(STORE) HIGH(STORE)
    }
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(s->mxcsr), "=m"(s->fcw));
}

/* Every other time the upper parts are zero: a component in its initial state is not saved. */
static void fill(struct cpu *cpu, u64 tag, bool whole)
{
    for (u32 i = 0; i < cpu->regs; i++) {
        for (u32 j = 0; j < cpu->width; j++) {
            cpu->want.reg[i][j] = whole || j < 2 ? tag << 16 | i << 8 | j : 0;
        }
    }
    for (u32 i = 0; i < 8; i++) {
        cpu->want.k[i] = cpu->width == 8 && whole ? (u16)(tag + i) : 0;
    }
    cpu->want.mxcsr = 0x1F80 | (u32)(tag & 3) << 13; /* rounding */
    cpu->want.fcw = 0x37F & ~(u32)((tag & 1) << 8);  /* precision */
    load(cpu, &cpu->want);
}

static void look(struct cpu *cpu)
{
    u32 a, d, wrong = 0;

    store(cpu, &cpu->seen);
    for (u32 i = 0; i < cpu->regs; i++) {
        for (u32 j = 0; j < cpu->width; j++) {
            wrong += cpu->seen.reg[i][j] != cpu->want.reg[i][j];
        }
    }
    wrong += memcmp(cpu->seen.k, cpu->want.k, sizeof(cpu->seen.k)) != 0;
    cpu->wrong += wrong + (cpu->seen.mxcsr != cpu->want.mxcsr) + (cpu->seen.fcw != cpu->want.fcw);
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    cpu->wrong_xcr0 += a != cpu->xcr0;
}

/* Save by one instruction, spoil, restore. What XRSTOR would refuse with #GP is counted, not tried. */
static void carry(struct cpu *cpu, u32 format)
{
    static const struct state nothing;
    u64 *header = (u64 *)(void *)(cpu->area + 512);
    u64 reserved = 0;
    u32 all = ~0U;

    if ((formats & 1U << format) == 0) {
        return;
    }
    memset(cpu->area, 0, sizeof(cpu->area));
    if (format == XSAVE) {
        __asm__ volatile("xsave64 %0" : "+m"(cpu->area) : "a"(all), "d"(all));
    } else if (format == XSAVEOPT) {
        __asm__ volatile("xsaveopt64 %0" : "+m"(cpu->area) : "a"(all), "d"(all));
    } else {
        __asm__ volatile("xsavec64 %0" : "+m"(cpu->area) : "a"(all), "d"(all));
    }
    for (u32 i = 2; i < 8; i++) {
        reserved |= header[i];
    }
    if (reserved != 0 || header[1] != (format == XSAVEC ? COMPACTED | cpu->xcr0 : 0)) {
        cpu->wrong_header++;
        return;
    }
    struct state spoilt = nothing;
    spoilt.mxcsr = 0x1F80;
    spoilt.fcw = 0x37F;
    load(cpu, &spoilt);
    __asm__ volatile("xrstor64 %0" ::"m"(cpu->area), "a"(all), "d"(all));
    cpu->carried[format]++;
}

static void play(void)
{
    u32 me = cpu_index(), last = 0;
    struct cpu *cpu = &cpus[me];

    WRITE_REG(cr4, READ_REG(cr4) | CR4_OSFXSR | CR4_OSXSAVE);
    cpu->xcr0 = me == CPUS - 1 ? XCR0_SSE : all_xcr0;
    cpu->width = (cpu->xcr0 & XCR0_AVX512) != 0 ? 8 : (cpu->xcr0 & XCR0_AVX) != 0 ? 4 : 2;
    cpu->regs = cpu->width == 8 ? 32 : 16;
    __asm__ volatile("xsetbv" ::"a"(cpu->xcr0), "d"(0), "c"(0));
    sti(); /* in Bochs, a CPU entered with interrupts off is not interrupted until it turns them on */
    for (u32 round = 0; round < YIELDS + SPINS; round++) {
        if (round % MEMORY_EVERY == 0 || round > YIELDS) {
            fill(cpu, (u64)(me + 1) << 40 | round, (round / MEMORY_EVERY & 1) == 0);
            carry(cpu, round / MEMORY_EVERY % FORMATS);
        }
        if (round < YIELDS) {
            (void)hypercall(KVM_SCHED_YIELD, 0, 0, 0, 0, 0, 0);
        } else {
            for (u32 i = 0; i < 3000 + round % 256; i++) {
                __asm__ volatile("");
            }
        }
        look(cpu);
        u32 now = beats[(me + 1) % CPUS] + beats[(me + 2) % CPUS];
        __atomic_fetch_add(&switches, now != last, __ATOMIC_SEQ_CST);
        last = now;
        beats[me]++;
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

void guest_main(void)
{
    u32 r[4], up = 1, wrong = 0, header = 0, xcr0 = 0, carried[FORMATS] = {0};

    pic_setup(32);
    apic_enable(false);
    cpuid(0xD, 0, r);
    all_xcr0 = r[0];
    cpuid(0xD, 1, r);
    formats = 1U << XSAVE | (r[0] & 3) << 1;
    for (u32 i = 1; i < CPUS; i++) {
        up += start_cpu(i, play);
    }
    play();
    u32 ended = wait_count(&done, CPUS, 60000);
    for (u32 i = 0; i < CPUS; i++) {
        wrong += cpus[i].wrong;
        header += cpus[i].wrong_header;
        xcr0 += cpus[i].wrong_xcr0;
        for (u32 f = 0; f < FORMATS; f++) {
            carried[f] += cpus[i].carried[f];
        }
    }
    check(up == CPUS && ended == CPUS, "cpus", "up=%u ended=%u xcr0=0x%x", up, ended, all_xcr0);
    check(switches >= 100000, "switches", "switches=%u", switches);
    check(wrong == 0, "registers", "wrong=%u", wrong);
    check(xcr0 == 0, "xcr0", "wrong=%u", xcr0);
    check(header == 0, "through-memory", "wrong=%u xsave=%u xsaveopt=%u xsavec=%u", header, carried[XSAVE], carried[XSAVEOPT], carried[XSAVEC]);
}
