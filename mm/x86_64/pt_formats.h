/* The page-table formats of x86-64. Each comes with leaves up to 1 GiB and, for CPUs without them, up to 2 MiB. */
#pragma once
#include "mm/pt.h"

/* Host long mode, 4 levels (SDM Vol. 3 section 4.5, "4-level paging"). Needs EFER.NXE and the reset value of PAT. */
extern const struct pt_format pt_format_host;
extern const struct pt_format pt_format_host_2m;

/* Extended page tables, 4 levels (SDM Vol. 3 section 29.3, "The extended page table mechanism (EPT)"). Without PT_READ,
 * nothing is present. 1 GiB leaves: capability bit 17; 2 MiB leaves: bit 16 (section A.10). */
extern const struct pt_format pt_format_ept;
extern const struct pt_format pt_format_ept_2m;

/* Nested paging, 4 levels (APM Vol. 2 section 15.25, "Nested paging"): the host's format, every access a user's.
 * 1 GiB leaves: CPUID 8000_0001 EDX bit 26. */
extern const struct pt_format pt_format_npt;
extern const struct pt_format pt_format_npt_2m;
