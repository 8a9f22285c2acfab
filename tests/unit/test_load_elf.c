/* ELF files, flat images, placement: what reaches guest memory, and every refusal. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/unit/load_host.h"
#include "tests/unit/elf_build.h"
#include "vm/load/elf.h"
#include "vm/load/x86_64/loaders.h"

static u8 file[ELF_FILE_MAX];
static struct load_plan plan;
static char why[LOAD_WHY_MAX];

/* Parse from a buffer of exact size, so that a read behind the end is seen. */
static int parse(u64 size)
{
    u8 *copy = malloc(size != 0 ? size : 1);
    struct image image = {copy, size};

    memcpy(copy, file, size);
    int error = elf_parse(&image, &plan, why);
    free(copy);
    return error;
}

static struct elf_spec spec32(void)
{
    return (struct elf_spec){.machine = 3, .entry = 0x100010, .count = 2,
                             .segments = {{ELF_CODE_OFFSET, 0x100000, 0x100000, 0x100, 0x100},
                                          {0x500, 0x101000, 0x101000, 0x80, 0x2000}}};
}

static void expect(const struct elf_spec *spec, u64 size, int error, const char *text)
{
    elf_build(file, spec);
    int got = parse(size);
    if (got != error || strstr(why, text) == NULL) {
        fail_msg("got %d '%s', expected %d '%s'", got, why, error, text);
    }
}

static void test_elf32_and_64(void **state)
{
    struct elf_spec spec = spec32();

    (void)state;
    for (u32 i = 0; i < 2; i++) {
        spec.elf64 = i == 1;
        spec.machine = spec.elf64 ? 62 : 3;
        elf_build(file, &spec);
        assert_int_equal(parse(ELF_FILE_MAX), 0);
        assert_int_equal(plan.count, 2);
        assert_int_equal(plan.segments[1].offset, 0x500);
        assert_int_equal(plan.segments[1].size_file, 0x80);
        assert_int_equal(plan.segments[1].gpa, 0x101000);
        assert_int_equal(plan.segments[1].size_mem, 0x2000);
        assert_int_equal(plan.entry, 0x100010);
        assert_int_equal(plan.machine, spec.machine);
        assert_int_equal(plan.elf64, spec.elf64);
    }
}

static void test_entry_virtual_and_physical(void **state)
{
    struct elf_spec spec = spec32();

    (void)state;
    spec.segments[0].vaddr = 0xC0100000;
    spec.entry = 0xC0100020;
    elf_build(file, &spec);
    assert_int_equal(parse(ELF_FILE_MAX), 0);
    assert_int_equal(plan.entry, 0x100020);
    spec.entry = 0x100020;
    elf_build(file, &spec);
    assert_int_equal(parse(ELF_FILE_MAX), 0);
    assert_int_equal(plan.entry, 0x100020);
}

static void test_elf_refusals(void **state)
{
    struct elf_spec spec = spec32();

    (void)state;
    expect(&spec, 3, -E_FORMAT, "no ELF file");
    expect(&spec, 51, -E_FORMAT, "no ELF file");
    expect(&spec, 60, -E_TRUNC, "ELF file is truncated: 2 program headers at 0x34, module has 60 bytes");
    expect(&spec, 0x57F, -E_TRUNC, "ELF file is truncated: segment 1 has 128 bytes at 0x500, module has 1407");
    spec.count = 0;
    expect(&spec, ELF_FILE_MAX, -E_FORMAT, "without program headers");
    spec = spec32();
    spec.segments[1].paddr = 0x100080;
    expect(&spec, ELF_FILE_MAX, -E_OVERLAP, "segment 1 [0x100080,0x102080) overlaps an earlier one at 0x100000");
    spec = spec32();
    spec.segments[1].memsz = 0x7F;
    expect(&spec, ELF_FILE_MAX, -E_FORMAT, "segment 1 has 128 bytes in the file but 127 in memory");
    spec = spec32();
    spec.entry = 0x104000;
    expect(&spec, ELF_FILE_MAX, -E_FORMAT, "entry 0x104000 is in no segment");
    spec = spec32();
    spec.segments[0].memsz = spec.segments[0].filesz = 0;
    spec.segments[1].memsz = spec.segments[1].filesz = 0;
    expect(&spec, ELF_FILE_MAX, -E_FORMAT, "without a segment to load");
    spec = spec32();
    spec.elf64 = true;
    expect(&spec, 60, -E_FORMAT, "no ELF file");
    spec.segments[1].paddr = ~0ULL - 0x1000;
    expect(&spec, ELF_FILE_MAX, -E_RANGE, "segment 1 at 0xffffffffffffefff wraps");
    spec.segments[1].offset = ~0ULL - 16;
    expect(&spec, ELF_FILE_MAX, -E_TRUNC, "segment 1");
    spec = spec32();
    spec.count = LOAD_SEGMENTS_MAX + 1;
    for (u32 i = 0; i < spec.count; i++) {
        spec.segments[i].paddr = spec.segments[i].vaddr = 0x100000 + i * 0x1000;
        spec.segments[i].memsz = 0x1000;
    }
    expect(&spec, ELF_FILE_MAX, -E_RANGE, "more than 16 segments");
    spec = spec32();
    elf_build(file, &spec);
    file[42] = 31; /* e_phentsize */
    assert_int_equal(parse(ELF_FILE_MAX), -E_FORMAT);
    assert_non_null(strstr(why, "program headers of 31 bytes, not 32"));
    elf_build(file, &spec);
    file[ELF_ID_DATA] = 2;
    assert_int_equal(parse(ELF_FILE_MAX), -E_FORMAT);
}

