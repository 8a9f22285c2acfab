#include "vcpu/x86_64/vmx/caps.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"

enum want { WANT_NEEDS, WANT_LIKES, WANT_LATER, WANT_MAYBE, WANT_NEVER, WANT_KNOWN };

struct control {
    enum vmx_table table;
    u8 bit;
    enum want want;
    const char *name;
};

#define VMX_CONTROL(table, name, bit, want) {VMX_##table, (bit), WANT_##want, #name},
static const struct control controls[] = {
#include "vcpu/x86_64/vmx/controls.def"
};

static const char *const table_names[VMX_TABLES] = {
    [VMX_PIN] = "pin-based controls",
    [VMX_PROC] = "primary processor-based controls",
    [VMX_PROC2] = "secondary processor-based controls",
    [VMX_EXIT] = "VM-exit controls",
    [VMX_ENTRY] = "VM-entry controls",
};

const char *vmx_table_name(enum vmx_table table)
{
    return (unsigned)table < VMX_TABLES ? table_names[table] : "?";
}

const char *vmx_control_name(enum vmx_table table, u32 bit)
{
    for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
        if (controls[i].table == table && controls[i].bit == bit) {
            return controls[i].name;
        }
    }
    return "?";
}

static u32 wanted(enum vmx_table table, enum want want)
{
    u32 mask = 0;

    for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
        if (controls[i].table == table && controls[i].want == want) {
            mask |= BIT32(controls[i].bit);
        }
    }
    return mask;
}

static int refuse_bit(struct vmx_refusal *why, enum vmx_table table, u32 mask, const char *problem)
{
    u32 bit = (u32)__builtin_ctz(mask);

    (void)fmt_snprintf(why->text, sizeof(why->text), "%s (bit %u of %s)%s", vmx_control_name(table, bit), bit,
                       vmx_table_name(table), problem);
    return -E_NOSYS;
}

static int refuse(struct vmx_refusal *why, const char *text)
{
    (void)fmt_snprintf(why->text, sizeof(why->text), "%s", text);
    return -E_NOSYS;
}

int vmx_control_resolve(enum vmx_table table, u64 capability, u32 *value, struct vmx_refusal *why)
{
    u32 must = (u32)capability;
    u32 may = (u32)(capability >> 32);
    u32 needs = wanted(table, WANT_NEEDS);
    u32 missing = (needs | wanted(table, WANT_LATER)) & ~may;
    u32 forced = must & (wanted(table, WANT_NEVER) | ~may);

    if (missing != 0) {
        return refuse_bit(why, table, missing, "");
    }
    if (forced != 0) {
        return refuse_bit(why, table, forced, " forced to 1");
    }
    *value = needs | must | (wanted(table, WANT_LIKES) & may);
    return 0;
}

bool vmx_control_allowed(const struct vmx_caps *caps, enum vmx_table table, u32 bit_mask)
{
    return ((u32)(caps->msrs.controls[table] >> 32) & bit_mask) == bit_mask;
}

static int check_ept(u64 cap, struct vmx_refusal *why)
{
    if ((cap & VMX_EPT_WALK_4) == 0) {
        return refuse(why, "EPT walk length 4 (bit 6 of IA32_VMX_EPT_VPID_CAP)");
    }
    if ((cap & VMX_EPT_WB) == 0) {
        return refuse(why, "EPT write-back tables (bit 14 of IA32_VMX_EPT_VPID_CAP)");
    }
    if ((cap & VMX_EPT_INVEPT) == 0 || (cap & (VMX_EPT_INVEPT_SINGLE | VMX_EPT_INVEPT_ALL)) == 0) {
        return refuse(why, "INVEPT (bit 20 of IA32_VMX_EPT_VPID_CAP)");
    }
    return 0;
}

/* A tag that cannot be flushed is worse than none. */
static u32 drop_unusable_vpid(u32 proc2, u64 ept_vpid)
{
    bool usable = (ept_vpid & VMX_EPT_INVVPID) != 0 && (ept_vpid & (VMX_EPT_INVVPID_SINGLE | VMX_EPT_INVVPID_ALL)) != 0;

    return usable ? proc2 : proc2 & ~VMX_CTL(PROC2, VPID);
}

int vmx_caps_resolve(const struct vmx_msrs *msrs, struct vmx_caps *caps, struct vmx_refusal *why)
{
    struct vmx_caps out = {.msrs = *msrs};
    u64 unused;

    if (vmx_feature_control_plan(msrs->feature_control, &unused) < 0) {
        return refuse(why, "VMX outside SMX (bit 2 of IA32_FEATURE_CONTROL) locked off by firmware");
    }
    for (unsigned table = 0; table < VMX_TABLES; table++) {
        int error = vmx_control_resolve((enum vmx_table)table, msrs->controls[table], &out.controls[table], why);
        if (error != 0) {
            return error;
        }
    }
    int error = check_ept(msrs->ept_vpid, why);
    if (error != 0) {
        return error;
    }
    out.controls[VMX_PROC2] = drop_unusable_vpid(out.controls[VMX_PROC2], msrs->ept_vpid);
    out.revision = (u32)FIELD_GET(VMX_BASIC_REVISION_MASK, msrs->basic);
    out.timer_shift = (u8)FIELD_GET(VMX_MISC_TIMER_SHIFT_MASK, msrs->misc);
    *caps = out;
    return 0;
}

int vmx_feature_control_plan(u64 current, u64 *value)
{
    if ((current & FEATURE_CONTROL_LOCK) == 0) {
        *value = current | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
        return 1;
    }
    return (current & FEATURE_CONTROL_VMX_OUTSIDE_SMX) != 0 ? 0 : -E_NOSYS;
}

u64 vmx_cr_violations(u64 value, u64 fixed0, u64 fixed1, u64 exempt)
{
    return ((~value & fixed0) | (value & ~fixed1)) & ~exempt;
}

struct feature {
    const char *name;
    bool present;
};

void vmx_caps_summary(const struct vmx_caps *caps, char *buf, size_t size)
{
    u64 ept = caps->msrs.ept_vpid;
    bool vpid = (caps->controls[VMX_PROC2] & VMX_CTL(PROC2, VPID)) != 0;
    const struct feature features[] = {
        {"vpid", vpid},
        {"ad", (ept & VMX_EPT_AD) != 0},
        {"2m", (ept & VMX_EPT_2M) != 0},
        {"1g", (ept & VMX_EPT_1G) != 0},
        {"timer", (caps->controls[VMX_PIN] & VMX_CTL(PIN, PREEMPTION_TIMER)) != 0},
        {"invpcid", vmx_control_allowed(caps, VMX_PROC2, VMX_CTL(PROC2, INVPCID))},
        {"tpr-shadow", vmx_control_allowed(caps, VMX_PROC, VMX_CTL(PROC, TPR_SHADOW))},
        {"apicv", vmx_control_allowed(caps, VMX_PROC2, VMX_CTL(PROC2, APIC_REGISTERS) | VMX_CTL(PROC2, VIRTUAL_INTERRUPTS))},
        {"xsaves", vmx_control_allowed(caps, VMX_PROC2, VMX_CTL(PROC2, XSAVES))},
    };
    size_t used = (size_t)fmt_snprintf(buf, size, "revision=%#x asids=%u levels=4 features=ept,ug", caps->revision,
                                       vpid ? 65536U : 0U);

    for (size_t i = 0; i < ARRAY_SIZE(features) && used < size; i++) {
        if (features[i].present) {
            used += (size_t)fmt_snprintf(buf + used, size - used, ",%s", features[i].name);
        }
    }
}
