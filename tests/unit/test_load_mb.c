/* Multiboot 1 and 2 kernels in all shapes: placement, registers, the information block line by line, every refusal. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/unit/load_host.h"
#include "tests/unit/elf_build.h"
#include "vm/load/x86_64/loaders.h"
#include "vm/load/x86_64/multiboot_abi.h"

#define MB1_AT 0x400U /* where the tests put the header: start of the code */
#define RAM MIB(4)

static u8 file[ELF_FILE_MAX];
static u8 module_bytes[5000];

static void refuse(int error, const char *text)
{
    int got;

    assert_null(fake_load(&got));
    if (got != error || strstr(fake_why, text) == NULL) {
        fail_msg("got %d '%s', expected %d '%s'", got, fake_why, error, text);
    }
}

static u32 read32(u64 gpa)
{
    u32 value;

    memcpy(&value, ram + gpa, sizeof(value));
    return value;
}

static void build_elf(bool elf64)
{
    struct elf_spec spec = {.elf64 = elf64, .machine = elf64 ? 62 : 3, .entry = 0x100040, .count = 2,
                            .segments = {{ELF_CODE_OFFSET, 0x100000, 0x100000, 0x100, 0x100},
                                         {0x500, 0x101000, 0x101000, 0x80, 0x2000}}};
    elf_build(file, &spec);
}

static void put_mb1(u32 flags, const struct mb1_header_addresses *addresses)
{
    struct mb1_header header = {MB1_HEADER_MAGIC, flags, 0U - MB1_HEADER_MAGIC - flags};

    memcpy(file + MB1_AT, &header, sizeof(header));
    if (addresses != NULL) {
        memcpy(file + MB1_AT + sizeof(header), addresses, sizeof(*addresses));
    }
}

/* A header with the given tags, closed by an end tag. */
static void put_mb2(const u32 *tags, u32 bytes)
{
    const u32 end[2] = {0, 8};
    struct mb2_header header = {MB2_HEADER_MAGIC, 0, (u32)sizeof(header) + bytes + 8, 0};

    header.checksum = 0U - header.magic - header.architecture - header.header_length;
    memcpy(file + MB1_AT, &header, sizeof(header));
    memcpy(file + MB1_AT + sizeof(header), tags, bytes);
    memcpy(file + MB1_AT + sizeof(header) + bytes, end, sizeof(end));
}

static void use(const char *cmdline)
{
    fake_vm(RAM);
    fake_module(ROLE_KERNEL, file, ELF_FILE_MAX, cmdline);
}

static void add_modules(void)
{
    memset(module_bytes, 0xC3, sizeof(module_bytes));
    fake_module(ROLE_MODULE, module_bytes, sizeof(module_bytes), "first one");
    fake_module(ROLE_INITRD, module_bytes, 10, "");
    fake_module(ROLE_MODULE, module_bytes, 0, "empty");
}

static void check_mb1_info(void)
{
    struct mb1_info info;
    struct mb1_module mods[3];
    struct mb1_mmap map[4];

    memcpy(&info, ram + fake_entry.gpr[X86_RBX], sizeof(info));
    assert_int_equal(info.flags & ~MB1_INFO_ELF_SHDR, 0x24D);
    assert_int_equal(info.mem_lower, 639);
    assert_int_equal(info.mem_upper, 3072);
    assert_string_equal((char *)ram + info.cmdline, "one two");
    assert_string_equal((char *)ram + info.boot_loader_name, "Mote");
    assert_int_equal(info.mods_count, 3);
    memcpy(mods, ram + info.mods_addr, sizeof(mods));
    assert_int_equal(mods[0].mod_start % 4096, 0);
    assert_true(mods[0].mod_start >= 0x102000);
    assert_int_equal(mods[0].mod_end - mods[0].mod_start, sizeof(module_bytes));
    assert_memory_equal(ram + mods[0].mod_start, module_bytes, sizeof(module_bytes));
    assert_string_equal((char *)ram + mods[0].string, "first one");
    assert_true(mods[1].mod_start >= mods[0].mod_end);
    assert_int_equal(mods[1].mod_end - mods[1].mod_start, 10);
    assert_int_equal(mods[2].mod_end - mods[2].mod_start, 0);
    assert_string_equal((char *)ram + mods[2].string, "empty");
    assert_int_equal(info.mmap_length, sizeof(map));
    memcpy(map, ram + info.mmap_addr, sizeof(map));
    assert_int_equal(map[0].size, 20);
    assert_int_equal(map[0].len, 0x9FC00);
    assert_int_equal(map[1].type, 2);
    assert_int_equal(map[3].addr, MIB(1));
    assert_int_equal(map[3].len, MIB(3));
    assert_int_equal(map[3].type, 1);
}