static void test_memory_map(void **state)
{
    struct load_map_entry map[8];

    (void)state;
    assert_int_equal(load_memory_map(MIB(64), map), 4);
    assert_int_equal(map[3].base, MIB(1));
    assert_int_equal(map[3].len, MIB(63));
    assert_int_equal(load_memory_map(MIB(1), map), 3);
    assert_int_equal(load_memory_map(GIB(3), map), 4);
    assert_int_equal(load_memory_map(GIB(5), map), 5);
    assert_int_equal(map[3].len, GIB(3) - MIB(1));
    assert_int_equal(map[4].base, GIB(4));
    assert_int_equal(map[4].len, GIB(2));
    assert_true(map[4].ram);
}

static void test_space(void **state)
{
    struct load_space space;
    u64 at;

    (void)state;
    load_space_init(&space, MIB(4));
    assert_int_equal(load_space_low(&space, 0, 16, 16, &at), 0);
    assert_int_equal(at, 0);
    assert_int_equal(load_space_low(&space, 0, 16, 4096, &at), 0);
    assert_int_equal(at, 4096);
    assert_int_equal(load_space_low(&space, 0x9F000, 0x1000, 4096, &at), 0);
    assert_int_equal(at, MIB(1));
    assert_int_equal(load_space_high(&space, GIB(4), MIB(1), 4096, &at), 0);
    assert_int_equal(at, MIB(3));
    assert_int_equal(load_space_high(&space, GIB(4), MIB(1) + 1, 4096, &at), 0);
    assert_int_equal(at, MIB(2) - 4096);
    assert_int_equal(load_space_high(&space, GIB(4), MIB(1), 4096, &at), -E_NOMEM);
    assert_int_equal(load_space_low(&space, MIB(1), MIB(1), 4096, &at), -E_NOMEM);
    assert_int_equal(load_space_high(&space, GIB(4), ~0ULL, 4096, &at), -E_NOMEM);
    assert_int_equal(load_space_low(&space, 0, ~0ULL, 4096, &at), -E_NOMEM);
    while (space.count < LOAD_RANGES_MAX) {
        assert_int_equal(load_space_take(&space, 0, 0), 0);
    }
    assert_int_equal(load_space_take(&space, 0, 0), -E_NOMEM);
    assert_int_equal(load_space_low(&space, 0, 1, 1, &at), -E_NOMEM);
}

static void refuse(int error, const char *text)
{
    int got;

    assert_null(fake_load(&got));
    if (got != error || strstr(fake_why, text) == NULL) {
        fail_msg("got %d '%s', expected %d '%s'", got, fake_why, error, text);
    }
}

static void use_elf(struct elf_spec *spec)
{
    fake_vm(MIB(4));
    elf_build(file, spec);
    fake_module(ROLE_KERNEL, file, ELF_FILE_MAX, "");
}

