/* The CPU itself behind struct svm_hw, and the backend's entries that run on it. */
#include "kernel/base/percpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "mm/kmap.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/svm/internal.h"
#include "vcpu/x86_64/task.h"

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

static void hw_save_host(hpa_t vmcb)
{
    write_dr7(DR7_FIXED); /* not every CPU clears it on exit: what the host had is what it gets back */
    __asm__ volatile("vmsave %%rax" ::"a"(vmcb.v) : "memory");
}

static const struct svm_hw hardware = {hw_cpuid, hw_rdmsr, hw_wrmsr, hw_save_host};

int svm_backend_probe(struct vcpu_caps *caps)
{
    struct svm_features features;
    const char *missing;
    int error = svm_probe(&hardware, &features, &missing);

    if (error != 0) {
        (void)fmt_snprintf(caps->missing, sizeof(caps->missing), "%s", missing);
        return error;
    }
    char vendor[HOSTCPU_VENDOR_SIZE];
    hostcpu_vendor(vendor);
    size_t used = (size_t)fmt_snprintf(caps->summary, sizeof(caps->summary), "vendor=%s ", vendor);
    svm_summary(&features, caps->summary + used, sizeof(caps->summary) - used);
    caps->asids = features.asids;
    caps->stage2_levels = 4;
    caps->max_leaf_level = features.leaf_1g ? 2 : 1;
    caps->phys_bits = features.phys_bits;
    return 0;
}

int svm_backend_enable(void)
{
    return svm_cpu_enable(&hardware, &percpu()->arch);
}

void svm_backend_disable(void)
{
    svm_cpu_disable(&hardware, &percpu()->arch);
}

bool svm_backend_enabled(void)
{
    return (rdmsr(MSR_IA32_EFER) & EFER_SVME) != 0;
}

/* QEMU meets an address to execute by the linear address, and looks then for RIP in its place: it ends where it finds none,
 * which is where the code segment has a base. A far jump to such a segment does not exit; but all its addresses are below
 * 4 GiB, and 64-bit code has no base. So a guest's breakpoints are those beyond. A debugger's are below, too, as long as the
 * code has no base now. */
static bool can_end_qemu(struct vcpu *v, u64 address)
{
    const struct vcpu_arch *arch = x86_regs(v, X86_G_CORE | X86_G_SEG | X86_G_CR);
    bool flat = x86_code_bits(v) == 64 || (task_has_descriptors(arch) && arch->seg[X86_CS].base == 0);

    return address < GIB(4) && !(arch->debug.owns && flat);
}

/* Nothing that the host meets: where something of its own is, an I/O port, the access to a debug register itself. */
static u64 harmless_dr7(struct vcpu *v)
{
    const struct vcpu_arch *arch = &v->arch;
    u64 dr7 = arch->dr7 & ~DR7_GD;

    for (u32 i = 0; i < ARRAY_SIZE(arch->dr); i++) {
        bool enabled = (dr7 & DR7_ENABLES(i)) != 0;
        u64 type = DR7_TYPE(dr7, i), address = arch->dr[i];

        if (enabled && (type == DR7_IO || (type == DR7_EXECUTE && can_end_qemu(v, address)) || kmap_maps(address) ||
                        kmap_maps(address + DR_SPAN))) {
            dr7 &= ~DR7_ENABLES(i);
        }
    }
    return dr7;
}

void svm_lend_debug_registers(struct vcpu *v)
{
    const struct vcpu_arch *arch = &v->arch;

    write_dr7(DR7_FIXED);
    write_dr0(arch->dr[0]);
    write_dr1(arch->dr[1]);
    write_dr2(arch->dr[2]);
    write_dr3(arch->dr[3]);
    write_dr7(harmless_dr7(v));
}
