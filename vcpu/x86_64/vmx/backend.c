/* The VMX backend's table, its probe, and what it shares between vCPUs. */
#include "kernel/base/lock.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "mm/x86_64/pt_formats.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/vmx/internal.h"
#include "vcpu/x86_64/vmx/vmx.h"

#define CPUID_FEATURES 1U
#define STAGE2_LEVELS 4U
#define VPID_TAGS 65536U
#define LEAF_4K 0U
#define LEAF_2M 1U
#define LEAF_1G 2U

struct vmx_caps vmx_caps;
hpa_t vmx_msr_bitmap;

static struct pt_format ept_format; /* mm's, cut to the leaf sizes that this CPU's EPT has */
static struct spinlock shared_lock = SPINLOCK_INIT; /* protects the making of what all vCPUs share */

static u8 max_leaf_level(u64 ept_vpid)
{
    if ((ept_vpid & VMX_EPT_2M) == 0) {
        return LEAF_4K;
    }
    return (ept_vpid & VMX_EPT_1G) != 0 ? LEAF_1G : LEAF_2M;
}

static int refuse(struct vcpu_caps *caps, const char *why)
{
    (void)fmt_snprintf(caps->missing, sizeof(caps->missing), "%s", why);
    return -E_NOSYS;
}

static int vmx_probe(struct vcpu_caps *caps)
{
    struct vmx_msrs msrs;
    struct vmx_refusal why;

    if ((cpuid_get(CPUID_FEATURES, 0).ecx & CPUID_1_ECX_VMX) == 0) {
        return refuse(caps, "CPUID.1:ECX.VMX[bit 5]");
    }
    vmx_read_msrs(&vmx_hardware, &msrs);
    if (vmx_caps_resolve(&msrs, &vmx_caps, &why) != 0) {
        return refuse(caps, why.text);
    }
    ept_format = pt_format_ept;
    ept_format.max_leaf_level = max_leaf_level(msrs.ept_vpid);
    caps->asids = (vmx_caps.controls[VMX_PROC2] & VMX_CTL(PROC2, VPID)) != 0 ? VPID_TAGS : 0;
    caps->stage2_levels = STAGE2_LEVELS;
    caps->max_leaf_level = ept_format.max_leaf_level;
    caps->phys_bits = (u8)FIELD_GET(CPUID_EXT8_EAX_PHYS_BITS_MASK, cpuid_get(CPUID_EXT_ADDRESS, 0).eax);
    char vendor[HOSTCPU_VENDOR_SIZE];
    hostcpu_vendor(vendor);
    size_t used = (size_t)fmt_snprintf(caps->summary, sizeof(caps->summary), "vendor=%s ", vendor);
    vmx_caps_summary(&vmx_caps, caps->summary + used, sizeof(caps->summary) - used);
    return 0;
}

/* MSR bitmap: SDM 25.6.9. Four bitmaps of 8192 MSRs each; a set bit exits. */
#define BITMAP_MSRS 0x2000U
#define BITMAP_BYTES (BITMAP_MSRS / 8)
#define BITMAP_HIGH_FIRST 0xC0000000U

static void fill_bitmap(u8 *bitmap, u32 first, bool write)
{
    for (u32 i = 0; i < BITMAP_MSRS; i++) {
        if (!x86_msr_passthrough(first + i, write)) {
            bitmap[i / 8] = (u8)(bitmap[i / 8] | BIT32(i % 8));
        }
    }
}

static int make_msr_bitmap(void)
{
    hpa_t page;

    if (frame_alloc(0, FRAME_OWNER_VCPU, &page) != 0) {
        return -E_NOMEM;
    }
    u8 *bitmap = phys_ptr(page);
    fill_bitmap(bitmap, 0, false);
    fill_bitmap(bitmap + BITMAP_BYTES, BITMAP_HIGH_FIRST, false);
    fill_bitmap(bitmap + 2 * BITMAP_BYTES, 0, true);
    fill_bitmap(bitmap + 3 * BITMAP_BYTES, BITMAP_HIGH_FIRST, true);
    vmx_msr_bitmap = page;
    return 0;
}

static int selftest(void)
{
    hpa_t page;
    int error = frame_alloc(0, FRAME_OWNER_VCPU, &page);

    if (error != 0) {
        return error;
    }
    *(u32 *)phys_ptr(page) = vmx_caps.revision;
    error = vmcs_clear(page) != 0 || vmcs_set_current(page) != 0 ? -E_HW : vmcs_selftest(&vmx_caps);
    if (vmcs_clear(page) != 0) {
        error = -E_HW;
    }
    if (frame_free(page, 0, FRAME_OWNER_VCPU) != 0) {
        error = -E_HW;
    }
    return error;
}

/* Once, by the first CPU: check the VMCS and build what all vCPUs use. */
static int make_shared(void)
{
    int error = 0;
    u64 flags = spin_lock(&shared_lock);

    if (vmx_msr_bitmap.v == 0) {
        error = selftest();
        if (error == 0) {
            error = make_msr_bitmap();
        }
        if (error == 0) {
            error = vmx_assist_make();
        }
    }
    spin_unlock(&shared_lock, flags);
    return error;
}

static int vmx_cpu_enable(void)
{
    int error = vmx_cpu_start(&vmx_hardware, &vmx_caps, percpu());

    if (error != 0) {
        return error;
    }
    vmx_flush_cpu();
    error = make_shared();
    if (error != 0) {
        vmx_cpu_stop(&vmx_hardware, percpu());
    }
    return error;
}

static void vmx_cpu_disable(void)
{
    vmx_cpu_stop(&vmx_hardware, percpu());
}

static bool vmx_cpu_enabled(void)
{
    return (read_cr4() & CR4_VMXE) != 0;
}

const struct vcpu_backend vmx_backend = {
    .name = "vmx",
    .assist = &vmx_assist,
    .nested_format = &ept_format,
    .probe = vmx_probe,
    .cpu_enable = vmx_cpu_enable,
    .cpu_disable = vmx_cpu_disable,
    .cpu_enabled = vmx_cpu_enabled,
    .vcpu_init = vmx_vcpu_init,
    .vcpu_fini = vmx_vcpu_fini,
    .vcpu_reset = vmx_vcpu_reset,
    .load = vmx_load,
    .unload = vmx_unload,
    .run = vmx_run,
    .run_traced = vmx_run_traced,
    .regs_fetch = vmx_regs_fetch,
    .event_inject = vmx_event_inject,
    .event_window = vmx_event_window,
    .tlb_flush = vmx_tlb_flush,
    .set_debug = vmx_set_debug,
    .set_time_offset = vmx_set_time_offset,
    .dump = vmx_dump,
};
