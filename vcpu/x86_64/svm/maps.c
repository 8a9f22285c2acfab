/* The I/O and MSR permission maps: APM Vol. 2 15.10.1 "I/O Permissions Map", 15.11 "MSR Intercepts". Constant, so one
 * set serves every vCPU: all ports exit, and all MSRs but those that the VMCB or the shared code switches. */
#include "kernel/base/lock.h"
#include "kernel/base/panic.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/svm/internal.h"

#define IOPM_ORDER 2U  /* 12 KiB are used */
#define MSRPM_ORDER 1U /* 8 KiB */
#define MSRPM_RANGE 0x2000U /* MSRs in each of the three ranges, two bits each: read, write */
#define MSRPM_RANGE_BYTES (MSRPM_RANGE / 4U)

static const u32 range_base[] = {0, 0xC0000000U, 0xC0010000U};

/* Switched by VMLOAD and VMSAVE (APM 15.5.2), but for TSC_AUX, which x86_state_load() switches. The TSC is not here:
 * its reads by RDMSR do not honour the offset on every CPU. Nor is PAT: QEMU has one for host and guest. */
static const u32 switched[] = {
    MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, MSR_IA32_STAR,
    MSR_IA32_LSTAR,       MSR_IA32_CSTAR,        MSR_IA32_FMASK,        MSR_IA32_FS_BASE,
    MSR_IA32_GS_BASE,     MSR_IA32_KERNEL_GS_BASE, MSR_IA32_TSC_AUX,
};

static struct {
    struct spinlock lock; /* protects the building */
    bool built;
    hpa_t iopm, msrpm;
} maps;

static void pass(u8 *msrpm, u32 msr, bool write)
{
    for (u32 i = 0; i < ARRAY_SIZE(range_base); i++) {
        u32 index = msr - range_base[i];
        if (index < MSRPM_RANGE) {
            unsigned bit = (index % 4) * 2 + (write ? 1 : 0);
            u8 *byte = &msrpm[i * MSRPM_RANGE_BYTES + index / 4];
            *byte = (u8)(*byte & ~BIT32(bit));
        }
    }
}

static void fill(void)
{
    u8 *msrpm = phys_ptr(maps.msrpm);

    memset(phys_ptr(maps.iopm), 0xFF, FRAME_SIZE << IOPM_ORDER);
    memset(msrpm, 0xFF, FRAME_SIZE << MSRPM_ORDER);
    for (size_t i = 0; i < ARRAY_SIZE(switched); i++) {
        if (x86_msr_passthrough(switched[i], false)) {
            pass(msrpm, switched[i], false);
        }
        if (x86_msr_passthrough(switched[i], true)) {
            pass(msrpm, switched[i], true);
        }
    }
}

static int build_locked(void)
{
    if (maps.built) {
        return 0;
    }
    int error = frame_alloc(IOPM_ORDER, FRAME_OWNER_VCPU, &maps.iopm);
    if (error != 0) {
        return error;
    }
    error = frame_alloc(MSRPM_ORDER, FRAME_OWNER_VCPU, &maps.msrpm);
    if (error != 0) {
        int freed = frame_free(maps.iopm, IOPM_ORDER, FRAME_OWNER_VCPU);
        ASSERT(freed == 0);
        return error;
    }
    fill();
    maps.built = true;
    return 0;
}

int svm_maps_init(void)
{
    u64 flags = spin_lock(&maps.lock);
    int error = build_locked();
    spin_unlock(&maps.lock, flags);
    return error;
}

hpa_t svm_iopm(void)
{
    return maps.iopm;
}

hpa_t svm_msrpm(void)
{
    return maps.msrpm;
}
