/* Names for addresses in ELF files: the right one, and none for every kind of nonsense. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/unit/load_host.h"
#include "vm/load/elf.h"
#include "vm/load/elf_format.h"

#define FILE_BYTES 1024U
#define SECTIONS_AT 64U
#define SYMBOLS_AT 0x200U
#define STRINGS_AT 0x300U
#define TEXT 0xFFFFFFFF80100000ULL

static const char strings[] = "\0start\0main\0label\0bad\"\n\x80name\0data";
enum { NAME_NONE = 0, NAME_START = 1, NAME_MAIN = 7, NAME_LABEL = 12, NAME_BAD = 18, NAME_DATA = 28 };

static struct elf64_header header;
static struct elf64_section sections[4];
static struct elf64_symbol symbols[7];
static struct vm_symbol got;

static int healthy(void **state)
{
    (void)state;
    memset(&header, 0, sizeof(header));
    memcpy(header.e_ident, "\177ELF\2\1\1", 7);
    header.e_shoff = SECTIONS_AT;
    header.e_shentsize = sizeof(sections[0]);
    header.e_shnum = ARRAY_SIZE(sections);
    memset(sections, 0, sizeof(sections));
    sections[1] = (struct elf64_section){.sh_type = 1, .sh_addr = TEXT, .sh_size = 0x1000};
    sections[2] = (struct elf64_section){.sh_type = ELF_SECTION_SYMTAB, .sh_offset = SYMBOLS_AT, .sh_size = sizeof(symbols), .sh_link = 3,
                                         .sh_entsize = sizeof(symbols[0])};
    sections[3] = (struct elf64_section){.sh_type = ELF_SECTION_STRTAB, .sh_offset = STRINGS_AT, .sh_size = sizeof(strings)};
    memset(symbols, 0, sizeof(symbols));
    symbols[1] = (struct elf64_symbol){NAME_START, ELF_SYMBOL_NOTYPE, 0, 1, TEXT, 0};
    symbols[2] = (struct elf64_symbol){NAME_MAIN, 0x10 | ELF_SYMBOL_FUNC, 0, 1, TEXT + 0x100, 0x40};
    symbols[3] = (struct elf64_symbol){NAME_LABEL, ELF_SYMBOL_NOTYPE, 0, 1, TEXT + 0x120, 0};
    symbols[4] = (struct elf64_symbol){NAME_DATA, 1, 0, 1, TEXT + 0x110, 0x100}; /* an object */
    symbols[5] = (struct elf64_symbol){NAME_BAD, 0x10 | ELF_SYMBOL_FUNC, 0, 1, TEXT + 0x800, 0x10};
    symbols[6] = (struct elf64_symbol){NAME_DATA, ELF_SYMBOL_FUNC, 0, 0, TEXT + 0x10, 0x10}; /* undefined */
    return 0;
}

/* From a buffer of exact size. */
static bool find(u64 address, size_t size)
{
    u8 file[FILE_BYTES] = {0};
    u8 *copy = malloc(size != 0 ? size : 1);
    const struct image image = {copy, size};

    memcpy(file, &header, sizeof(header));
    memcpy(file + SECTIONS_AT, sections, sizeof(sections));
    memcpy(file + SYMBOLS_AT, symbols, sizeof(symbols));
    memcpy(file + STRINGS_AT, strings, sizeof(strings));
    memcpy(copy, file, size);
    memset(&got, 0, sizeof(got));
    bool found = load_find_symbol(&image, address, &got);
    free(copy);
    return found;
}

static void is(u64 address, const char *name, u64 offset)
{
    assert_true(find(address, FILE_BYTES));
    assert_string_equal(got.name, name);
    assert_int_equal(got.offset, offset);
}

static void the_nearest_that_covers(void **state)
{
    (void)state;
    is(TEXT, "start", 0);
    is(TEXT + 0xFF, "start", 0xFF);
    is(TEXT + 0x100, "main", 0);
    is(TEXT + 0x11F, "main", 0x1F);
    is(TEXT + 0x125, "label", 5);
    is(TEXT + 0xFFF, "label", 0xFFF - 0x120);
    is(TEXT + 0x80F, "bad???name", 0xF); /* what would break the log's line */
    assert_false(find(TEXT + 0x1000, FILE_BYTES)); /* behind its section */
    assert_false(find(TEXT - 1, FILE_BYTES));
    symbols[1].st_value = symbols[2].st_value; /* of two at one place, that with a size */
    is(TEXT + 0x101, "main", 1);
}

static void nonsense_has_no_names(void **state)
{
    static const u64 evil[] = {0, 1, 7, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFFULL, 0x8000000000000000ULL};

    for (u32 i = 0; i < ARRAY_SIZE(evil); i++) {
        void *fields[] = {&sections[2].sh_offset, &sections[2].sh_size, &sections[2].sh_entsize, &sections[3].sh_offset,
                          &sections[3].sh_size, &sections[1].sh_addr, &sections[1].sh_size, &header.e_shoff, &symbols[2].st_value,
                          &symbols[2].st_size};
        for (u32 f = 0; f < ARRAY_SIZE(fields); f++) {
            healthy(state);
            memcpy(fields[f], &evil[i], sizeof(evil[i]));
            (void)find(TEXT + 0x105, FILE_BYTES);
            assert_true(strnlen(got.name, VM_SYMBOL_MAX) < VM_SYMBOL_MAX);
        }
        healthy(state);
        symbols[2].st_name = (u32)evil[i];
        symbols[2].st_shndx = (u16)evil[i];
        sections[2].sh_link = (u32)evil[i];
        (void)find(TEXT + 0x105, FILE_BYTES);
    }
    healthy(state);
    sections[2].sh_entsize = 0;
    assert_false(find(TEXT, FILE_BYTES));
    healthy(state);
    sections[2].sh_link = 1; /* no strings */
    assert_false(find(TEXT, FILE_BYTES));
    healthy(state);
    for (size_t size = 0; size < STRINGS_AT + sizeof(strings); size++) {
        assert_false(find(TEXT, size));
    }
}

static void elf32(void **state)
{
    const struct elf32_header h = {.e_ident = "\177ELF\1\1\1", .e_shoff = 52, .e_shentsize = 40, .e_shnum = 4};
    const struct elf32_section s[4] = {[1] = {.sh_type = 1, .sh_addr = 0x1000, .sh_size = 0x100},
                                       [2] = {.sh_type = 2, .sh_offset = 212, .sh_size = 32, .sh_link = 3, .sh_entsize = 16},
                                       [3] = {.sh_type = 3, .sh_offset = 244, .sh_size = sizeof(strings)}};
    const struct elf32_symbol y[2] = {[1] = {NAME_MAIN, 0x1000, 0x20, ELF_SYMBOL_FUNC, 0, 1}};
    u8 file[244 + sizeof(strings)];
    const struct image image = {file, sizeof(file)};

    (void)state;
    memcpy(file, &h, sizeof(h));
    memcpy(file + 52, s, sizeof(s));
    memcpy(file + 212, y, sizeof(y));
    memcpy(file + 244, strings, sizeof(strings));
    assert_true(load_find_symbol(&image, 0x101F, &got));
    assert_string_equal(got.name, "main");
    assert_int_equal(got.offset, 0x1F);
    assert_false(load_find_symbol(&image, 0x1020, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_nearest_that_covers, healthy),
        cmocka_unit_test_setup(nonsense_has_no_names, healthy),
        cmocka_unit_test(elf32),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
