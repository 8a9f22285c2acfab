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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u8 *image = fuzz_copy(data, size);

    bool elf64 = size != 0 && (data[0] & 1) != 0;
    stamp(image, size, 0, elf64 ? "\177ELF\2\1" : "\177ELF\1\1", 6);
    if (size != 0 && (data[0] & 2) != 0) {
        tame(image, size, elf64);
    }
    int result = fuzz_load(image, size, MIB(4), VM_TYPE_ELF, ROLE_MODULE);
    free(image);
    return result;
}
