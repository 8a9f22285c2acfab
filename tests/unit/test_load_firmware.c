/* The role firmware: where the image lies, what the CPU gets, every refusal. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/unit/load_host.h"

static u8 image[MIB(16) + KIB(4)];

static void use_firmware(u64 size)
{
    for (u64 i = 0; i < sizeof(image); i++) {
        image[i] = (u8)(i * 7 + (i >> 12) + 1);
    }
    fake_vm(MIB(4));
    fake_module(ROLE_FIRMWARE, image, size, "");
}

static void refuse(int wanted, const char *why)
{
    int error;

    assert_null(fake_load(&error));
    assert_int_equal(error, wanted);
    assert_non_null(strstr(fake_why, why));
    assert_null(rom);
}

static void accept(u64 size)
{
    u64 low = size < KIB(128) ? size : KIB(128);
    int error;

    use_firmware(size);
    fake_entry.rip = 1;
    assert_string_equal(fake_load(&error), "firmware");
    assert_int_equal(rom_base, GIB(4) - size);
    assert_int_equal(rom_flags, GMEM_EXECUTABLE);
    assert_memory_equal(rom, image, size);
    assert_memory_equal(ram + MIB(1) - low, image + size - low, low);
    assert_true(fake_entry.reset_vector);
    for (u64 at = 0; at < MIB(1) - low; at++) {
        assert_int_equal(ram[at], 0); /* no BIOS data: the firmware makes its own */
    }
}

static void test_sizes(void **state)
{
    (void)state;
    accept(KIB(64));
    accept(KIB(68));
    accept(KIB(128));
    accept(KIB(256));
    accept(MIB(16));
}

static void test_refusals(void **state)
{
    (void)state;
    use_firmware(0);
    refuse(-E_FORMAT, "the firmware module is empty");
    use_firmware(KIB(60));
    refuse(-E_FORMAT, "not a multiple of 4K from 64K to 16M");
    use_firmware(KIB(64) + 1);
    refuse(-E_FORMAT, "firmware of 65537 bytes");
    use_firmware(MIB(16) + KIB(4));
    refuse(-E_FORMAT, "not a multiple of 4K from 64K to 16M");
    use_firmware(KIB(64));
    fake_config.type = VM_TYPE_FLAT;
    refuse(-E_INVAL, "type= is for kernels");
    use_firmware(KIB(64));
    fake_config.mode = VM_MODE_REAL;
    refuse(-E_INVAL, "mode= is for");
    use_firmware(KIB(64));
    fake_config.has_load = true;
    refuse(-E_INVAL, "load= is for");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
