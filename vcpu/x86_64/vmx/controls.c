/* What a vCPU's VMCS holds once and for all: controls, masks, the guest fields that never change. */
#include "kernel/time.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/vmx/cr.h"
#include "vcpu/x86_64/vmx/internal.h"

#define TIMER_PERIOD_NS NS_PER_MS
#define TIMER_VALUE_MAX 0xFFFFFFFFULL
#define PAUSE_LOOP_GAP 128U     /* ticks that part one loop of PAUSEs from the next */
#define PAUSE_LOOP_WINDOW 4096U /* ticks of such a loop before it exits: a lock whose holder does not run */
#define LINK_POINTER_NONE (~0ULL)

static struct x86_cpuid shown(struct vcpu *v, u32 leaf, u32 subleaf)
{
    struct x86_cpuid out;

    x86_cpuid_guest(v, leaf, subleaf, &out);
    return out;
}

/* An instruction that CPUID does not show must be #UD, one that it shows must not: SDM 26.3. */
static u32 instructions_shown(struct vcpu *v)
{
    u32 mask = 0;

    if ((shown(v, CPUID_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_RDTSCP) != 0) {
        mask |= VMX_CTL(PROC2, RDTSCP);
    }
    if ((shown(v, CPUID_LEAF_FEATURES, 0).ebx & CPUID_7_EBX_INVPCID) != 0) {
        mask |= VMX_CTL(PROC2, INVPCID);
    }
    if ((shown(v, CPUID_LEAF_XSAVE, 1).eax & CPUID_D1_EAX_XSAVES) != 0) {
        mask |= VMX_CTL(PROC2, XSAVES);
    }
    return mask & (u32)(vmx_caps.msrs.controls[VMX_PROC2] >> 32);
}

/* What the debug registers of another owner left pending is nobody's: SDM 25.4.2 "pending debug exceptions". */
static void write_debug_owner(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);
    u32 proc = hw->proc & ~VMX_CTL(PROC, MOV_DR_EXITING);

    hw->proc = v->arch.debug.owns ? proc | VMX_CTL(PROC, MOV_DR_EXITING) : proc;
    vmcs_write(VMCS_PROC_CONTROLS, hw->proc);
    if (hw->lent != v->arch.debug.owns) {
        hw->lent = v->arch.debug.owns;
        vmcs_write(VMCS_GUEST_PENDING_DEBUG, vmcs_read(VMCS_GUEST_PENDING_DEBUG) & DR6_BS);
    }
}

/* #DB and #AC: a guest could make their delivery recurse for ever, with no boundary at which an interrupt exits. #MC: belongs to
 * the host. The trap of a step before must not come any more, given up or reported. */
void vmx_debug_write(struct vcpu *v)
{
    u64 exceptions = BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC);

    vmcs_write(VMCS_EXCEPTION_BITMAP, v->arch.debug.attached ? exceptions | BIT(VECTOR_BP) : exceptions);
    write_debug_owner(v);
    if ((v->arch.rflags & RFLAGS_TF) == 0 || ((v->arch.special & X86_SPECIAL_STEP) != 0 && !v->arch.debug.own_tf)) {
        vmcs_write(VMCS_GUEST_PENDING_DEBUG, vmcs_read(VMCS_GUEST_PENDING_DEBUG) & ~DR6_BS);
    }
}

