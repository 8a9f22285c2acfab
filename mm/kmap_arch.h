/* What the ISA supplies to mm/kmap.c. */
#pragma once
#include "mm/pt.h"

/* Windows of the kernel's address space for mappings made on demand; half-open. The direct map lies at physmap_base. */
struct kmap_layout {
    u64 device_base, device_end;
    u64 stack_base, stack_end;
};
extern const struct kmap_layout arch_kmap_layout;

/* The host's table format with the largest leaves that this CPU knows. */
const struct pt_format *arch_kmap_format(void);

/* Load the root on this CPU; drops all its old translations that are not global. */
void arch_kmap_enter(hpa_t root);

/* Drop this CPU's translation of one page. */
void arch_kmap_flush_page(u64 va);