static void check_mb_entry(u32 magic, u64 rip)
{
    assert_int_equal(fake_entry.mode, X86_ENTRY_PROT);
    assert_int_equal(fake_entry.gpr[X86_RAX], magic);
    assert_int_equal(fake_entry.rip, rip);
}

static void load_mb1(u64 rip)
{
    int error;

    use("one two");
    add_modules();
    const char *name = fake_load(&error);
    if (name == NULL) {
        fail_msg("%s", fake_why);
    }
    assert_string_equal(name, "mb1");
    check_mb_entry(MB1_BOOT_MAGIC, rip);
    assert_memory_equal(ram + 0x100000, file + MB1_AT, 0x100);
    check_mb1_info();
}

static void test_mb1_four_shapes(void **state)
{
    struct mb1_header_addresses a = {0x100000, 0x100000, 0, 0, 0x100020};

    (void)state;
    build_elf(false);
    put_mb1(3, NULL);
    load_mb1(0x100040);
    build_elf(false);
    put_mb1(0, NULL);
    load_mb1(0x100040);
    build_elf(true);
    put_mb1(3, NULL);
    load_mb1(0x100040);
    for (u32 elf = 0; elf < 3; elf++) {
        build_elf(elf == 1);
        if (elf == 2) {
            memset(file, 0x90, 64);
        }
        a.load_end_addr = 0x100180;
        a.bss_end_addr = 0x103000;
        put_mb1(0x10003, &a);
        load_mb1(0x100020);
        assert_memory_equal(ram + 0x100000, file + MB1_AT, 0x180);
        assert_int_equal(ram[0x100180], 0);
        a.load_end_addr = a.bss_end_addr = 0;
        put_mb1(0x10000, &a);
        load_mb1(0x100020);
        assert_memory_equal(ram + 0x100000, file + MB1_AT, ELF_FILE_MAX - MB1_AT);
    }
}

static void test_mb1_bytes_before_header(void **state)
{
    struct mb1_header_addresses a = {0x100010, 0x100000, 0x100100, 0, 0x100000};
    int error;

    (void)state;
    build_elf(false);
    put_mb1(0x10000, &a);
    use("");
    assert_string_equal(fake_load(&error), "mb1");
    assert_memory_equal(ram + 0x100000, file + MB1_AT - 0x10, 0x100);
}

