/* bzImages: a constructed header, placement of kernel, initrd, command line and boot parameters, every refusal. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/unit/load_host.h"
#include "vm/load/x86_64/loaders.h"

#define SETUP_SECTS 3U
#define SETUP_BYTES ((SETUP_SECTS + 1) * LINUX_SECTOR)
#define KERNEL_BYTES 0x4000U
#define FILE_BYTES (SETUP_BYTES + KERNEL_BYTES)

static u8 file[FILE_BYTES + 64];

static struct linux_setup_header header(void)
{
    return (struct linux_setup_header){
        .setup_sects = SETUP_SECTS, .syssize = KERNEL_BYTES / 16, .boot_flag = 0xAA55, .jump = 0x6AEB, .header = "HdrS",
        .version = 0x020F, .loadflags = 1, .code32_start = 0x100000, .initrd_addr_max = 0x7FFFFFFF,
        .kernel_alignment = 0x200000, .relocatable_kernel = 1, .xloadflags = 1, .cmdline_size = 2047,
        .pref_address = 0x1000000, .init_size = 0x800000, .setup_data = 0x1234};
}

static void build(const struct linux_setup_header *h)
{
    for (u32 i = 0; i < sizeof(file); i++) {
        file[i] = (u8)(i * 7 + (i >> 8));
    }
    memcpy(file + LINUX_HEADER_OFFSET, h, sizeof(*h));
}

static void use(const struct linux_setup_header *h, u64 ram, u64 size, const char *cmdline)
{
    build(h);
    fake_vm(ram);
    fake_module(ROLE_KERNEL, file, size, cmdline);
}

static void refuse(int error, const char *text)
{
    int got;

    assert_null(fake_load(&got));
    if (got != error || strstr(fake_why, text) == NULL) {
        fail_msg("got %d '%s', expected %d '%s'", got, fake_why, error, text);
    }
}

static struct linux_boot_params params(void)
{
    struct linux_boot_params out;

    memcpy(&out, ram + fake_entry.gpr[X86_RSI], sizeof(out));
    return out;
}

static void test_kernel_64(void **state)
{
    struct linux_setup_header h = header();
    static u8 initrd[10001], second[5];
    int error;

    (void)state;
    memset(initrd, 0xA5, sizeof(initrd));
    memset(second, 0x5A, sizeof(second));
    use(&h, MIB(64), FILE_BYTES, "console=ttyS0 \"a  b\"");
    fake_module(ROLE_INITRD, initrd, sizeof(initrd), "");
    fake_module(ROLE_INITRD, second, sizeof(second), "");
    assert_string_equal(fake_load(&error), "linux");
    assert_memory_equal(ram + 0x1000000, file + SETUP_BYTES, KERNEL_BYTES);
    assert_int_equal(fake_entry.mode, X86_ENTRY_LONG);
    assert_int_equal(fake_entry.rip, 0x1000200);
    assert_int_equal(fake_entry.cs_sel, 0x10);
    assert_int_equal(fake_entry.ds_sel, 0x18);
    struct linux_boot_params p = params();
    assert_memory_equal(p.hdr.header, "HdrS", 4);
    assert_int_equal(p.hdr.type_of_loader, 0xFF);
    assert_int_equal(p.hdr.code32_start, 0x1000000);
    assert_int_equal(p.hdr.setup_data, 0);
    assert_string_equal((char *)ram + p.hdr.cmd_line_ptr, "console=ttyS0 \"a  b\"");
    assert_int_equal(p.hdr.ramdisk_size, 10004 + 8);
    assert_int_equal(p.hdr.ramdisk_image, MIB(64) - 0x3000);
    assert_memory_equal(ram + p.hdr.ramdisk_image, initrd, sizeof(initrd));
    assert_memory_equal(ram + p.hdr.ramdisk_image + 10004, second, sizeof(second));
    assert_int_equal(p.acpi_rsdp_addr, 0);
    assert_int_equal(p.e820_entries, 4);
    assert_int_equal(p.e820_table[0].size, 0x9FC00);
    assert_int_equal(p.e820_table[2].type, 2);
    assert_int_equal(p.e820_table[3].addr, MIB(1));
    assert_int_equal(p.e820_table[3].size, MIB(63));
    assert_int_equal(p.screen_info[0x0F], 0);
}

static void test_rsdp_is_passed_on(void **state)
{
    struct linux_setup_header h = header();
    int error;

    (void)state;
    use(&h, MIB(64), FILE_BYTES, "");
    memcpy(ram + LOAD_ACPI_BASE, "RSD PTR ", 8);
    assert_string_equal(fake_load(&error), "linux");
    assert_int_equal(params().acpi_rsdp_addr, LOAD_ACPI_BASE);
}

static void test_kernel_32_and_old(void **state)
{
    struct linux_setup_header h = header();
    int error;

    (void)state;
    h.xloadflags = 0;
    use(&h, MIB(64), FILE_BYTES, "");
    assert_string_equal(fake_load(&error), "linux");
    assert_int_equal(fake_entry.mode, X86_ENTRY_PROT);
    assert_int_equal(fake_entry.rip, 0x1000000);
    assert_int_equal(fake_entry.gpr[X86_RBX] | fake_entry.gpr[X86_RBP] | fake_entry.gpr[X86_RDI], 0);
    h = header();
    h.version = 0x0206;
    h.jump = 0x3AEB; /* its header ends at 0x23C */
    use(&h, MIB(4), FILE_BYTES, "");
    assert_string_equal(fake_load(&error), "linux");
    assert_int_equal(fake_entry.mode, X86_ENTRY_PROT);
    assert_int_equal(fake_entry.rip, MIB(1));
    assert_memory_equal(ram + MIB(1), file + SETUP_BYTES, KERNEL_BYTES);
    assert_int_equal(params().hdr.pref_address, 0);
    h = header();
    h.setup_sects = 0;
    h.syssize -= LINUX_SECTOR / 16;
    use(&h, MIB(64), FILE_BYTES, "");
    assert_string_equal(fake_load(&error), "linux");
    assert_memory_equal(ram + 0x1000000, file + SETUP_BYTES + LINUX_SECTOR, KERNEL_BYTES - LINUX_SECTOR);
}

