/* What the loaders of multiboot 1 and 2 kernels share. */
#pragma once
#include "vm/load/elf.h"
#include "vm/load/x86_64/loaders.h"
#include "vm/load/x86_64/multiboot_abi.h"

#define MB_LOADER_NAME "Mote"

/* Where a module went. */
struct mb_module {
    u32 start, end;
    const char *string;
};

/* One kernel on its way into a VM, and its information block under construction. */
struct mb_boot {
    struct load_plan plan;
    struct load_space space;
    struct mb_module modules[VM_MODULES_MAX];
    u32 module_count;
    struct elf_sections sections; /* count 0: none */
    struct load_map_entry map[8];
    u32 map_count;
    u32 mem_lower, mem_upper; /* KiB below and above 1 MiB, up to the first gap */
    u64 info;                 /* guest address of the block */
    u8 *block;                /* host copy of it */
    u64 len, capacity;
};

/* The address fields of either header, with the header's place in the file. */
struct mb_addresses {
    u64 header_offset;
    u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

/* Pure: a plan from the address fields. 0, or -E_* with why. */
MUST_CHECK int mb_plan_addresses(const struct image *image, const struct mb_addresses *fields, struct load_plan *plan,
                                 char *why);
/* Pure: a plan from the ELF headers, for a kernel that is entered in 32-bit mode. 0, or -E_* with why. */
MUST_CHECK int mb_plan_elf(const struct image *image, struct load_plan *plan, char *why);

typedef int (*mb_planner)(const struct image *image, struct load_plan *plan, char *why);
typedef int (*mb_builder)(const struct load_request *rq, struct mb_boot *boot);

/* Plan, place kernel and modules, build the information block with build(), start in protected mode with the magic in
 * EAX and the block's address in EBX. 0, or -E_* with why. */
MUST_CHECK int mb_load(const struct load_request *rq, mb_planner plan, mb_builder build, u32 magic,
                       struct vcpu_entry *entry);

/* Append to the block; the guest address of what was appended. The capacity was computed for everything that is put. */
u32 mb_put(struct mb_boot *boot, const void *data, u64 len);
u32 mb_put_string(struct mb_boot *boot, const char *text);
/* Append zeros up to a multiple of align. */
void mb_align(struct mb_boot *boot, u64 align);
/* Append the section header table and place the sections' contents. 0 with the table's guest address, or -E_*. */
MUST_CHECK int mb_put_sections(const struct load_request *rq, struct mb_boot *boot, u32 *address);
