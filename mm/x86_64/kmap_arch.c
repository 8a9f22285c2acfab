/* The x86-64 half of the kernel's address space: where things lie, and the registers. See the map in mm/README.md. */
#include "mm/kmap_arch.h"
#include "kernel/x86_64/cpuid.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "mm/physmap.h"
#include "mm/x86_64/pt_formats.h"

const struct kmap_layout arch_kmap_layout = {
    .device_base = 0xFFFFC00000000000ULL,
    .device_end = 0xFFFFC10000000000ULL,
    .stack_base = 0xFFFFD00000000000ULL,
    .stack_end = 0xFFFFD10000000000ULL,
};
_Static_assert(0xFFFF800000000000ULL + PHYSMAP_LIMIT <= 0xFFFFC00000000000ULL, "the direct map ends before them");

const struct pt_format *arch_kmap_format(void)
{
    bool large = (cpuid_get(CPUID_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_PDPE1GB) != 0;

    return large ? &pt_format_host : &pt_format_host_2m;
}

void arch_kmap_enter(hpa_t root)
{
    write_cr3(root.v);
}

void arch_kmap_flush_page(u64 va)
{
    invlpg((const void *)va);
}