static void test_plain_elf_is_placed(void **state)
{
    struct elf_spec spec = spec32();
    int error;

    (void)state;
    use_elf(&spec);
    memset(ram + 0x101000, 0xEE, 0x2000);
    assert_string_equal(fake_load(&error), "elf");
    assert_memory_equal(ram + 0x100000, file + ELF_CODE_OFFSET, 0x100);
    assert_memory_equal(ram + 0x101000, file + 0x500, 0x80);
    for (u32 i = 0x101080; i < 0x103000; i++) {
        assert_int_equal(ram[i], 0);
    }
    assert_int_equal(fake_entry.mode, X86_ENTRY_PROT);
    assert_int_equal(fake_entry.rip, 0x100010);
    assert_int_equal(fake_entry.gdt_limit, 31);
    assert_true(fake_entry.rsp >= LOAD_DATA_FLOOR + 0x1000 && fake_entry.rsp < 0x9F000 && fake_entry.rsp % 16 == 0);
    assert_true(fake_entry.rsp - 0x1000 >= fake_entry.gdt_base + 32 || fake_entry.rsp <= fake_entry.gdt_base);
    u64 gdt[4];
    memcpy(gdt, ram + fake_entry.gdt_base, sizeof(gdt));
    assert_int_equal(gdt[fake_entry.cs_sel / 8], 0x00CF9B000000FFFFULL);
    assert_int_equal(gdt[fake_entry.ds_sel / 8], 0x00CF93000000FFFFULL);
}

static u64 read64(u64 gpa)
{
    u64 value;

    memcpy(&value, ram + gpa, sizeof(value));
    return value;
}

static void test_long_mode_tables(void **state)
{
    struct elf_spec spec = spec32();
    int error;

    (void)state;
    spec.elf64 = true;
    spec.machine = 62;
    use_elf(&spec);
    memset(ram + LOAD_DATA_FLOOR, 0xEE, 0x8000);
    assert_string_equal(fake_load(&error), "elf");
    assert_int_equal(fake_entry.mode, X86_ENTRY_LONG);
    assert_int_equal(read64(fake_entry.gdt_base + 16), 0x00AF9B000000FFFFULL);
    for (u64 va = 0; va < GIB(5); va += MIB(2)) {
        assert_int_equal(read64(fake_entry.cr3) & 0xFFF, 3);
        u64 pdpte = read64((read64(fake_entry.cr3) & ~0xFFFULL) + 8 * (va >> 30));
        if (va >= GIB(4)) {
            assert_int_equal(pdpte, 0);
            continue;
        }
        assert_int_equal(read64((pdpte & ~0xFFFULL) + 8 * ((va >> 21) & 511)), va | 0x83);
    }
    assert_int_equal(read64(fake_entry.cr3 + 8), 0);
}

static void test_keys_choose_mode_and_entry(void **state)
{
    struct elf_spec spec = spec32();
    int error;

    (void)state;
    use_elf(&spec);
    fake_config.mode = VM_MODE_LONG;
    fake_config.has_entry = true;
    fake_config.entry = 0x100040;
    assert_string_equal(fake_load(&error), "elf");
    assert_int_equal(fake_entry.mode, X86_ENTRY_LONG);
    assert_int_equal(fake_entry.rip, 0x100040);
}

static void test_elf_bad_input(void **state)
{
    struct elf_spec spec = spec32();

    (void)state;
    spec.segments[1].memsz = MIB(3);
    use_elf(&spec);
    refuse(-E_FAULT, "segment 1 [0x101000,0x401000) lies outside the VM's 4M of memory");
    spec = spec32();
    spec.segments[1].paddr = 0x9F000;
    use_elf(&spec);
    refuse(-E_FAULT, "segment 1 [0x9f000,0xa1000) lies outside the VM's 4M of memory");
    spec = spec32();
    spec.machine = 40;
    use_elf(&spec);
    refuse(-E_FORMAT, "ELF file for another machine (e_machine 40)");
    spec = spec32();
    use_elf(&spec);
    fake_config.has_load = true;
    refuse(-E_INVAL, "load= is for type=flat, this image is elf");
    use_elf(&spec);
    fake_config.type = VM_TYPE_LINUX;
    refuse(-E_FORMAT, "no Linux bzImage");
    use_elf(&spec);
    fake_config.type = VM_TYPE_MB1;
    refuse(-E_FORMAT, "no multiboot header");
    use_elf(&spec);
    fake_config.type = VM_TYPE_MB2;
    refuse(-E_FORMAT, "no multiboot2 header");
    fake_vm(MIB(4));
    fake_module(ROLE_KERNEL, "", 0, "");
    refuse(-E_FORMAT, "the kernel module is empty");
    fake_vm(MIB(4));
    fake_module(ROLE_KERNEL, "hello", 5, "");
    refuse(-E_FORMAT, "the module is no kernel");
}

