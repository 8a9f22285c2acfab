/* Which barriers a CPU needs. */
#include "vcpu/x86_64/barriers.h"
#include "kernel/lib/fmt.h"
#include "kernel/x86_64/regs.h"

#define LEAF7_EBX_RTM BIT32(11)
#define LEAF7_EDX_MD_CLEAR BIT32(10)
#define LEAF7_EDX_L1D_FLUSH BIT32(28)
#define EXT8_EBX_IBRS BIT32(14)
#define EXT8_EBX_IBRS_ALWAYS_ON BIT32(16)
#define EXT8_EBX_IBPB_RET BIT32(30) /* IBPB clears return addresses too */

#define CAP_RDCL_NO BIT(0) /* no L1 terminal fault either */
#define CAP_IBRS_ALL BIT(1)
#define CAP_SKIP_L1DFL_VMENTRY BIT(3)
#define CAP_MDS_NO BIT(5)
#define CAP_TAA_NO BIT(8)
#define CAP_SBDR_SSDP_NO BIT(13)
#define CAP_FBSDP_NO BIT(14)
#define CAP_PSDP_NO BIT(15)
#define CAP_FB_CLEAR BIT(17)
#define CAP_RFDS_NO BIT(27)
#define CAP_RFDS_CLEAR BIT(28)
#define CAP_STALE_DATA_NO (CAP_SBDR_SSDP_NO | CAP_FBSDP_NO | CAP_PSDP_NO)

static bool has_ibpb(const struct x86_barrier_cpu *cpu)
{
    return (cpu->leaf7_edx & CPUID_7_EDX_SPEC_CTRL) != 0 || (cpu->ext8_ebx & CPUID_EXT8_EBX_IBPB) != 0;
}

/* A CPU that can flush it and does not say that it needs not. */
static bool needs_l1d(const struct x86_barrier_cpu *cpu)
{
    return (cpu->leaf7_edx & LEAF7_EDX_L1D_FLUSH) != 0 &&
           (cpu->arch_capabilities & (CAP_RDCL_NO | CAP_SKIP_L1DFL_VMENTRY)) == 0;
}

/* VERW clears the buffers of a fault where the bit beside the fault's says so. */
static bool needs_buffers(const struct x86_barrier_cpu *cpu)
{
    u64 caps = cpu->arch_capabilities;
    bool md_clear = (cpu->leaf7_edx & LEAF7_EDX_MD_CLEAR) != 0;
    bool sampling = (caps & CAP_MDS_NO) == 0;
    bool aborts = (cpu->leaf7_ebx & LEAF7_EBX_RTM) != 0 && (caps & CAP_TAA_NO) == 0;
    bool stale = (caps & CAP_STALE_DATA_NO) != CAP_STALE_DATA_NO;

    return (md_clear && (sampling || aborts)) || ((caps & CAP_FB_CLEAR) != 0 && stale) ||
           ((caps & CAP_RFDS_CLEAR) != 0 && (caps & CAP_RFDS_NO) == 0);
}

static bool has_lasting_ibrs(const struct x86_barrier_cpu *cpu)
{
    const u32 amd = EXT8_EBX_IBRS | EXT8_EBX_IBRS_ALWAYS_ON;

    return (cpu->arch_capabilities & CAP_IBRS_ALL) != 0 || (cpu->ext8_ebx & amd) == amd;
}

u32 x86_barriers_choose(const struct x86_barrier_cpu *cpu)
{
    u32 barriers = has_ibpb(cpu) ? X86_BARRIER_IBPB : 0;

    if ((cpu->ext8_ebx & EXT8_EBX_IBPB_RET) == 0) {
        barriers |= X86_BARRIER_RSB;
    }
    barriers |= needs_l1d(cpu) ? X86_BARRIER_L1D : 0;
    barriers |= needs_buffers(cpu) ? X86_BARRIER_BUFFERS : 0;
    return barriers | (has_lasting_ibrs(cpu) ? X86_BARRIER_IBRS : 0);
}

void x86_barriers_name(u32 barriers, char *text, size_t size)
{
    static const char *const names[] = {"ibpb", "rsb", "l1d-flush", "verw", "ibrs"};
    size_t used = 0;

    (void)fmt_snprintf(text, size, "none");
    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        if ((barriers & BIT32(i)) != 0 && used < size) {
            used += (size_t)fmt_snprintf(text + used, size - used, "%s%s", used != 0 ? "," : "", names[i]);
        }
    }
}
