/* The virtual-machine control structure: its fields and the instructions that reach them (SDM Vol. 3 chapter 25). */
#pragma once
#include "kernel/lib/errno.h"
#include "kernel/lib/types.h"
#include "vcpu/x86_64/vmx/caps.h"

#define VMCS_FIELD(name, encoding, width, type, mask, need) VMCS_##name = (encoding),
enum vmcs_field {
#include "vcpu/x86_64/vmx/vmcs.def"
};

/* Layout of an encoding: SDM table 25-20 */
#define VMCS_ENCODING_TYPE_MASK GENMASK(11, 10)
#define VMCS_ENCODING_WIDTH_MASK GENMASK(14, 13)

/* Per-segment fields stand two apart, in the order of enum X86_ES... */
#define VMCS_SEG(field, seg) ((enum vmcs_field)((field) + 2 * (seg)))

/* Interruption information, one layout in three fields: SDM 25.8.3, 25.9.2, 25.9.3. */
#define INTERRUPTION_VECTOR_MASK GENMASK(7, 0)
#define INTERRUPTION_TYPE_MASK GENMASK(10, 8)
#define INTERRUPTION_ERROR BIT32(11)
#define INTERRUPTION_NMI_UNBLOCKED BIT32(12)
#define INTERRUPTION_VALID BIT32(31)
enum vmx_interruption_type { INTERRUPTION_EXTERNAL = 0, INTERRUPTION_NMI = 2, INTERRUPTION_EXCEPTION = 3,
                             INTERRUPTION_SOFT_IRQ = 4, INTERRUPTION_PRIV_SOFT = 5, INTERRUPTION_SOFT_EXCEPTION = 6 };

/* Exit reason: SDM 25.9.1 */
#define EXIT_REASON_BASIC_MASK GENMASK(15, 0)
#define EXIT_REASON_ENTRY_FAILURE BIT32(31)

/* Basic reasons: SDM appendix C */
#define VMX_REASON(number, name, code, decode, facts) EXIT_REASON_##name = (number),
enum vmx_exit_reason {
#include "vcpu/x86_64/vmx/exit_reasons.def"
};

/* EPT pointer: SDM 25.6.11 */
#define EPTP_TYPE_WB 6ULL
#define EPTP_WALK_4 (3ULL << 3)
#define EPTP_AD BIT(6)

/* Read a field of the current VMCS. The field is known to exist: vmcs_selftest() went through all of them. */
static inline u64 vmcs_read(enum vmcs_field field)
{
    u64 value;
    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((u64)field) : "cc");
    return value;
}

static inline u32 vmcs_read32(enum vmcs_field field)
{
    return (u32)vmcs_read(field);
}

static inline void vmcs_write(enum vmcs_field field, u64 value)
{
    __asm__ volatile("vmwrite %0, %1" ::"r"(value), "r"((u64)field) : "cc", "memory");
}

/* As vmcs_write(), told whether the CPU took it: 0 or -E_HW. */
MUST_CHECK static inline int vmcs_try_write(enum vmcs_field field, u64 value)
{
    bool failed;
    __asm__ volatile("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"((u64)field) : "memory");
    return failed ? -E_HW : 0;
}

MUST_CHECK static inline int vmcs_try_read(enum vmcs_field field, u64 *value)
{
    u64 result;
    bool failed;
    __asm__ volatile("vmread %2, %1" : "=@ccbe"(failed), "=r"(result) : "r"((u64)field));
    if (failed) {
        return -E_HW;
    }
    *value = result;
    return 0;
}

/* Make the VMCS at pa current on this CPU: 0 or -E_HW (not a VMCS of this revision). SDM Vol. 3 31.3 VMPTRLD. */
MUST_CHECK static inline int vmcs_set_current(hpa_t pa)
{
    bool failed;
    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(pa.v) : "memory");
    return failed ? -E_HW : 0;
}

/* Write the VMCS back to memory, launch state "clear": needed before first use and before another CPU loads it. */
MUST_CHECK static inline int vmcs_clear(hpa_t pa)
{
    bool failed;
    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(pa.v) : "memory");
    return failed ? -E_HW : 0;
}

/* On the current VMCS, which is scribbled over: write and read back every field that can be written and must exist,
 * read those that cannot. 0, or -E_HW after a log line for each bad field. */
MUST_CHECK int vmcs_selftest(const struct vmx_caps *caps);

/* Log every field of the current VMCS. */
void vmcs_dump(void);
