/* SVM on one CPU: EFER.SVME, the host save area, and the state that VMLOAD gives back to the host after an exit.
 * APM Vol. 2 15.4 "Enabling SVM", 15.5.1 "Basic Operation", 15.30.4 "VM_HSAVE_PA MSR". */
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "mm/x86_64/pt_formats.h"
#include "vcpu/x86_64/svm/internal.h"

struct svm_features svm_features;
struct pt_format svm_nested_format;

static struct x86_cpuid hw_cpuid(u32 leaf)
{
    struct cpuid r = cpuid_get(leaf, 0);
    return (struct x86_cpuid){r.eax, r.ebx, r.ecx, r.edx};
}

static int hw_rdmsr(u32 msr, u64 *value)
{
    return rdmsr_safe(msr, value);
}

static int hw_wrmsr(u32 msr, u64 value)
{
    return wrmsr_safe(msr, value);
}

static const struct svm_hw hardware = {hw_cpuid, hw_rdmsr, hw_wrmsr};

int svm_backend_probe(struct vcpu_caps *caps)
{
    struct svm_features features;
    const char *missing;
    int error = svm_probe(&hardware, &features, &missing);

    if (error != 0) {
        (void)fmt_snprintf(caps->missing, sizeof(caps->missing), "%s", missing);
        return error;
    }
    svm_summary(&features, caps->summary, sizeof(caps->summary));
    caps->asids = features.asids;
    caps->stage2_levels = 4;
    caps->max_leaf_level = features.leaf_1g ? 2 : 1;
    caps->phys_bits = features.phys_bits;
    return 0;
}

/* The first CPU's features are everybody's; another CPU must have them too. The boot CPU enables first, alone. */
static int check_features(void)
{
    struct svm_features features;
    const char *missing;

    if (svm_probe(&hardware, &features, &missing) != 0) {
        return -E_HW;
    }
    if (svm_features.asids == 0) {
        svm_features = features;
        svm_nested_format = features.leaf_1g ? pt_format_npt : pt_format_npt_2m;
    }
    bool enough = features.asids >= svm_features.asids && (svm_features.edx & ~features.edx) == 0;
    return enough ? 0 : -E_HW;
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

/* EFER.SVME and VM_HSAVE_PA, or neither. */
static int turn_on(const struct arch_percpu *cpu)
{
    u64 efer = rdmsr(MSR_IA32_EFER);

    if (wrmsr_safe(MSR_IA32_EFER, efer | EFER_SVME) != 0) {
        return -E_HW;
    }
    if (wrmsr_safe(MSR_VM_HSAVE_PA, cpu->hw_enable_pa.v) != 0) {
        wrmsr(MSR_IA32_EFER, efer & ~EFER_SVME);
        return -E_HW;
    }
    return 0;
}

int svm_cpu_enable(void)
{
    struct arch_percpu *cpu = &percpu()->arch;
    int error = check_features();

    if (error == 0) {
        error = svm_maps_init();
    }
    if (error == 0) {
        error = svm_unlock(&hardware);
    }
    if (error == 0) {
        error = alloc_pages(cpu);
    }
    if (error != 0) {
        return error;
    }
    error = turn_on(cpu);
    if (error != 0) {
        free_pages(cpu);
        return error;
    }
    svm_asid_exhaust(); /* whatever the TLB holds from before goes with the first assignment */
    write_dr7(DR7_FIXED); /* not every CPU clears it on exit: what the host had is what it gets back */
    __asm__ volatile("vmsave %%rax" ::"a"(cpu->host_state_pa.v) : "memory");
    return 0;
}

void svm_cpu_disable(void)
{
    struct arch_percpu *cpu = &percpu()->arch;

    wrmsr(MSR_VM_HSAVE_PA, 0);
    wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) & ~EFER_SVME);
    free_pages(cpu);
}
