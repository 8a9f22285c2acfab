/* The host state that a VM exit loads (SDM Vol. 3 25.5, 28.5): that of the CPU on which the vCPU is loaded. */
#include "kernel/base/percpu.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/vmx/internal.h"

#define SELECTOR_INDEX_MASK GENMASK(15, 3) /* TI and RPL must be 0: SDM 27.2.3 */

static u64 host_selector(u16 selector)
{
    return selector & SELECTOR_INDEX_MASK;
}

static void write_selectors(void)
{
    vmcs_write(VMCS_HOST_CS_SELECTOR, host_selector(read_cs()));
    vmcs_write(VMCS_HOST_SS_SELECTOR, host_selector(read_ss()));
    vmcs_write(VMCS_HOST_DS_SELECTOR, host_selector(read_ds()));
    vmcs_write(VMCS_HOST_ES_SELECTOR, host_selector(read_es()));
    vmcs_write(VMCS_HOST_FS_SELECTOR, host_selector(read_fs()));
    vmcs_write(VMCS_HOST_GS_SELECTOR, host_selector(read_gs()));
    vmcs_write(VMCS_HOST_TR_SELECTOR, host_selector(str()));
}

static void write_bases(void)
{
    struct descriptor_ptr gdt, idt;

    sgdt(&gdt);
    sidt(&idt);
    vmcs_write(VMCS_HOST_GDTR_BASE, gdt.base);
    vmcs_write(VMCS_HOST_IDTR_BASE, idt.base);
    vmcs_write(VMCS_HOST_TR_BASE, (u64)percpu()->arch.tss);
    vmcs_write(VMCS_HOST_FS_BASE, 0);
    vmcs_write(VMCS_HOST_GS_BASE, rdmsr(MSR_IA32_GS_BASE));
}

/* The host enters through no SYSENTER: zero, so that a guest's values never stay. */
static void write_registers(void)
{
    vmcs_write(VMCS_HOST_CR0, read_cr0());
    vmcs_write(VMCS_HOST_CR3, read_cr3());
    vmcs_write(VMCS_HOST_CR4, read_cr4());
    vmcs_write(VMCS_HOST_EFER, rdmsr(MSR_IA32_EFER));
    vmcs_write(VMCS_HOST_PAT, rdmsr(MSR_IA32_PAT));
    vmcs_write(VMCS_HOST_SYSENTER_CS, 0);
    vmcs_write(VMCS_HOST_SYSENTER_ESP, 0);
    vmcs_write(VMCS_HOST_SYSENTER_EIP, 0);
    vmcs_write(VMCS_HOST_RIP, (u64)vmx_exit_point);
}

void vmx_host_write(void)
{
    write_selectors();
    write_bases();
    write_registers();
}