static void test_place_checks_again(void **state)
{
    struct load_request rq;

    (void)state;
    fake_vm(MIB(4));
    fake_module(ROLE_KERNEL, file, 100, "");
    rq = fake_request();
    memset(&plan, 0, sizeof(plan));
    plan.count = 2;
    plan.segments[0] = (struct load_segment){0, 100, MIB(1), 100};
    plan.segments[1] = (struct load_segment){0, 10, MIB(1) + 99, 10};
    assert_int_equal(load_place(&rq, &fake_images[0], &plan), -E_OVERLAP);
    assert_string_equal(fake_why, "segments 0 and 1 overlap at 0x100063");
    plan.segments[1].gpa++;
    plan.segments[1].offset = 91;
    assert_int_equal(load_place(&rq, &fake_images[0], &plan), -E_TRUNC);
    plan.segments[1].offset = 90;
    assert_int_equal(load_place(&rq, &fake_images[0], &plan), 0);
}

static void use_flat(u64 size, enum vm_mode mode)
{
    fake_vm(MIB(4));
    fake_config.type = VM_TYPE_FLAT;
    fake_config.mode = mode;
    fake_module(ROLE_KERNEL, file, size, "");
}

static void test_flat(void **state)
{
    int error;

    (void)state;
    use_flat(100, VM_MODE_REAL);
    assert_string_equal(fake_load(&error), "flat");
    assert_memory_equal(ram + 0x7C00, file, 100);
    assert_int_equal(fake_entry.mode, X86_ENTRY_REAL);
    assert_int_equal(fake_entry.real_cs, 0);
    assert_int_equal(fake_entry.rip, 0x7C00);
    assert_int_equal(fake_entry.rsp, 0x7C00);
    assert_memory_equal(ram + 0x40E, "\xC0\x9F", 2);
    assert_memory_equal(ram + 0x413, "\x7F\x02", 2);
    assert_int_equal(ram[0x9FC00], 1);
    use_flat(0x2000, VM_MODE_REAL);
    fake_config.has_load = fake_config.has_entry = true;
    fake_config.load = 0x20000;
    fake_config.entry = 0x21234;
    assert_string_equal(fake_load(&error), "flat");
    assert_int_equal(fake_entry.real_cs, 0x2123);
    assert_int_equal(fake_entry.rip, 4);
    use_flat(100, VM_MODE_PROT);
    assert_string_equal(fake_load(&error), "flat");
    assert_int_equal(fake_entry.rip, MIB(1));
    assert_int_equal(fake_entry.mode, X86_ENTRY_PROT);
    use_flat(100, VM_MODE_LONG);
    assert_string_equal(fake_load(&error), "flat");
    assert_int_equal(fake_entry.mode, X86_ENTRY_LONG);
    /* The loader's own tables keep off an image that lies where they would go. */
    use_flat(0x2000, VM_MODE_LONG);
    fake_config.has_load = true;
    fake_config.load = LOAD_DATA_FLOOR + 0x1000;
    assert_string_equal(fake_load(&error), "flat");
    assert_memory_equal(ram + LOAD_DATA_FLOOR + 0x1000, file, 0x2000);
    assert_int_equal(fake_entry.cr3, LOAD_DATA_FLOOR + 0x3000);
    assert_int_equal(fake_entry.gdt_base, LOAD_DATA_FLOOR);
}

/* An image over the BIOS data area wins. */
static void test_flat_over_bios_data(void **state)
{
    int error;

    (void)state;
    use_flat(0x800, VM_MODE_REAL);
    fake_config.has_load = true;
    assert_string_equal(fake_load(&error), "flat");
    assert_memory_equal(ram, file, 0x800);
    assert_int_equal(fake_entry.rsp, 0);
}

static void test_flat_bad_input(void **state)
{
    (void)state;
    use_flat(100, VM_MODE_REAL);
    fake_config.has_load = true;
    fake_config.load = MIB(4);
    refuse(-E_FAULT, "segment 0 [0x400000,0x400064) lies outside the VM's 4M of memory");
    fake_config.load = ~0ULL - 10;
    refuse(-E_RANGE, "load address 0xfffffffffffffff5 is out of range");
    fake_config.load = MIB(2);
    refuse(-E_RANGE, "entry 0x200000 is out of reach in real mode");
    fake_config.has_entry = true;
    fake_config.entry = MIB(2) + 100;
    refuse(-E_RANGE, "entry 0x200064 lies outside the image [0x200000,0x200064)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elf32_and_64),
        cmocka_unit_test(test_entry_virtual_and_physical),
        cmocka_unit_test(test_elf_refusals),
        cmocka_unit_test(test_memory_map),
        cmocka_unit_test(test_space),
        cmocka_unit_test(test_plain_elf_is_placed),
        cmocka_unit_test(test_long_mode_tables),
        cmocka_unit_test(test_keys_choose_mode_and_entry),
        cmocka_unit_test(test_elf_bad_input),
        cmocka_unit_test(test_place_checks_again),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_flat_over_bios_data),
        cmocka_unit_test(test_flat_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
