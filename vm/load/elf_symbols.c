/* Names in an ELF file's .symtab for addresses in its code. A file is hostile: every number is checked before it is used, and no
 * more than SYMBOLS_MAX symbols are looked at. */
#include "kernel/lib/string.h"
#include "vm/load/elf.h"
#include "vm/load/elf_format.h"

#define SYMBOLS_MAX 0x40000U

struct section {
    u64 addr, offset, size, entsize;
    u32 type, link;
};

struct symbol {
    u64 value, size;
    u32 name;
    u32 section;
    u8 type;
};

struct table {
    const struct image *image;
    struct elf_sections sections;
    struct section symbols, strings;
};

#define SECTION_FIELDS(s)                                                                                              \
    .addr = (s).sh_addr, .offset = (s).sh_offset, .size = (s).sh_size, .entsize = (s).sh_entsize, .type = (s).sh_type, \
    .link = (s).sh_link

/* elf_find_sections() has checked that the table lies inside the file. */
static bool read_section(const struct table *t, u32 index, struct section *out)
{
    struct elf32_section sec32;
    struct elf64_section sec64;

    if (index >= t->sections.count) {
        return false;
    }
    const u8 *at = t->image->data + t->sections.offset + (u64)index * t->sections.entsize;
    if (t->sections.elf64) {
        memcpy(&sec64, at, sizeof(sec64));
        *out = (struct section){SECTION_FIELDS(sec64)};
    } else {
        memcpy(&sec32, at, sizeof(sec32));
        *out = (struct section){SECTION_FIELDS(sec32)};
    }
    return true;
}

static bool in_file(const struct table *t, const struct section *s)
{
    return s->type != ELF_SECTION_NOBITS && range_contains(0, t->image->size, s->offset, s->size);
}

static bool find_tables(struct table *t)
{
    u64 wanted = t->sections.elf64 ? sizeof(struct elf64_symbol) : sizeof(struct elf32_symbol);

    for (u32 i = 0; i < t->sections.count; i++) {
        if (read_section(t, i, &t->symbols) && t->symbols.type == ELF_SECTION_SYMTAB) {
            return t->symbols.entsize == wanted && in_file(t, &t->symbols) &&
                   read_section(t, t->symbols.link, &t->strings) && t->strings.type == ELF_SECTION_STRTAB &&
                   in_file(t, &t->strings);
        }
    }
    return false;
}

#define SYMBOL_FIELDS(s)                                                                                               \
    .value = (s).st_value, .size = (s).st_size, .name = (s).st_name, .section = (s).st_shndx,                          \
    .type = (s).st_info & ELF_SYMBOL_TYPE

/* in_file() has checked the table, and the index lies in it. */
static struct symbol read_symbol(const struct table *t, u64 index)
{
    const u8 *at = t->image->data + t->symbols.offset + index * t->symbols.entsize;
    struct elf32_symbol sym32;
    struct elf64_symbol sym64;

    if (t->sections.elf64) {
        memcpy(&sym64, at, sizeof(sym64));
        return (struct symbol){SYMBOL_FIELDS(sym64)};
    }
    memcpy(&sym32, at, sizeof(sym32));
    return (struct symbol){SYMBOL_FIELDS(sym32)};
}

/* A function, or a label of an assembler's, which reaches to the end of its section. */
static bool covers(const struct table *t, const struct symbol *s, u64 address)
{
    struct section section;

    if ((s->type != ELF_SYMBOL_NOTYPE && s->type != ELF_SYMBOL_FUNC) || s->section == 0 || s->value > address ||
        s->name >= t->strings.size || t->image->data[t->strings.offset + s->name] == '\0' ||
        !read_section(t, s->section, &section)) {
        return false;
    }
    return s->size != 0 ? address - s->value < s->size : range_contains(section.addr, section.size, address, 1);
}

/* What would break a line of the log, or end its quotes, becomes '?'. */
static void copy_name(const struct table *t, u32 name, char to[VM_SYMBOL_MAX])
{
    u64 left = t->strings.size - name;
    const u8 *from = t->image->data + t->strings.offset + name;
    u32 len = 0;

    for (; len < VM_SYMBOL_MAX - 1 && len < left && from[len] != '\0'; len++) {
        to[len] = from[len] > ' ' && from[len] <= '~' && from[len] != '"' ? (char)from[len] : '?';
    }
    to[len] = '\0';
}

bool load_find_symbol(const struct image *image, u64 address, struct vm_symbol *out)
{
    struct table t = {.image = image};
    struct symbol best = {.value = 0};
    bool found = false;

    if (!elf_find_sections(image, &t.sections) || !find_tables(&t)) {
        return false;
    }
    u64 count = MIN(t.symbols.size / t.symbols.entsize, (u64)SYMBOLS_MAX);
    for (u64 i = 0; i < count; i++) {
        struct symbol s = read_symbol(&t, i);
        if (covers(&t, &s, address) && (!found || s.value > best.value || (s.value == best.value && s.size > best.size))) {
            best = s;
            found = true;
        }
    }
    if (found) {
        copy_name(&t, best.name, out->name);
        out->offset = address - best.value;
    }
    return found;
}
