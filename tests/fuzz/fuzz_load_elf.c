/* The ELF loader on arbitrary bytes. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/fuzz/load_fuzz.h"
#include "vm/load/elf_format.h"

/* Many inputs get a program header table in its usual place, or hardly any would get beyond it. */
static void tame(u8 *image, size_t size, bool elf64)
{
    const u64 phoff = elf64 ? sizeof(struct elf64_header) : sizeof(struct elf32_header);
    const u16 machine = elf64 ? 62 : 3, phentsize = elf64 ? sizeof(struct elf64_segment) : sizeof(struct elf32_segment);
    const u8 phnum[2] = {(u8)(1 + size % 4), 0};

    stamp(image, size, offsetof(struct elf64_header, e_machine), &machine, 2);
    stamp(image, size, elf64 ? offsetof(struct elf64_header, e_phoff) : offsetof(struct elf32_header, e_phoff), &phoff,
          elf64 ? 8 : 4);
    stamp(image, size, elf64 ? offsetof(struct elf64_header, e_phentsize) : offsetof(struct elf32_header, e_phentsize),
          &phentsize, 2);
    stamp(image, size, elf64 ? offsetof(struct elf64_header, e_phnum) : offsetof(struct elf32_header, e_phnum), phnum, 2);
}

/* And a section header table behind the file's header, with a symbol table and strings in it. */
static void tame_sections(u8 *image, size_t size, bool elf64)
{
    const u64 shoff = elf64 ? sizeof(struct elf64_header) : sizeof(struct elf32_header);
    const u16 shentsize = elf64 ? sizeof(struct elf64_section) : sizeof(struct elf32_section), shnum = 4;
    const u32 symtab = ELF_SECTION_SYMTAB, strtab = ELF_SECTION_STRTAB, link = 2;
    const u64 entsize = elf64 ? sizeof(struct elf64_symbol) : sizeof(struct elf32_symbol);

    stamp(image, size, elf64 ? offsetof(struct elf64_header, e_shoff) : offsetof(struct elf32_header, e_shoff), &shoff, elf64 ? 8 : 4);
    stamp(image, size, elf64 ? offsetof(struct elf64_header, e_shentsize) : offsetof(struct elf32_header, e_shentsize), &shentsize, 2);
    stamp(image, size, elf64 ? offsetof(struct elf64_header, e_shnum) : offsetof(struct elf32_header, e_shnum), &shnum, 2);
    stamp(image, size, shoff + shentsize + offsetof(struct elf32_section, sh_type), &symtab, 4);
    stamp(image, size, shoff + 2ULL * shentsize + offsetof(struct elf32_section, sh_type), &strtab, 4);
    stamp(image, size, shoff + shentsize + (elf64 ? offsetof(struct elf64_section, sh_link) : offsetof(struct elf32_section, sh_link)),
          &link, 4);
    stamp(image, size, shoff + shentsize + (elf64 ? offsetof(struct elf64_section, sh_entsize) : offsetof(struct elf32_section, sh_entsize)),
          &entsize, elf64 ? 8 : 4);
}

static void find_symbols(const u8 *image, size_t size, u64 address)
{
    const struct image file = {image, size};
    struct vm_symbol symbol;

    if (load_find_symbol(&file, address, &symbol) && strnlen(symbol.name, VM_SYMBOL_MAX) == VM_SYMBOL_MAX) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u8 *image = fuzz_copy(data, size);

    bool elf64 = size != 0 && (data[0] & 1) != 0;
    stamp(image, size, 0, elf64 ? "\177ELF\2\1" : "\177ELF\1\1", 6);
    if (size != 0 && (data[0] & 2) != 0) {
        tame(image, size, elf64);
    }
    if (size > 8 && (data[0] & 4) != 0) {
        u64 address;
        memcpy(&address, data + size - sizeof(address), sizeof(address));
        tame_sections(image, size, elf64);
        find_symbols(image, size, address);
        find_symbols(image, size, (u32)address);
    }
    int result = fuzz_load(image, size, MIB(4), VM_TYPE_ELF, ROLE_MODULE);
    free(image);
    return result;
}
