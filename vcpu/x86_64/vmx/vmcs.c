#include "vcpu/x86_64/vmx/vmcs.h"
#include "kernel/base/log.h"
#include "kernel/lib/fmt.h"

enum width { W16, W64, W32, WN };
enum type { CONTROL, RO, GUEST, HOST };
enum need { ALWAYS, NEED_VPID, NEED_XSAVES, NEED_TIMER, NEED_PLE, NEED_TPR_SHADOW, NEED_APIC_ACCESSES, NEED_VIRTUAL_INTERRUPTS };

struct field {
    const char *name;
    u16 encoding;
    u8 need;
    u64 mask;
};

/* The table's words and the encoding say the same. */
#define VMCS_FIELD(name, encoding, width, type, mask, need)                                                            \
    _Static_assert(FIELD_GET(VMCS_ENCODING_WIDTH_MASK, (encoding)) == (width), #name " width");                       \
    _Static_assert(FIELD_GET(VMCS_ENCODING_TYPE_MASK, (encoding)) == (type), #name " type");                          \
    _Static_assert(((type) == RO) == ((mask) == 0), #name " mask");
#include "vcpu/x86_64/vmx/vmcs.def"

#define VMCS_FIELD(name, encoding, width, type, mask, need) {#name, (encoding), (need), (mask)},
static const struct field fields[] = {
#include "vcpu/x86_64/vmx/vmcs.def"
};

static bool exists(const struct vmx_caps *caps, u8 need)
{
    switch ((enum need)need) {
    case NEED_VPID:
        return vmx_control_allowed(caps, VMX_PROC2, VMX_CTL(PROC2, VPID));
    case NEED_XSAVES:
        return vmx_control_allowed(caps, VMX_PROC2, VMX_CTL(PROC2, XSAVES));
    case NEED_TIMER:
        return vmx_control_allowed(caps, VMX_PIN, VMX_CTL(PIN, PREEMPTION_TIMER));
    case NEED_PLE:
        return vmx_control_allowed(caps, VMX_PROC2, VMX_CTL(PROC2, PAUSE_LOOP_EXITING));
    case NEED_TPR_SHADOW:
        return vmx_control_allowed(caps, VMX_PROC, VMX_CTL(PROC, TPR_SHADOW));
    case NEED_APIC_ACCESSES:
        return vmx_control_allowed(caps, VMX_PROC2, VMX_CTL(PROC2, VIRTUALIZE_APIC_ACCESSES));
    case NEED_VIRTUAL_INTERRUPTS:
        return vmx_control_allowed(caps, VMX_PROC2, VMX_CTL(PROC2, VIRTUAL_INTERRUPTS));
    case ALWAYS:
        break;
    }
    return true;
}

/* Alternating bits, and which bit is first depends on the field: a write that lands in a neighbour shows. */
static u64 pattern(const struct field *field)
{
    u64 even = ~0ULL / 3; /* 0101... */

    return ((field->encoding & 2) != 0 ? even : ~even) & field->mask;
}

static bool readable(const struct field *field)
{
    u64 value;

    return vmcs_try_read((enum vmcs_field)field->encoding, &value) == 0;
}

static bool keeps(const struct field *field, u64 expected)
{
    u64 value = 0;

    return vmcs_try_read((enum vmcs_field)field->encoding, &value) == 0 && (value & field->mask) == expected;
}

static bool written(const struct field *field, u64 value)
{
    return vmcs_try_write((enum vmcs_field)field->encoding, value) == 0 && keeps(field, value);
}

/* Both values of every bit, then again after all the others were written. */
static bool passes_write(const struct field *field)
{
    u64 first = pattern(field);

    return field->mask == 0 ? readable(field) : written(field, ~first & field->mask) && written(field, first);
}

static bool passes_keep(const struct field *field)
{
    return field->mask == 0 || keeps(field, pattern(field));
}

static unsigned run_pass(const struct vmx_caps *caps, bool (*passes)(const struct field *field))
{
    unsigned bad = 0;

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (exists(caps, fields[i].need) && !passes(&fields[i])) {
            log_warn("vmcs-selftest field=%s encoding=%#x failed", fields[i].name, fields[i].encoding);
            bad++;
        }
    }
    return bad;
}

int vmcs_selftest(const struct vmx_caps *caps)
{
    unsigned bad = run_pass(caps, passes_write) + run_pass(caps, passes_keep);

    log_info("vmcs-selftest fields=%zu bad=%u", ARRAY_SIZE(fields), bad);
    return bad == 0 ? 0 : -E_HW;
}

#define DUMP_PER_LINE 4U

void vmcs_dump(void)
{
    char line[DUMP_PER_LINE * 56];
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        u64 value;
        if (vmcs_try_read((enum vmcs_field)fields[i].encoding, &value) == 0) {
            used += (size_t)fmt_snprintf(line + used, sizeof(line) - used, " %s=%#lx", fields[i].name, value);
        }
        if (i % DUMP_PER_LINE == DUMP_PER_LINE - 1 || i == ARRAY_SIZE(fields) - 1) {
            log_info("vmcs%.*s", (int)used, line);
            used = 0;
        }
    }
}
