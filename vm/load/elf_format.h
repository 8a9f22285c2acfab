/* ELF structures (System V ABI, chapter 4 "Object Files", ELF-64 Object File Format 1.5). Names as in the manuals. */
#pragma once
#include "kernel/lib/types.h"

#define ELF_MAGIC "\177ELF"
#define ELF_MAGIC_LEN 4U
#define ELF_ID_CLASS 4U
#define ELF_ID_DATA 5U
#define ELF_CLASS_32 1U
#define ELF_CLASS_64 2U
#define ELF_DATA_LSB 1U
#define ELF_SEGMENT_LOAD 1U
#define ELF_SECTION_SYMTAB 2U
#define ELF_SECTION_STRTAB 3U
#define ELF_SECTION_NOBITS 8U
#define ELF_SYMBOL_TYPE GENMASK(3, 0) /* of st_info */
#define ELF_SYMBOL_NOTYPE 0U
#define ELF_SYMBOL_FUNC 2U

struct elf32_header {
    u8 e_ident[16];
    u16 e_type, e_machine;
    u32 e_version, e_entry, e_phoff, e_shoff, e_flags;
    u16 e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx;
} PACKED;
_Static_assert(sizeof(struct elf32_header) == 52, "ELF32 header");
_Static_assert(offsetof(struct elf32_header, e_phnum) == 44, "ELF32 e_phnum");

struct elf64_header {
    u8 e_ident[16];
    u16 e_type, e_machine;
    u32 e_version;
    u64 e_entry, e_phoff, e_shoff;
    u32 e_flags;
    u16 e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx;
} PACKED;
_Static_assert(sizeof(struct elf64_header) == 64, "ELF64 header");
_Static_assert(offsetof(struct elf64_header, e_phnum) == 56, "ELF64 e_phnum");

struct elf32_segment {
    u32 p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_flags, p_align;
} PACKED;
_Static_assert(sizeof(struct elf32_segment) == 32, "ELF32 program header");

struct elf64_segment {
    u32 p_type, p_flags;
    u64 p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align;
} PACKED;
_Static_assert(sizeof(struct elf64_segment) == 56, "ELF64 program header");

struct elf32_section {
    u32 sh_name, sh_type, sh_flags, sh_addr, sh_offset, sh_size, sh_link, sh_info, sh_addralign, sh_entsize;
} PACKED;
_Static_assert(sizeof(struct elf32_section) == 40, "ELF32 section header");

struct elf64_section {
    u32 sh_name, sh_type;
    u64 sh_flags, sh_addr, sh_offset, sh_size;
    u32 sh_link, sh_info;
    u64 sh_addralign, sh_entsize;
} PACKED;
_Static_assert(sizeof(struct elf64_section) == 64, "ELF64 section header");

struct elf32_symbol {
    u32 st_name, st_value, st_size;
    u8 st_info, st_other;
    u16 st_shndx;
} PACKED;
_Static_assert(sizeof(struct elf32_symbol) == 16, "ELF32 symbol");

struct elf64_symbol {
    u32 st_name;
    u8 st_info, st_other;
    u16 st_shndx;
    u64 st_value, st_size;
} PACKED;
_Static_assert(sizeof(struct elf64_symbol) == 24, "ELF64 symbol");
