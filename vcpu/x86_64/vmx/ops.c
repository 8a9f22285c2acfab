/* The privileged instructions of enabling, for real. */
#include "kernel/x86_64/insn.h"
#include "vcpu/x86_64/vmx/internal.h"

/* A #GP (CR0, CR4, FEATURE_CONTROL) counts as a failure like VMfailInvalid: SDM Vol. 3 31.3 VMXON. */
static int hardware_vmxon(hpa_t region)
{
    int error = -E_HW;

    __asm__ volatile("1: vmxon %1\n\tjbe 2f\n\txorl %0, %0\n2:\n\t" EXTABLE(1b, 2b)
                     : "+r"(error)
                     : "m"(region.v)
                     : "memory", "cc");
    return error;
}

static void hardware_vmxoff(void)
{
    __asm__ volatile("vmxoff" ::: "memory", "cc");
}

const struct vmx_ops vmx_hardware = {
    .read_msr = rdmsr,
    .write_msr = wrmsr,
    .read_cr0 = read_cr0,
    .read_cr4 = read_cr4,
    .write_cr4 = write_cr4,
    .vmxon = hardware_vmxon,
    .vmxoff = hardware_vmxoff,
};
