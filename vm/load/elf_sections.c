/* An ELF file's section headers for multiboot kernels: the table, and the contents that no segment brings along. */
#include "kernel/lib/string.h"
#include "vm/load/elf.h"
#include "vm/load/elf_format.h"

#define SECTION_ALIGN 16U

/* A section header of either class. */
struct section {
    u32 type;
    u64 addr, offset, size;
};

static struct section read_section(const struct elf_sections *sections, const u8 *at)
{
    struct elf32_section sec32;
    struct elf64_section sec64;

    if (sections->elf64) {
        memcpy(&sec64, at, sizeof(sec64));
        return (struct section){sec64.sh_type, sec64.sh_addr, sec64.sh_offset, sec64.sh_size};
    }
    memcpy(&sec32, at, sizeof(sec32));
    return (struct section){sec32.sh_type, sec32.sh_addr, sec32.sh_offset, sec32.sh_size};
}

static void write_address(const struct elf_sections *sections, u8 *at, u64 addr)
{
    u32 addr32 = (u32)addr;

    if (sections->elf64) {
        memcpy(at + offsetof(struct elf64_section, sh_addr), &addr, sizeof(addr));
    } else {
        memcpy(at + offsetof(struct elf32_section, sh_addr), &addr32, sizeof(addr32));
    }
}

/* Has the section bytes in the file that no segment loads? One whose bytes are missing is left alone: it is debugging
 * information at most. */
static bool needs_place(const struct image *image, const struct section *s)
{
    return s->addr == 0 && s->type != ELF_SECTION_NOBITS && s->size != 0 &&
           range_contains(0, image->size, s->offset, s->size);
}

static u64 bytes_to_place(const struct image *image, const struct elf_sections *sections, const u8 *table)
{
    u64 total = 0;

    for (u32 i = 0; i < sections->count; i++) {
        struct section s = read_section(sections, table + (size_t)i * sections->entsize);
        if (needs_place(image, &s)) {
            total += ALIGN_UP(s.size, SECTION_ALIGN);
        }
    }
    return total;
}

int elf_place_sections(const struct load_request *rq, const struct elf_sections *sections, struct load_space *space,
                       u8 *table)
{
    const struct image *image = &rq->images[0];
    u64 next;

    memcpy(table, image->data + sections->offset, (size_t)sections->count * sections->entsize);
    u64 total = bytes_to_place(image, sections, table);
    if (total == 0 || load_space_low(space, MIB(1), total, LOAD_PAGE, &next) != 0) {
        return 0;
    }
    for (u32 i = 0; i < sections->count; i++) {
        u8 *at = table + (size_t)i * sections->entsize;
        struct section s = read_section(sections, at);
        if (!needs_place(image, &s)) {
            continue;
        }
        int error = load_copy(rq, next, image->data + s.offset, s.size);
        if (error != 0) {
            return error;
        }
        write_address(sections, at, next);
        next += ALIGN_UP(s.size, SECTION_ALIGN);
    }
    return 0;
}