static void test_mb1_refusals(void **state)
{
    const struct mb1_header_addresses good = {0x100000, 0x100000, 0x100100, 0x100200, 0x100000};
    struct mb1_header_addresses a = good;

    (void)state;
    build_elf(false);
    put_mb1(8, NULL);
    use("");
    refuse(-E_FORMAT, "multiboot header requires unknown features (flags 0x8)");
    a.load_addr = 0x100001;
    put_mb1(0x10000, &a);
    refuse(-E_FORMAT, "load_addr 0x100001 does not fit header_addr 0x100000");
    a.load_addr = 0x100000 - MB1_AT - 1;
    put_mb1(0x10000, &a);
    refuse(-E_FORMAT, "does not fit");
    a = good;
    a.load_end_addr = 0x100000;
    put_mb1(0x10000, &a);
    refuse(-E_FORMAT, "load_end_addr 0x100000 is not above");
    a.load_end_addr = 0x110000;
    put_mb1(0x10000, &a);
    refuse(-E_TRUNC, "multiboot kernel is truncated: header says 66560 bytes, module has 8192");
    a = good;
    a.bss_end_addr = 0x1000FF;
    put_mb1(0x10000, &a);
    refuse(-E_FORMAT, "bss_end_addr 0x1000ff lies below the end of the data 0x100100");
    a = good;
    a.entry_addr = 0x100200;
    put_mb1(0x10000, &a);
    refuse(-E_FORMAT, "entry 0x100200 lies outside the kernel [0x100000,0x100200)");
    a = good;
    a.bss_end_addr = 0xFFFFFFFF;
    put_mb1(0x10000, &a);
    refuse(-E_FAULT, "segment 0 [0x100000,0xffffffff) lies outside the VM's 4M");
    put_mb1(0x10000, &good);
    fake_images[0].size = MB1_AT + 31;
    refuse(-E_TRUNC, "multiboot header is truncated");
    memset(file, 0, 64);
    put_mb1(0, NULL);
    use("");
    refuse(-E_FORMAT, "no ELF file");
    build_elf(false);
    put_mb1(0, NULL);
    file[18] = 40;
    use("");
    refuse(-E_FORMAT, "another machine (e_machine 40)");
    build_elf(false);
    put_mb1(0, NULL);
    use("");
    fake_module(ROLE_MODULE, file, MIB(8), "");
    refuse(-E_NOMEM, "no room for a module of 8388608 bytes in the VM's 4M of memory");
}

static u64 find_tag(u32 type, u32 *size)
{
    u64 info = fake_entry.gpr[X86_RBX], at = info + 8;

    while (at < info + read32(info) && read32(at) != type) {
        at += ALIGN_UP((u64)read32(at + 4), 8);
    }
    assert_true(at < info + read32(info));
    *size = read32(at + 4);
    return at + 8;
}

static void check_mb2_info(void)
{
    u32 size;
    u64 at = find_tag(MB2_INFO_CMDLINE, &size);

    assert_int_equal(fake_entry.gpr[X86_RBX] % 8, 0);
    assert_string_equal((char *)ram + at, "one two");
    assert_int_equal(size, 8 + 8);
    at = find_tag(MB2_INFO_LOADER_NAME, &size);
    assert_string_equal((char *)ram + at, "Mote");
    at = find_tag(MB2_INFO_MODULE, &size);
    assert_int_equal(read32(at) % 4096, 0);
    assert_int_equal(read32(at + 4) - read32(at), sizeof(module_bytes));
    assert_memory_equal(ram + read32(at), module_bytes, sizeof(module_bytes));
    assert_string_equal((char *)ram + at + 8, "first one");
    at = find_tag(MB2_INFO_BASIC_MEMORY, &size);
    assert_int_equal(read32(at), 639);
    assert_int_equal(read32(at + 4), 3072);
    at = find_tag(MB2_INFO_MMAP, &size);
    assert_int_equal(read32(at), 24);
    assert_int_equal(size, 16 + 4 * 24);
    assert_int_equal(read32(at + 8 + 3 * 24), MIB(1));
    assert_int_equal(read32(at + 8 + 3 * 24 + 8), MIB(3));
    assert_int_equal(read32(at + 8 + 3 * 24 + 16), 1);
    at = find_tag(MB2_INFO_LOAD_BASE, &size);
    assert_int_equal(read32(at), 0x100000);
    (void)find_tag(MB2_INFO_END, &size);
    assert_int_equal(size, 8);
}

