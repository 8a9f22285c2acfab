/* Hardware's help for the local APIC: TPR shadow, virtualized APIC accesses, APIC-register virtualization, virtual-interrupt
 * delivery (SDM Vol. 3 chapter 30). The virtual-APIC page is the interrupt chip's own page of registers. */
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/vmx/internal.h"

#define PROC_CR8_EXITS (VMX_CTL(PROC, CR8_LOAD_EXITING) | VMX_CTL(PROC, CR8_STORE_EXITING))
#define PROC2_DELIVERY (VMX_CTL(PROC2, APIC_REGISTERS) | VMX_CTL(PROC2, VIRTUAL_INTERRUPTS))
#define PROC2_APIC (VMX_CTL(PROC2, VIRTUALIZE_APIC_ACCESSES) | VMX_CTL(PROC2, VIRTUALIZE_X2APIC) | PROC2_DELIVERY)
#define BITMAP_WRITES 0x800U /* where the bitmap of writes to low MSRs starts: SDM 25.6.9 */

static hpa_t access_page, help_bitmap; /* made by the first cpu_enable() */

static bool has(enum vmx_table table, u32 mask)
{
    return vmx_control_allowed(&vmx_caps, table, mask);
}

static u32 features(void)
{
    if (!has(VMX_PROC, VMX_CTL(PROC, TPR_SHADOW))) {
        return 0;
    }
    return X86_ASSIST_PRIORITY | (has(VMX_PROC2, PROC2_APIC) ? X86_ASSIST_DELIVERY : 0);
}

static hpa_t get_access_page(void)
{
    return has(VMX_PROC2, VMX_CTL(PROC2, VIRTUALIZE_APIC_ACCESSES)) ? access_page : HPA(0);
}

static void pass(u8 *bitmap, u32 msr)
{
    bitmap[msr / 8] = (u8)(bitmap[msr / 8] & ~BIT32(msr % 8));
}

/* What is kept in the page, in registers that exist in x2APIC mode: the CPU would answer for all others, too. */
static bool kept_in_page(u32 msr)
{
    bool vectors_or_error = msr > MSR_IA32_X2APIC_SIVR && msr <= MSR_IA32_X2APIC_ESR;
    bool lvt_or_initial = msr >= MSR_IA32_X2APIC_LVT_TIMER && msr <= MSR_IA32_X2APIC_INIT_COUNT;

    switch (msr) {
    case MSR_IA32_X2APIC_APICID:
    case MSR_IA32_X2APIC_VERSION:
    case MSR_IA32_X2APIC_TPR:
    case MSR_IA32_X2APIC_PPR:
    case MSR_IA32_X2APIC_LDR:
    case MSR_IA32_X2APIC_SIVR:
    case MSR_IA32_X2APIC_ICR:
    case MSR_IA32_X2APIC_DIV_CONF: return true;
    default: return vectors_or_error || lvt_or_initial;
    }
}

/* The bitmap of a helped guest in x2APIC mode. A self-IPI exits: Bochs 2.7 would deliver it to a guest with interrupts off
 * as soon as one of the host's comes. */
static void fill_help_bitmap(u8 *bitmap)
{
    bool delivery = (features() & X86_ASSIST_DELIVERY) != 0;

    memcpy(bitmap, phys_ptr(vmx_msr_bitmap), FRAME_SIZE);
    if (!has(VMX_PROC2, VMX_CTL(PROC2, VIRTUALIZE_X2APIC))) {
        return;
    }
    for (u32 msr = MSR_IA32_X2APIC_FIRST; msr <= MSR_IA32_X2APIC_LAST; msr++) {
        if (msr == MSR_IA32_X2APIC_TPR || (delivery && kept_in_page(msr))) {
            pass(bitmap, msr);
        }
    }
    pass(bitmap + BITMAP_WRITES, MSR_IA32_X2APIC_TPR);
    if (delivery) {
        pass(bitmap + BITMAP_WRITES, MSR_IA32_X2APIC_EOI);
    }
}

int vmx_assist_make(void)
{
    int error = frame_alloc(0, FRAME_OWNER_VCPU, &access_page);

    if (error == 0) {
        memset(phys_ptr(access_page), UINT8_MAX, FRAME_SIZE);
        error = frame_alloc(0, FRAME_OWNER_VCPU, &help_bitmap);
    }
    if (error == 0) {
        fill_help_bitmap(phys_ptr(help_bitmap));
    }
    return error;
}