static void test_initrd_limit(void **state)
{
    struct linux_setup_header h = header();
    int error;

    (void)state;
    h.initrd_addr_max = 0x1FFFFFF;
    use(&h, MIB(64), FILE_BYTES, "");
    fake_module(ROLE_INITRD, file, 0x1001, "");
    assert_string_equal(fake_load(&error), "linux");
    assert_int_equal(params().hdr.ramdisk_image, 0x1FFE000);
    /* Not over the memory that the kernel needs while it unpacks: then below it. */
    h.initrd_addr_max = 0x17FFFFF;
    use(&h, MIB(64), FILE_BYTES, "");
    fake_module(ROLE_INITRD, file, 0x1000, "");
    assert_string_equal(fake_load(&error), "linux");
    assert_int_equal(params().hdr.ramdisk_image, 0xFFF000);
}

static void test_refusals(void **state)
{
    struct linux_setup_header h = header();
    char line[2049];

    (void)state;
    use(&h, MIB(64), FILE_BYTES - 17, "");
    refuse(-E_TRUNC, "bzImage is truncated: header says 18432 bytes, module has 18415");
    use(&h, MIB(64), 0x300, "");
    refuse(-E_TRUNC, "bzImage is truncated: header says 18432 bytes, module has 768");
    use(&h, MIB(64), 0x208, "");
    refuse(-E_TRUNC, "bzImage is truncated inside its header: module has 520 bytes");
    use(&h, MIB(64), 0x205, "");
    refuse(-E_FORMAT, "the module is no kernel");
    h.version = 0x0205;
    use(&h, MIB(64), FILE_BYTES, "");
    refuse(-E_FORMAT, "boot protocol 2.05, 2.06 is the oldest supported");
    h = header();
    h.loadflags = 0;
    use(&h, MIB(64), FILE_BYTES, "");
    refuse(-E_FORMAT, "zImage");
    h = header();
    h.syssize = 0;
    use(&h, MIB(64), FILE_BYTES, "");
    refuse(-E_FORMAT, "syssize is 0");
    h = header();
    h.syssize = 0xFFFFFFFF;
    use(&h, MIB(64), FILE_BYTES, "");
    refuse(-E_TRUNC, "header says 68719478768 bytes");
    h = header();
    use(&h, MIB(16), FILE_BYTES, "");
    refuse(-E_FAULT, "the kernel needs 8M at 0x1000000: more than the VM's 16M of memory");
    use(&h, MIB(24) - 4096, FILE_BYTES, "");
    refuse(-E_FAULT, "the kernel needs 8M");
    h.pref_address = ~0ULL - 4095;
    use(&h, MIB(64), FILE_BYTES, "");
    refuse(-E_FAULT, "the kernel needs 8M at 0xfffffffffffff000");
    h.pref_address = 0;
    use(&h, MIB(64), FILE_BYTES, "");
    refuse(-E_FAULT, "the kernel needs 8M at 0x0");
    h = header();
    memset(line, 'x', sizeof(line));
    line[2048] = '\0';
    use(&h, MIB(64), FILE_BYTES, line);
    refuse(-E_RANGE, "command line of 2048 characters, the kernel takes 2047");
    use(&h, MIB(24), FILE_BYTES, "");
    u8 *big = malloc(MIB(20));
    fake_module(ROLE_INITRD, big, MIB(20), "");
    refuse(-E_NOMEM, "no room for the initrd of 20971520 bytes in the VM's 24M of memory");
    free(big);
    use(&h, MIB(64), FILE_BYTES, "");
    fake_config.mode = VM_MODE_REAL;
    refuse(-E_INVAL, "mode= is for type=flat and type=elf, this image is linux");
    use(&h, MIB(64), FILE_BYTES, "");
    fake_config.has_entry = true;
    refuse(-E_INVAL, "entry= is for type=flat and type=elf, this image is linux");
}

/* The file may end inside the last paragraph that syssize counts. */
static void test_paragraph_rounding(void **state)
{
    struct linux_setup_header h = header();
    int error;

    (void)state;
    use(&h, MIB(64), FILE_BYTES - 15, "");
    assert_string_equal(fake_load(&error), "linux");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_64),    cmocka_unit_test(test_rsdp_is_passed_on),
        cmocka_unit_test(test_kernel_32_and_old), cmocka_unit_test(test_initrd_limit),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_paragraph_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
