/* How an image becomes a machine: sniffers and loaders. The parsers are pure (buffer in, plan out) and fuzzed; one
 * function places a plan into guest memory. */
#pragma once
#include "kernel/lib/types.h"
#include "vcpu/vcpu.h"
#include "vm/config.h"
#include "vm/gmem.h"
#include "vm/image.h"

#define LOAD_SEGMENTS_MAX 16U
#define LOAD_WHY_MAX 128U

/* One piece of an image: size_file bytes from data+offset to gpa, then zeros up to size_mem. */
struct load_segment {
    u64 offset;
    u64 size_file;
    u64 gpa;
    u64 size_mem;
};

struct load_plan {
    struct load_segment segments[LOAD_SEGMENTS_MAX];
    u32 count;
    u64 entry; /* physical: a virtual entry inside a segment is translated */
    bool elf64;
    u16 machine; /* an ELF file's e_machine, for the ISA's loader to judge; 0 for other formats */
};

/* What a loader needs and gives. */
struct load_request {
    struct gmem *mem;
    u64 ram_size;              /* of the VM, from gpa 0 up to the hole, then above 4 GiB */
    const struct vm_config *config;
    const struct image *images; /* one per config->modules[] */
    char *why;                 /* LOAD_WHY_MAX bytes: the cause, when it fails */
};

struct loader {
    enum vm_type type;
    const char *name;
    bool (*sniff)(const struct image *image);                       /* pure */
    int (*load)(const struct load_request *rq, struct vcpu_entry *entry); /* 0, or -E_* with rq->why filled */
};

/* Choose by config->type or by sniffing (linux, mb2, mb1, elf; flat only when asked for) and load; a module of role
 * firmware has its own loader.
 * 0, or -E_FORMAT/-E_TRUNC/-E_OVERLAP/-E_FAULT/-E_RANGE/-E_INVAL/-E_NOMEM with rq->why filled; *name is set to the
 * type's name on success. */
MUST_CHECK int load_image(const struct load_request *rq, struct vcpu_entry *entry, const char **name);

/* Pure: an ELF32 or ELF64 file's PT_LOAD segments by p_paddr. Bounds, overlaps and overflow checked. 0 or -E_* with
 * why. */
MUST_CHECK int elf_parse(const struct image *image, struct load_plan *plan, char *why);
/* Pure: the function or label of the file's .symtab that the code at a (virtual) address belongs to. false: the file is no ELF, or
 * has none. Looks at 2^18 symbols at most. */
bool load_find_symbol(const struct image *image, u64 address, struct vm_symbol *out);
/* Check a plan against the VM's RAM and copy it. 0, -E_FAULT (outside the VM's memory), -E_OVERLAP; why filled. */
MUST_CHECK int load_place(const struct load_request *rq, const struct image *image, const struct load_plan *plan);

/* The guest's memory map, as a table for loaders: RAM below the hole, reserved, RAM above 4 GiB. */
struct load_map_entry {
    u64 base, len;
    bool ram;
};
u32 load_memory_map(u64 ram_size, struct load_map_entry out[8]);
#define LOAD_HOLE_START GIB(3)
#define LOAD_ACPI_BASE 0xE0000ULL /* the board's ACPI tables, in the BIOS area */
