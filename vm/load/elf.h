/* ELF files (System V ABI, chapters 4 and 5): what the loaders share beyond elf_parse(). Pure. */
#pragma once
#include "vm/load/space.h"

#define ELF_MACHINE_386 3U
#define ELF_MACHINE_X86_64 62U
#define ELF_SECTIONS_BYTES_MAX KIB(32)

/* The section header table of a file. */
struct elf_sections {
    u64 offset;  /* in the file */
    u32 count;
    u32 entsize; /* 40 or 64 */
    u32 strndx;
    bool elf64;
};

/* Does the file start as an ELF of 32 or 64 bits, little-endian? */
bool elf_sniff(const struct image *image);
/* The section header table, when there is one that is whole and at most ELF_SECTIONS_BYTES_MAX long. */
bool elf_find_sections(const struct image *image, struct elf_sections *out);
/* Copy the table into `table` (count * entsize bytes), put the contents of sections that no segment loads (symbols,
 * strings) into free guest memory, and store their addresses in the copy, as multiboot wants. When there is no room for
 * them they are left out. 0, or -E_* with why. */
MUST_CHECK int elf_place_sections(const struct load_request *rq, const struct elf_sections *sections,
                                  struct load_space *space, u8 *table);
