/* What this CPU's VMX can do and what Mote makes of it. Pure: decides from MSR values, touches no hardware. */
#pragma once
#include "kernel/lib/types.h"

enum vmx_table { VMX_PIN, VMX_PROC, VMX_PROC2, VMX_EXIT, VMX_ENTRY, VMX_TABLES };

#define VMX_CONTROL(table, name, bit, want) VMX_##table##_BIT_##name = (bit),
enum vmx_control_bit {
#include "vcpu/x86_64/vmx/controls.def"
};
#define VMX_CTL(table, name) BIT32(VMX_##table##_BIT_##name)

/* IA32_VMX_BASIC: SDM A.1 */
#define VMX_BASIC_REVISION_MASK GENMASK(30, 0)
#define VMX_BASIC_SIZE_MASK GENMASK(44, 32)
#define VMX_BASIC_TRUE_CONTROLS BIT(55)
/* IA32_VMX_MISC: SDM A.6 */
#define VMX_MISC_TIMER_SHIFT_MASK GENMASK(4, 0)
/* IA32_VMX_EPT_VPID_CAP: SDM A.10 */
#define VMX_EPT_WALK_4 BIT(6)
#define VMX_EPT_WB BIT(14)
#define VMX_EPT_2M BIT(16)
#define VMX_EPT_1G BIT(17)
#define VMX_EPT_INVEPT BIT(20)
#define VMX_EPT_AD BIT(21)
#define VMX_EPT_INVEPT_SINGLE BIT(25)
#define VMX_EPT_INVEPT_ALL BIT(26)
#define VMX_EPT_INVVPID BIT(32)
#define VMX_EPT_INVVPID_SINGLE BIT(41)
#define VMX_EPT_INVVPID_ALL BIT(42)
/* IA32_FEATURE_CONTROL: SDM Vol. 4 table 2-2 */
#define FEATURE_CONTROL_LOCK BIT(0)
#define FEATURE_CONTROL_VMX_OUTSIDE_SMX BIT(2)

/* The capability MSRs as read; controls come from the TRUE MSRs when the CPU has them. */
struct vmx_msrs {
    u64 feature_control, basic, misc, ept_vpid;
    u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
    u64 controls[VMX_TABLES]; /* bits 31:0 must be 1, bits 63:32 may be 1 */
};

struct vmx_caps {
    struct vmx_msrs msrs;
    u32 revision;
    u32 controls[VMX_TABLES]; /* the values that every vCPU starts with */
    u8 timer_shift;           /* the preemption timer counts TSC >> timer_shift */
};

/* Why a CPU was refused: "WHAT (WHERE)". */
struct vmx_refusal {
    char text[96];
};

/* Resolve one control word. capability: the table's MSR. 0 with *value set; -E_NOSYS with why naming bit and control
 * when a needed bit is not available, or a bit that must be 0 is forced to 1. */
MUST_CHECK int vmx_control_resolve(enum vmx_table table, u64 capability, u32 *value, struct vmx_refusal *why);

/* May the CPU have this bit of this table? */
bool vmx_control_allowed(const struct vmx_caps *caps, enum vmx_table table, u32 bit_mask);

/* All tables, EPT and FEATURE_CONTROL. 0 with *caps filled, or -E_NOSYS with why. */
MUST_CHECK int vmx_caps_resolve(const struct vmx_msrs *msrs, struct vmx_caps *caps, struct vmx_refusal *why);

/* IA32_FEATURE_CONTROL: 0 = fine as it is; 1 = write *value (lock and enable); -E_NOSYS = locked off by firmware. */
MUST_CHECK int vmx_feature_control_plan(u64 current, u64 *value);

/* The bits of a CR0 or CR4 value that violate the fixed bits (SDM A.7, A.8); 0 = acceptable. A bit that is 1 in fixed0
 * must be 1, a bit that is 0 in fixed1 must be 0; bits in exempt are not looked at (CR0.PE and PG of an unrestricted
 * guest). */
u64 vmx_cr_violations(u64 value, u64 fixed0, u64 fixed1, u64 exempt);

/* "revision=0x2b asids=65536 levels=4 features=ept,ug,..." into buf. */
void vmx_caps_summary(const struct vmx_caps *caps, char *buf, size_t size);

/* Names, for reports; "?" when unknown. */
const char *vmx_table_name(enum vmx_table table);
const char *vmx_control_name(enum vmx_table table, u32 bit);