static void write_execution(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);
    u32 proc2 = vmx_caps.controls[VMX_PROC2] | instructions_shown(v);

    if (hw->vpid == 0) {
        proc2 &= ~VMX_CTL(PROC2, VPID);
    } else {
        vmcs_write(VMCS_VPID, hw->vpid);
    }
    if ((proc2 & VMX_CTL(PROC2, XSAVES)) != 0) {
        vmcs_write(VMCS_XSS_EXITING_BITMAP, 0);
    }
    if ((proc2 & VMX_CTL(PROC2, PAUSE_LOOP_EXITING)) != 0) {
        vmcs_write(VMCS_PLE_GAP, PAUSE_LOOP_GAP);
        vmcs_write(VMCS_PLE_WINDOW, PAUSE_LOOP_WINDOW);
    }
    hw->proc = vmx_caps.controls[VMX_PROC];
    hw->proc2 = proc2;
    vmcs_write(VMCS_PIN_CONTROLS, vmx_caps.controls[VMX_PIN]);
    vmcs_write(VMCS_PROC_CONTROLS, hw->proc);
    vmcs_write(VMCS_PROC2_CONTROLS, proc2);
    vmcs_write(VMCS_MSR_BITMAP, vmx_msr_bitmap.v);
    vmcs_write(VMCS_CR3_TARGET_COUNT, 0);
    vmcs_write(VMCS_PF_ERROR_MASK, 0);
    vmcs_write(VMCS_PF_ERROR_MATCH, 0);
}

static void write_masks(struct vmx_vcpu *hw)
{
    hw->cr0_owned = vmx_cr0_guest_owned();
    hw->cr4_owned = vmx_cr4_guest_owned();
    vmcs_write(VMCS_CR0_MASK, ~hw->cr0_owned);
    vmcs_write(VMCS_CR4_MASK, ~hw->cr4_owned);
}

static void write_transitions(struct vcpu *v)
{
    vmx_of(v)->entry = vmx_caps.controls[VMX_ENTRY];
    vmcs_write(VMCS_EXIT_CONTROLS, vmx_caps.controls[VMX_EXIT]);
    vmcs_write(VMCS_ENTRY_CONTROLS, vmx_of(v)->entry);
    vmcs_write(VMCS_EXIT_MSR_STORE_COUNT, 0);
    vmcs_write(VMCS_EXIT_MSR_LOAD_COUNT, 0);
    vmcs_write(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
    vmcs_write(VMCS_ENTRY_INTERRUPTION_INFO, 0);
}

static void write_guest_constants(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);

    vmcs_write(VMCS_VMCS_LINK_POINTER, LINK_POINTER_NONE);
    vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
    vmcs_write(VMCS_GUEST_ACTIVITY, 0);
    vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
    vmcs_write(VMCS_GUEST_SMBASE, 0);
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, 0);
    vmcs_write(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
    vmcs_write(VMCS_GUEST_RSP, 0);
    hw->blocking = 0;
    hw->rflags = RFLAGS_FIXED;
    hw->rsp = 0;
}

static u64 ept_pointer(const struct vcpu *v)
{
    u64 ad = (vmx_caps.msrs.ept_vpid & VMX_EPT_AD) != 0 ? EPTP_AD : 0;

    return v->config.stage2->root.v | EPTP_WALK_4 | EPTP_TYPE_WB | ad;
}

/* A backstop, not the slice timer: it ends a guest that a pending host interrupt fails to end (Bochs does so while the
 * guest has IF = 0). The field keeps its value over exits, so that it is never written again. */
static void write_timer(struct vcpu *v)
{
    struct vmx_vcpu *hw = vmx_of(v);

    hw->timer = (vmx_caps.controls[VMX_PIN] & VMX_CTL(PIN, PREEMPTION_TIMER)) != 0;
    if (hw->timer) {
        u64 value = time_ns_to_ticks(TIMER_PERIOD_NS) >> vmx_caps.timer_shift;
        vmcs_write(VMCS_PREEMPTION_TIMER, MIN(value, TIMER_VALUE_MAX));
    }
}

void vmx_controls_write(struct vcpu *v)
{
    write_execution(v);
    vmx_assist_reset(vmx_of(v));
    write_masks(vmx_of(v));
    write_transitions(v);
    write_guest_constants(v);
    write_timer(v);
    vmx_debug_write(v);
    vmcs_write(VMCS_EPT_POINTER, ept_pointer(v));
    vmx_of(v)->frame = (struct vmx_entry_frame){0, 0};
}
