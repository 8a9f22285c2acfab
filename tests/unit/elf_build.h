/* Small ELF files for the loaders' tests. */
#pragma once
#include <string.h>
#include "vm/load/elf_format.h"

#define ELF_FILE_MAX 8192U
#define ELF_CODE_OFFSET 0x400U

struct elf_spec {
    bool elf64;
    u16 machine;
    u64 entry;
    u32 count;
    struct {
        u64 offset, vaddr, paddr, filesz, memsz;
    } segments[LOAD_SEGMENTS_MAX + 4];
};

static UNUSED void elf_header(u8 *file, const struct elf_spec *spec)
{
    struct elf32_header h32 = {.e_type = 2, .e_machine = spec->machine, .e_version = 1, .e_entry = (u32)spec->entry,
                               .e_phoff = sizeof(h32), .e_ehsize = sizeof(h32),
                               .e_phentsize = sizeof(struct elf32_segment), .e_phnum = (u16)spec->count};
    struct elf64_header h64 = {.e_type = 2, .e_machine = spec->machine, .e_version = 1, .e_entry = spec->entry,
                               .e_phoff = sizeof(h64), .e_ehsize = sizeof(h64),
                               .e_phentsize = sizeof(struct elf64_segment), .e_phnum = (u16)spec->count};

    memcpy(spec->elf64 ? h64.e_ident : h32.e_ident, "\177ELF\1\1\1", 7);
    h64.e_ident[ELF_ID_CLASS] = ELF_CLASS_64;
    memcpy(file, spec->elf64 ? (void *)&h64 : (void *)&h32, spec->elf64 ? sizeof(h64) : sizeof(h32));
}

/* Headers in front, bytes that name their own place behind. */
static UNUSED void elf_build(u8 *file, const struct elf_spec *spec)
{
    for (u32 i = 0; i < ELF_FILE_MAX; i++) {
        file[i] = (u8)(i ^ (i >> 8));
    }
    elf_header(file, spec);
    for (u32 i = 0; i < spec->count; i++) {
        struct elf32_segment p32 = {1, (u32)spec->segments[i].offset, (u32)spec->segments[i].vaddr,
                                    (u32)spec->segments[i].paddr, (u32)spec->segments[i].filesz,
                                    (u32)spec->segments[i].memsz, 7, 4096};
        struct elf64_segment p64 = {1, 7, spec->segments[i].offset, spec->segments[i].vaddr, spec->segments[i].paddr,
                                    spec->segments[i].filesz, spec->segments[i].memsz, 4096};
        if (spec->elf64) {
            memcpy(file + sizeof(struct elf64_header) + i * sizeof(p64), &p64, sizeof(p64));
        } else {
            memcpy(file + sizeof(struct elf32_header) + i * sizeof(p32), &p32, sizeof(p32));
        }
    }
}
