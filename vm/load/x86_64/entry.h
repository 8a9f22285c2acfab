/* The states in which x86 images start, and the tables in guest memory that they need. */
#pragma once
#include "vm/load/space.h"

/* The selectors of the Linux boot protocol (__BOOT_CS, __BOOT_DS) fit every other format as well. */
#define ENTRY_CODE_SELECTOR 0x10U
#define ENTRY_DATA_SELECTOR 0x18U

/* Protected mode, paging off, flat 4 GiB segments, a GDT and a one-page stack placed in guest memory; rip and rsp are
 * set, other registers are 0.
 * 0, or -E_* with why. */
MUST_CHECK int entry_prot(const struct load_request *rq, struct load_space *space, u64 rip, struct vcpu_entry *entry);
/* Long mode on identity page tables of the first 4 GiB, placed with a GDT and a stack in guest memory. 0, or -E_* with why. */
MUST_CHECK int entry_long(const struct load_request *rq, struct load_space *space, u64 rip, struct vcpu_entry *entry);
