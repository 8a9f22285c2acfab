/* SVM on one CPU: EFER.SVME, the host save area, and the state that VMLOAD gives back to the host after an exit.
 * APM Vol. 2 15.4 "Enabling SVM", 15.5.1 "Basic Operation", 15.30.4 "VM_HSAVE_PA MSR". */
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "mm/x86_64/pt_formats.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/svm/internal.h"

struct svm_features svm_features;
struct pt_format svm_nested_format;

/* The first CPU's features are everybody's; another CPU must have them too. */
static int check_features(const struct svm_hw *hw, struct svm_features *features)
{
    const char *missing;

    if (svm_probe(hw, features, &missing) != 0) {
        return -E_HW;
    }
    bool enough = features->asids >= svm_features.asids && (svm_features.edx & ~features->edx) == 0;
    return enough ? 0 : -E_HW;
}

/* The boot CPU enables first, alone. host: what VMSAVE wrote of it. */
static void keep_features(const struct svm_features *features, const struct vmcb *host)
{
    if (svm_features.asids == 0) {
        svm_features = *features;
        svm_features.tr_busy = (host->save.seg[VMCB_TR].attrib & TSS_BUSY) != 0;
        svm_nested_format = features->leaf_1g ? pt_format_npt : pt_format_npt_2m;
    }
}

static void free_page(hpa_t pa)
{
    int error = frame_free(pa, 0, FRAME_OWNER_VCPU);
    ASSERT(error == 0);
}

static int alloc_pages(struct arch_percpu *cpu)
{
    hpa_t hsave, host;
    int error = frame_alloc(0, FRAME_OWNER_VCPU, &hsave);

    if (error != 0) {
        return error;
    }
    error = frame_alloc(0, FRAME_OWNER_VCPU, &host);
    if (error != 0) {
        free_page(hsave);
        return error;
    }
    cpu->hw_enable = phys_ptr(hsave);
    cpu->hw_enable_pa = hsave;
    cpu->host_state = phys_ptr(host);
    cpu->host_state_pa = host;
    return 0;
}

static void free_pages(struct arch_percpu *cpu)
{
    free_page(cpu->hw_enable_pa);
    free_page(cpu->host_state_pa);
    cpu->hw_enable = NULL;
    cpu->host_state = NULL;
}

static int set_svme(const struct svm_hw *hw, bool on)
{
    u64 efer;

    if (hw->rdmsr(MSR_IA32_EFER, &efer) != 0) {
        return -E_HW;
    }
    return hw->wrmsr(MSR_IA32_EFER, on ? efer | EFER_SVME : efer & ~EFER_SVME);
}

/* EFER.SVME and VM_HSAVE_PA, or neither. */
static int turn_on(const struct svm_hw *hw, hpa_t host_save_area)
{
    int error = set_svme(hw, true);

    if (error == 0 && hw->wrmsr(MSR_VM_HSAVE_PA, host_save_area.v) != 0) {
        error = -E_HW;
        int off = set_svme(hw, false);
        ASSERT(off == 0);
    }
    return error;
}

int svm_cpu_enable(const struct svm_hw *hw, struct arch_percpu *cpu)
{
    struct svm_features features;
    int error = check_features(hw, &features);

    if (error == 0) {
        error = svm_maps_init();
    }
    if (error == 0) {
        error = svm_unlock(hw);
    }
    if (error == 0) {
        error = alloc_pages(cpu);
    }
    if (error != 0) {
        return error;
    }
    error = turn_on(hw, cpu->hw_enable_pa);
    if (error != 0) {
        free_pages(cpu);
        return error;
    }
    svm_asid_exhaust(cpu); /* whatever the TLB holds from before goes with the first assignment */
    hw->save_host(cpu->host_state_pa);
    keep_features(&features, cpu->host_state);
    return 0;
}

void svm_cpu_disable(const struct svm_hw *hw, struct arch_percpu *cpu)
{
    int error = hw->wrmsr(MSR_VM_HSAVE_PA, 0);

    ASSERT(error == 0);
    error = set_svme(hw, false);
    ASSERT(error == 0);
    free_pages(cpu);
}
