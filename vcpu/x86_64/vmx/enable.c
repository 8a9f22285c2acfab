/* VMX operation on and off, per CPU. Hardware is reached through struct vmx_ops only: also built on the host. */
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/vmx/internal.h"

void vmx_read_msrs(const struct vmx_ops *ops, struct vmx_msrs *msrs)
{
    msrs->feature_control = ops->read_msr(MSR_IA32_FEATURE_CONTROL);
    msrs->basic = ops->read_msr(MSR_IA32_VMX_BASIC);
    bool has_true = (msrs->basic & VMX_BASIC_TRUE_CONTROLS) != 0;
    msrs->controls[VMX_PIN] = ops->read_msr(has_true ? MSR_IA32_VMX_TRUE_PINBASED_CTLS : MSR_IA32_VMX_PINBASED_CTLS);
    msrs->controls[VMX_PROC] = ops->read_msr(has_true ? MSR_IA32_VMX_TRUE_PROCBASED_CTLS : MSR_IA32_VMX_PROCBASED_CTLS);
    msrs->controls[VMX_EXIT] = ops->read_msr(has_true ? MSR_IA32_VMX_TRUE_EXIT_CTLS : MSR_IA32_VMX_EXIT_CTLS);
    msrs->controls[VMX_ENTRY] = ops->read_msr(has_true ? MSR_IA32_VMX_TRUE_ENTRY_CTLS : MSR_IA32_VMX_ENTRY_CTLS);
    msrs->misc = ops->read_msr(MSR_IA32_VMX_MISC);
    msrs->cr0_fixed0 = ops->read_msr(MSR_IA32_VMX_CR0_FIXED0);
    msrs->cr0_fixed1 = ops->read_msr(MSR_IA32_VMX_CR0_FIXED1);
    msrs->cr4_fixed0 = ops->read_msr(MSR_IA32_VMX_CR4_FIXED0);
    msrs->cr4_fixed1 = ops->read_msr(MSR_IA32_VMX_CR4_FIXED1);
    /* These two exist only when the bits that announce them are there: SDM A.3.3, A.10. */
    u32 proc_may = (u32)(msrs->controls[VMX_PROC] >> 32);
    msrs->controls[VMX_PROC2] = 0;
    msrs->ept_vpid = 0;
    if ((proc_may & VMX_CTL(PROC, SECONDARY_CONTROLS)) != 0) {
        msrs->controls[VMX_PROC2] = ops->read_msr(MSR_IA32_VMX_PROCBASED_CTLS2);
    }
    u32 proc2_may = (u32)(msrs->controls[VMX_PROC2] >> 32);
    if ((proc2_may & (VMX_CTL(PROC2, EPT) | VMX_CTL(PROC2, VPID))) != 0) {
        msrs->ept_vpid = ops->read_msr(MSR_IA32_VMX_EPT_VPID_CAP);
    }
}

static int unlock(const struct vmx_ops *ops)
{
    u64 value;
    int plan = vmx_feature_control_plan(ops->read_msr(MSR_IA32_FEATURE_CONTROL), &value);

    if (plan < 0) {
        log_warn("vmx cpu=%u VMX outside SMX (bit 2 of IA32_FEATURE_CONTROL) locked off by firmware", percpu()->id);
        return -E_HW;
    }
    if (plan > 0) {
        ops->write_msr(MSR_IA32_FEATURE_CONTROL, value);
    }
    return 0;
}

static int check_fixed(const struct vmx_ops *ops, const struct vmx_msrs *msrs)
{
    u64 cr0 = vmx_cr_violations(ops->read_cr0(), msrs->cr0_fixed0, msrs->cr0_fixed1, 0);
    u64 cr4 = vmx_cr_violations(ops->read_cr4() | CR4_VMXE, msrs->cr4_fixed0, msrs->cr4_fixed1, 0);

    if (cr0 != 0 || cr4 != 0) {
        log_warn("vmx cpu=%u fixed bits violated: cr0=%#lx cr4=%#lx", percpu()->id, cr0, cr4);
        return -E_HW;
    }
    return 0;
}

static int enter_operation(const struct vmx_ops *ops, const struct vmx_caps *caps, hpa_t region)
{
    u32 *revision = phys_ptr(region);

    *revision = caps->revision;
    ops->write_cr4(ops->read_cr4() | CR4_VMXE);
    int error = ops->vmxon(region);
    if (error != 0) {
        ops->write_cr4(ops->read_cr4() & ~CR4_VMXE);
    }
    return error;
}

static void return_region(hpa_t region)
{
    int error = frame_free(region, 0, FRAME_OWNER_VCPU);

    ASSERT(error == 0);
}

int vmx_cpu_start(const struct vmx_ops *ops, const struct vmx_caps *caps, struct percpu *cpu)
{
    hpa_t region;
    int error = unlock(ops);

    if (error == 0) {
        error = check_fixed(ops, &caps->msrs);
    }
    if (error == 0) {
        error = frame_alloc(0, FRAME_OWNER_VCPU, &region);
    }
    if (error != 0) {
        return error;
    }
    error = enter_operation(ops, caps, region);
    if (error != 0) {
        return_region(region);
        return error;
    }
    cpu->arch.hw_enable_pa = region;
    cpu->arch.hw_enable = phys_ptr(region);
    return 0;
}

void vmx_cpu_stop(const struct vmx_ops *ops, struct percpu *cpu)
{
    ops->vmxoff();
    ops->write_cr4(ops->read_cr4() & ~CR4_VMXE);
    return_region(cpu->arch.hw_enable_pa);
    cpu->arch.hw_enable = NULL;
    cpu->arch.hw_enable_pa = HPA(0);
}
