/* Does XSAVEC do what CPUID promises? Bochs 2.7 writes the components behind the legacy region from offset 416 on, across the
 * header (Bochs issue 344, "Bad FPU state detected"): a system that switches its tasks with it loses vector registers. */
#include "kernel/base/log.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/hostcpu.h"

#define COMPACTED BIT(63) /* of XCOMP_BV */
#define AVX_WORDS 32U /* the upper halves of YMM0-15 */

/* The XSAVE area for x87, SSE and AVX; the same in both formats. SDM Vol. 1 13.4. */
struct area {
    u8 legacy[24];
    u32 mxcsr;
    u8 legacy_rest[484];
    u64 xstate_bv, xcomp_bv, reserved[6];
    u64 avx[AVX_WORDS];
} ALIGNED(64);
_Static_assert(offsetof(struct area, mxcsr) == 24 && offsetof(struct area, xstate_bv) == 512, "XSAVE area");
_Static_assert(offsetof(struct area, avx) == 576 && sizeof(struct area) == 832, "XSAVE area");

static void load_state(const struct area *area, u64 components)
{
    __asm__ volatile("xrstor64 %0" ::"m"(*area), "a"((u32)components), "d"((u32)(components >> 32)));
}

/* AVX state that nobody else wrote, compacted: is it where it belongs, and nothing else touched? */
static bool compacts(u64 components)
{
    static struct area state, compacted;

    state.mxcsr = MXCSR_INIT;
    state.xstate_bv = XCR0_AVX;
    for (u32 i = 0; i < AVX_WORDS; i++) {
        state.avx[i] = ~(u64)i;
    }
    load_state(&state, components);
    __asm__ volatile("xsavec64 %0" : "+m"(compacted) : "a"((u32)components), "d"((u32)(components >> 32)));
    state.xstate_bv = 0; /* leave nothing in the registers */
    load_state(&state, components);
    state.xcomp_bv = COMPACTED | components;
    return compacted.xcomp_bv == state.xcomp_bv && memcmp(compacted.reserved, state.reserved, sizeof(state.reserved)) == 0 &&
           memcmp(compacted.avx, state.avx, sizeof(state.avx)) == 0;
}

bool hostcpu_xsavec_works(void)
{
    const u64 components = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    u64 xcr0 = xgetbv(0);

    if ((hostcpu_cpuid(CPUID_LEAF_XSAVE, 1).eax & CPUID_D1_EAX_XSAVEC) == 0) {
        return false;
    }
    if ((hostcpu_cpuid(CPUID_LEAF_XSAVE, 0).eax & components) != components) {
        return true; /* nothing lies behind the header */
    }
    xsetbv(0, components);
    bool right = compacts(components);
    xsetbv(0, xcr0);
    if (!right) {
        log_info("XSAVEC writes a wrong format: hidden from guests");
    }
    return right;
}
