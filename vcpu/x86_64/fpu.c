/* State that software switches when the vCPU on a CPU changes: x87/SSE/AVX, XCR0, debug registers, TSC_AUX. The kernel is
 * built without SSE, so between load and unload the guest's registers simply stay. SDM Vol. 1 chapter 13; APM 11.5. */
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/barriers.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/x86.h"

#define FXSAVE_BYTES 512U
#define FXSAVE_FCW 0U     /* offsets: SDM Vol. 1 table 10-2 */
#define FXSAVE_MXCSR 24U
#define FXSAVE_ST0 32U
#define FXSAVE_XMM0 160U
#define XSAVE_BV 512U
#define FXSAVE_XMM_END 416U
#define FCW_INIT 0x37FU

/* What this machine has; the same on every CPU. */
static struct {
    bool ready, xsave, rdtscp;
    /* all that XCR0 can hold: a guest may turn on more than it is shown where XSETBV cannot be trapped */
    u64 components;
    unsigned order; /* of the area's frames */
} host;

static void inspect_host(void)
{
    struct x86_cpuid features = hostcpu_cpuid(1, 0);
    struct x86_cpuid xsave = hostcpu_cpuid(CPUID_LEAF_XSAVE, 0);
    u32 bytes = FXSAVE_BYTES;

    host.xsave = (features.ecx & CPUID_1_ECX_XSAVE) != 0;
    host.rdtscp = (hostcpu_cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_RDTSCP) != 0;
    if (host.xsave) {
        host.components = xsave.eax | (u64)xsave.edx << 32;
        bytes = MAX(bytes, xsave.ecx);
    }
    while ((FRAME_SIZE << host.order) < bytes) {
        host.order++;
    }
    host.ready = true;
}

/* FNINIT's and MXCSR's initial values; a zero XSTATE_BV makes the rest initial too (SDM Vol. 1 13.6). */
static void init_area(u8 *area)
{
    *(u16 *)(void *)(area + FXSAVE_FCW) = FCW_INIT;
    *(u32 *)(void *)(area + FXSAVE_MXCSR) = MXCSR_INIT;
}

int x86_fpu_init(struct vcpu *v)
{
    if (!host.ready) {
        inspect_host();
    }
    int error = frame_alloc(host.order, FRAME_OWNER_VCPU, &v->arch.fpu_pa);
    if (error != 0) {
        return error;
    }
    v->arch.fpu = phys_ptr(v->arch.fpu_pa);
    x86_fpu_reset(v);
    return 0;
}

void x86_fpu_reset(struct vcpu *v)
{
    u64 *words = v->arch.fpu;

    for (u64 i = 0; i < (FRAME_SIZE << host.order) / sizeof(*words); i++) {
        words[i] = 0;
    }
    init_area(v->arch.fpu);
}

void x86_fpu_fini(struct vcpu *v)
{
    int error = frame_free(v->arch.fpu_pa, host.order, FRAME_OWNER_VCPU);

    ASSERT(error == 0);
    v->arch.fpu = NULL;
}

/* A component whose bit is clear is initial, whatever its bytes are: SDM Vol. 1 13.6. MXCSR is always right. */
u8 *x86_fpu_area(struct vcpu *v, u64 written)
{
    u8 *area = v->arch.fpu;
    u64 *present = (u64 *)(void *)(area + XSAVE_BV);

    if (!host.xsave) {
        return area;
    }
    if ((*present & XCR0_X87) == 0) {
        memset(area, 0, FXSAVE_MXCSR);
        memset(area + FXSAVE_ST0, 0, FXSAVE_XMM0 - FXSAVE_ST0);
        *(u16 *)(void *)(area + FXSAVE_FCW) = FCW_INIT;
    }
    if ((*present & XCR0_SSE) == 0) {
        memset(area + FXSAVE_XMM0, 0, FXSAVE_XMM_END - FXSAVE_XMM0);
    }
    *present |= written;
    return area;
}

static void fpu_load(const struct vcpu_arch *a)
{
    u32 low = (u32)host.components, high = (u32)(host.components >> 32);

    if (!host.xsave) {
        __asm__ volatile("fxrstor64 (%0)" ::"r"(a->fpu) : "memory");
        return;
    }
    xsetbv(0, host.components);
    __asm__ volatile("xrstor64 (%0)" ::"r"(a->fpu), "a"(low), "d"(high) : "memory");
    xsetbv(0, a->xcr0);
}

static bool all_zero(const u64 *from, const u64 *to)
{
    while (from < to && *from == 0) {
        from++;
    }
    return from == to;
}

/* Say in XSTATE_BV that the x87 is as FNINIT leaves it, when it is: XRSTOR then writes its initial state by itself. Some CPUs
 * do so of their own accord. QEMU does not, and its XRSTOR of an x87 state races with VMRUN on CPU 0: it reads that CPU's
 * hflags2, and writes them back, from whatever CPU it runs on. */
static void note_initial_x87(u8 *area)
{
    const u64 *words = (const u64 *)(void *)area;

    if (words[0] == FCW_INIT && all_zero(words + 1, words + FXSAVE_MXCSR / 8) &&
        all_zero(words + FXSAVE_ST0 / 8, words + FXSAVE_XMM0 / 8)) {
        *(u64 *)(void *)(area + XSAVE_BV) &= ~(u64)XCR0_X87;
    }
}

static void fpu_unload(struct vcpu_arch *a)
{
    u32 low = (u32)host.components, high = (u32)(host.components >> 32);

    if (!host.xsave) {
        __asm__ volatile("fxsave64 (%0)" ::"r"(a->fpu) : "memory");
        return;
    }
    a->xcr0 = xgetbv(0); /* the guest may have written it without an exit */
    xsetbv(0, host.components);
    __asm__ volatile("xsave64 (%0)" ::"r"(a->fpu), "a"(low), "d"(high) : "memory");
    note_initial_x87(a->fpu);
    xsetbv(0, XCR0_X87);
}

void x86_state_load(struct vcpu *v)
{
    const struct vcpu_arch *a = &v->arch;

    x86_barriers_between(v->config.vm_id);
    fpu_load(a);
    if (host.rdtscp) {
        msr_write(MSR_IA32_TSC_AUX, a->tsc_aux);
    }
}

void x86_state_unload(struct vcpu *v)
{
    fpu_unload(&v->arch);
}