static void load_mb2(u64 rip)
{
    int error;

    use("one two");
    add_modules();
    const char *name = fake_load(&error);
    if (name == NULL) {
        fail_msg("%s", fake_why);
    }
    assert_string_equal(name, "mb2");
    check_mb_entry(MB2_BOOT_MAGIC, rip);
    check_mb2_info();
}

static void test_mb2_shapes(void **state)
{
    const u32 plain[] = {1, 16, 1, 6, /* information: cmdline, mmap */
                         6, 8,        /* module alignment */
                         10 | 1 << 16, 24, 0, ~0U, 4096, 0,
                         77 | 1 << 16, 8}; /* unknown, optional */
    const u32 addresses[] = {2, 24, 0x100000, 0x100000, 0x100200, 0x103000, 3, 12, 0x100044, 0};

    (void)state;
    for (u32 elf64 = 0; elf64 < 2; elf64++) {
        build_elf(elf64 == 1);
        put_mb2(plain, sizeof(plain));
        load_mb2(0x100040);
        put_mb2(addresses, sizeof(addresses));
        load_mb2(0x100044);
        assert_memory_equal(ram + 0x100000, file + MB1_AT, 0x200);
        put_mb2(addresses + 6, 16);
        load_mb2(0x100044);
    }
}

static void test_mb2_wins_over_mb1(void **state)
{
    const u32 none[] = {0, 8};
    int error;

    (void)state;
    build_elf(false);
    put_mb2(none, 8);
    struct mb1_header mb1 = {MB1_HEADER_MAGIC, 0, 0U - MB1_HEADER_MAGIC};
    memcpy(file + 0x700, &mb1, sizeof(mb1));
    use("");
    assert_string_equal(fake_load(&error), "mb2");
    fake_vm(RAM);
    fake_module(ROLE_KERNEL, file, ELF_FILE_MAX, "");
    fake_config.type = VM_TYPE_MB1;
    assert_string_equal(fake_load(&error), "mb1");
}

static void test_mb2_acpi(void **state)
{
    const u32 none[] = {0, 8};
    u32 size;
    int error;

    (void)state;
    build_elf(false);
    put_mb2(none, 8);
    for (u32 revision = 0; revision <= 2; revision += 2) {
        use("");
        memcpy(ram + LOAD_ACPI_BASE, "RSD PTR ", 8);
        ram[LOAD_ACPI_BASE + 15] = (u8)revision;
        assert_string_equal(fake_load(&error), "mb2");
        u64 at = find_tag(revision == 0 ? MB2_INFO_ACPI_OLD : MB2_INFO_ACPI_NEW, &size);
        assert_int_equal(size, revision == 0 ? 28 : 44);
        assert_memory_equal(ram + at, "RSD PTR ", 8);
    }
}

static void refuse_mb2(const u32 *tags, u32 bytes, int error, const char *text)
{
    put_mb2(tags, bytes);
    use("");
    refuse(error, text);
}

