/* The privileged instructions that C cannot say, one inline function each (SDM Vol. 2, APM Vol. 3). CPUID is in cpuid.h,
 * IN and OUT in pio.h. */
#pragma once
#include "kernel/lib/errno.h"
#include "kernel/lib/types.h"
#include "kernel/x86_64/cpuid.h"
#include "kernel/x86_64/msr.h"
#include "kernel/x86_64/pio.h"

/* Unguarded: #GP, thus a panic, when the MSR does not exist. */
static inline u64 rdmsr(u32 msr)
{
    return msr_read(msr);
}

static inline void wrmsr(u32 msr, u64 value)
{
    msr_write(msr, value);
}

/* Pairs the address of an instruction that may fault with the place where execution goes on after a #GP; trap.c looks
 * the table up. */
#define EXTABLE(from, to)                                                                                             \
    ".pushsection .extable, \"a\"\n\t"                                                                               \
    ".quad " #from ", " #to "\n\t"                                                                                   \
    ".popsection\n\t"

/* RDMSR that survives #GP. Returns 0 and *value, or -E_HW (no such MSR) with *value untouched. Needs the IDT. */
MUST_CHECK static inline int rdmsr_safe(u32 msr, u64 *value)
{
    u32 low = 0, high = 0;
    int error = -E_HW;

    __asm__ volatile("1: rdmsr\n\txorl %0, %0\n2:\n\t" EXTABLE(1b, 2b)
                     : "+r"(error), "+a"(low), "+d"(high)
                     : "c"(msr)
                     : "memory", "cc");
    if (error == 0) {
        *value = (u64)high << 32 | low;
    }
    return error;
}

/* WRMSR that survives #GP. Returns 0 or -E_HW (no such MSR, or not this value). Needs the IDT. */
MUST_CHECK static inline int wrmsr_safe(u32 msr, u64 value)
{
    int error = -E_HW;

    __asm__ volatile("1: wrmsr\n\txorl %0, %0\n2:\n\t" EXTABLE(1b, 2b)
                     : "+r"(error)
                     : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32))
                     : "memory", "cc");
    return error;
}

#define INSN_CR_ACCESSORS(n)                                                                                          \
    static inline u64 read_cr##n(void)                                                                                \
    {                                                                                                                 \
        u64 value;                                                                                                    \
        __asm__ volatile("movq %%cr" #n ", %0" : "=r"(value)::"memory");                                              \
        return value;                                                                                                 \
    }                                                                                                                 \
    static inline void write_cr##n(u64 value)                                                                         \
    {                                                                                                                 \
        __asm__ volatile("movq %0, %%cr" #n ::"r"(value) : "memory");                                                 \
    }
INSN_CR_ACCESSORS(0)
INSN_CR_ACCESSORS(2)
INSN_CR_ACCESSORS(3)
INSN_CR_ACCESSORS(4)
INSN_CR_ACCESSORS(8)

#define INSN_DR_ACCESSORS(n)                                                                                          \
    static inline u64 read_dr##n(void)                                                                                \
    {                                                                                                                 \
        u64 value;                                                                                                    \
        __asm__ volatile("movq %%db" #n ", %0" : "=r"(value)::"memory");                                              \
        return value;                                                                                                 \
    }                                                                                                                 \
    static inline void write_dr##n(u64 value)                                                                         \
    {                                                                                                                 \
        __asm__ volatile("movq %0, %%db" #n ::"r"(value) : "memory");                                                 \
    }
INSN_DR_ACCESSORS(0)
INSN_DR_ACCESSORS(1)
INSN_DR_ACCESSORS(2)
INSN_DR_ACCESSORS(3)
INSN_DR_ACCESSORS(6)
INSN_DR_ACCESSORS(7)

/* CR4.OSXSAVE must be set; index 0 is XCR0. */
static inline u64 xgetbv(u32 index)
{
    u32 low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
    return (u64)high << 32 | low;
}

static inline void xsetbv(u32 index, u64 value)
{
    __asm__ volatile("xsetbv" ::"c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 read_rflags(void)
{
    u64 flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags)::"memory");
    return flags;
}

static inline u64 rdtsc(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}

static inline void invlpg(const void *address)
{
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

static inline void wbinvd(void)
{
    __asm__ volatile("wbinvd" ::: "memory");
}

/* The operand of LGDT, LIDT, SGDT, SIDT in 64-bit mode: SDM 3.5.1. */
struct PACKED descriptor_ptr {
    u16 limit;
    u64 base;
};
_Static_assert(sizeof(struct descriptor_ptr) == 10, "SDM 3.5.1");

static inline void lgdt(const struct descriptor_ptr *ptr)
{
    __asm__ volatile("lgdt %0" ::"m"(*ptr) : "memory");
}

static inline void lidt(const struct descriptor_ptr *ptr)
{
    __asm__ volatile("lidt %0" ::"m"(*ptr) : "memory");
}

static inline void sgdt(struct descriptor_ptr *ptr)
{
    __asm__ volatile("sgdt %0" : "=m"(*ptr)::"memory");
}

static inline void sidt(struct descriptor_ptr *ptr)
{
    __asm__ volatile("sidt %0" : "=m"(*ptr)::"memory");
}

static inline void ltr(u16 selector)
{
    __asm__ volatile("ltr %0" ::"r"(selector) : "memory");
}

/* Reload CS by a far return, then the data segments; FS and GS become null, their bases 0. */
static inline void load_segments(u16 code, u16 data)
{
    __asm__ volatile("pushq %0\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movw %w1, %%ds\n\t"
                     "movw %w1, %%es\n\t"
                     "movw %w1, %%ss\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movw %%ax, %%fs\n\t"
                     "movw %%ax, %%gs\n\t" ::"r"((u64)code),
                     "r"(data)
                     : "rax", "memory", "cc");
}

static inline u16 str(void)
{
    u16 selector;
    __asm__ volatile("str %0" : "=r"(selector));
    return selector;
}

#define INSN_SEG_READER(seg)                                                                                          \
    static inline u16 read_##seg(void)                                                                                \
    {                                                                                                                 \
        u16 selector;                                                                                                 \
        __asm__ volatile("movw %%" #seg ", %0" : "=r"(selector));                                                     \
        return selector;                                                                                              \
    }
INSN_SEG_READER(cs)
INSN_SEG_READER(ss)
INSN_SEG_READER(ds)
INSN_SEG_READER(es)
INSN_SEG_READER(fs)
INSN_SEG_READER(gs)