static void write_controls(struct vmx_vcpu *hw, enum x86_help help)
{
    bool helped = help == X86_HELP_PAGE || help == X86_HELP_MSRS;
    bool delivery = helped && (features() & X86_ASSIST_DELIVERY) != 0;
    u32 way = help == X86_HELP_MSRS ? VMX_CTL(PROC2, VIRTUALIZE_X2APIC) : VMX_CTL(PROC2, VIRTUALIZE_APIC_ACCESSES);

    hw->proc &= ~(VMX_CTL(PROC, TPR_SHADOW) | PROC_CR8_EXITS);
    hw->proc |= helped ? VMX_CTL(PROC, TPR_SHADOW) : PROC_CR8_EXITS;
    hw->proc2 = (hw->proc2 & ~PROC2_APIC) | (has(VMX_PROC2, way) ? way : 0) | (delivery ? PROC2_DELIVERY : 0);
    vmcs_write(VMCS_PROC_CONTROLS, hw->proc);
    vmcs_write(VMCS_PROC2_CONTROLS, hw->proc2);
    vmcs_write(VMCS_MSR_BITMAP, help == X86_HELP_MSRS ? help_bitmap.v : vmx_msr_bitmap.v);
}

static void configure(struct vcpu *v, enum x86_help help, hpa_t page)
{
    struct vmx_vcpu *hw = vmx_of(v);

    if (hw->help == help) {
        return;
    }
    hw->help = help;
    vmcs_write(VMCS_VIRTUAL_APIC_PAGE, page.v);
    if (has(VMX_PROC2, VMX_CTL(PROC2, VIRTUALIZE_APIC_ACCESSES))) {
        vmcs_write(VMCS_APIC_ACCESS_PAGE, access_page.v);
    }
    write_controls(hw, help);
}

static u32 get_status(const struct vcpu *v)
{
    (void)v;
    return vmcs_read32(VMCS_GUEST_INTERRUPT_STATUS);
}

static void set_status(struct vcpu *v, u32 status)
{
    (void)v;
    if (vmcs_read32(VMCS_GUEST_INTERRUPT_STATUS) != status) {
        vmcs_write(VMCS_GUEST_INTERRUPT_STATUS, status);
    }
}

static void set_eoi_exits(struct vcpu *v, const u64 exits[4])
{
    struct vmx_vcpu *hw = vmx_of(v);

    for (u32 i = 0; i < ARRAY_SIZE(hw->eoi_exits); i++) {
        if (hw->eoi_exits[i] != exits[i]) {
            hw->eoi_exits[i] = exits[i];
            vmcs_write((enum vmcs_field)(VMCS_EOI_EXITS0 + 2 * i), exits[i]);
        }
    }
}

static void set_threshold(struct vcpu *v, u8 priority_class)
{
    struct vmx_vcpu *hw = vmx_of(v);

    if (hw->threshold != priority_class) {
        hw->threshold = priority_class;
        vmcs_write(VMCS_TPR_THRESHOLD, priority_class);
    }
}

void vmx_assist_reset(struct vmx_vcpu *hw)
{
    hw->help = X86_HELP_NONE;
    hw->threshold = 0;
    if ((features() & X86_ASSIST_PRIORITY) != 0) {
        vmcs_write(VMCS_TPR_THRESHOLD, 0);
    }
    if ((features() & X86_ASSIST_DELIVERY) == 0) {
        return;
    }
    vmcs_write(VMCS_GUEST_INTERRUPT_STATUS, 0);
    for (u32 i = 0; i < ARRAY_SIZE(hw->eoi_exits); i++) {
        hw->eoi_exits[i] = 0;
        vmcs_write((enum vmcs_field)(VMCS_EOI_EXITS0 + 2 * i), 0);
    }
}

const struct vcpu_assist vmx_assist = {
    .features = features,
    .access_page = get_access_page,
    .configure = configure,
    .get_status = get_status,
    .set_status = set_status,
    .set_eoi_exits = set_eoi_exits,
    .set_threshold = set_threshold,
};