static void test_mb2_refusals(void **state)
{
    const u32 unknown[] = {99, 8}, information[] = {1, 12, 22, 0}, efi[] = {7, 8}, tiny[] = {1, 7}, huge[] = {1, 4096};
    const u32 no_entry[] = {2, 24, 0x100000, 0x100000, 0, 0}, short_address[] = {2, 16, 0, 0}, short_entry[] = {3, 8};
    const u32 behind[] = {2, 24, 0x100000, 0x100000, 0x200000, 0, 3, 12, 0x100000, 0};

    (void)state;
    build_elf(false);
    refuse_mb2(unknown, 8, -E_FORMAT, "requires an unknown feature (header tag 99)");
    refuse_mb2(information, 16, -E_FORMAT, "requires unknown information (type 22)");
    refuse_mb2(efi, 8, -E_FORMAT, "requires EFI boot services");
    refuse_mb2(tiny, 8, -E_FORMAT, "header tag 1 has a bad size of 7 bytes");
    refuse_mb2(huge, 8, -E_FORMAT, "header tag 1 has a bad size of 4096 bytes");
    refuse_mb2(no_entry, 24, -E_FORMAT, "load addresses but no entry address");
    refuse_mb2(short_address, 16, -E_FORMAT, "header tag 2 has a bad size of 16");
    refuse_mb2(short_entry, 8, -E_FORMAT, "header tag 3 has a bad size of 8");
    refuse_mb2(behind, 40, -E_TRUNC, "multiboot kernel is truncated");
    put_mb2(unknown, 8);
    struct mb2_header header = {MB2_HEADER_MAGIC, 4, 32, 0U - MB2_HEADER_MAGIC - 4 - 32};
    memcpy(file + MB1_AT, &header, sizeof(header));
    use("");
    refuse(-E_FORMAT, "multiboot2 kernel for another architecture (4)");
    header = (struct mb2_header){MB2_HEADER_MAGIC, 0, 0x10000, 0U - MB2_HEADER_MAGIC - 0x10000};
    memcpy(file + MB1_AT, &header, sizeof(header));
    use("");
    refuse(-E_TRUNC, "multiboot2 header of 65536 bytes at 0x400, module has 8192");
}

/* Section headers: a loaded one keeps its address, one without gets a copy in memory. */
static void test_elf_sections(void **state)
{
    int error;

    (void)state;
    for (u32 elf64 = 0; elf64 < 2; elf64++) {
        build_elf(elf64 == 1);
        put_mb1(0, NULL);
        u32 entsize = elf64 ? sizeof(struct elf64_section) : sizeof(struct elf32_section);
        for (u32 i = 0; i < 3; i++) {
            struct elf32_section sec32 = {i, 1, 0, i == 1 ? 0x100000 : 0, 0x600, i == 0 ? 0 : 0x55, 0, 0, 1, 0};
            struct elf64_section sec64 = {i, 1, 0, i == 1 ? 0x100000 : 0, 0x600, i == 0 ? 0 : 0x55, 0, 0, 1, 0};
            memcpy(file + 0x1000 + i * entsize, elf64 ? (void *)&sec64 : (void *)&sec32, entsize);
        }
        if (elf64) {
            struct elf64_header *h = (void *)file;
            h->e_shoff = 0x1000, h->e_shentsize = (u16)entsize, h->e_shnum = 3, h->e_shstrndx = 2;
        } else {
            struct elf32_header *h = (void *)file;
            h->e_shoff = 0x1000, h->e_shentsize = (u16)entsize, h->e_shnum = 3, h->e_shstrndx = 2;
        }
        use("");
        assert_string_equal(fake_load(&error), "mb1");
        struct mb1_info info;
        memcpy(&info, ram + fake_entry.gpr[X86_RBX], sizeof(info));
        assert_int_equal(info.flags & MB1_INFO_ELF_SHDR, MB1_INFO_ELF_SHDR);
        assert_int_equal(info.shdr_num, 3);
        assert_int_equal(info.shdr_size, entsize);
        assert_int_equal(info.shdr_shndx, 2);
        u32 addr_at = elf64 ? offsetof(struct elf64_section, sh_addr) : offsetof(struct elf32_section, sh_addr);
        assert_int_equal(read32(info.shdr_addr + addr_at), 0);
        assert_int_equal(read32(info.shdr_addr + entsize + addr_at), 0x100000);
        u32 placed = read32(info.shdr_addr + 2 * entsize + addr_at);
        assert_true(placed >= MIB(1));
        assert_memory_equal(ram + placed, file + 0x600, 0x55);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mb1_four_shapes), cmocka_unit_test(test_mb1_bytes_before_header),
        cmocka_unit_test(test_mb1_refusals),    cmocka_unit_test(test_mb2_shapes),
        cmocka_unit_test(test_mb2_wins_over_mb1), cmocka_unit_test(test_mb2_acpi),
        cmocka_unit_test(test_mb2_refusals),    cmocka_unit_test(test_elf_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
