/* units: vcpu/x86_64/svm/maps.c */
/* Acceptance row 24: the permission maps by the arithmetic of APM Vol. 2 15.10.1 and 15.11, written down anew here. */
#include "tests/unit/host.h"
#include "mm/frame.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/svm/internal.h"
#include <string.h>

static u8 memory[8][4096] __attribute__((aligned(4096)));
static unsigned used;

int frame_alloc(unsigned order, u16 owner, hpa_t *out)
{
    (void)owner;
    *out = HPA(used * 4096UL);
    used += 1U << order;
    return used <= 8 ? 0 : -1;
}

int frame_free(hpa_t pa, unsigned order, u16 owner)
{
    (void)pa;
    (void)order;
    (void)owner;
    return 0;
}

/* The policy of these tests: one MSR of each range, one of them for reads only. */
bool x86_msr_passthrough(u32 msr, bool write)
{
    return msr == 0x174 || (msr == 0xC0000102 && !write);
}

static const u8 *io(void)
{
    return phys_ptr(svm_iopm());
}

/* The CPU looks at the bit of each byte that an access touches; beyond FFFFh, at the bits that follow. */
static bool io_exits(u32 port, u32 size)
{
    for (u32 i = 0; i < size; i++) {
        if ((io()[(port + i) / 8] >> (port + i) % 8 & 1) != 0) {
            return true;
        }
    }
    return false;
}

static void every_port_exits(void **state)
{
    static const u32 seams[] = {0, 1, 7, 8, 0x1FFF, 0x2000, 0x7FFF, 0x8000, 0xA000, 0xFFFE, 0xFFFF};

    (void)state;
    assert_int_equal(svm_iopm().v % 4096, 0);
    for (u32 i = 0; i < sizeof(seams) / sizeof(seams[0]); i++) {
        for (u32 size = 1; size <= 4; size *= 2) {
            assert_true(io_exits(seams[i], size));
        }
    }
    for (u32 port = 0; port < 0x10003; port++) {
        assert_true(io_exits(port, 1));
    }
}

/* Two bits an MSR, read then write, 800h bytes a range. */
static bool msr_exits(u32 msr, bool write)
{
    static const u32 bases[] = {0, 0xC0000000, 0xC0010000};
    const u8 *map = phys_ptr(svm_msrpm());

    for (u32 i = 0; i < 3; i++) {
        if (msr >= bases[i] && msr < bases[i] + 0x2000) {
            u32 bit = (msr - bases[i]) * 2 + (write ? 1 : 0);
            return (map[i * 0x800 + bit / 8] >> bit % 8 & 1) != 0;
        }
    }
    return true;
}

static void msrs_exit_unless_switched(void **state)
{
    static const u32 bases[] = {0, 0xC0000000, 0xC0010000};

    (void)state;
    for (u32 i = 0; i < 3; i++) {
        for (u32 msr = bases[i]; msr < bases[i] + 0x2000; msr++) {
            assert_int_equal(msr_exits(msr, false), !x86_msr_passthrough(msr, false));
            assert_int_equal(msr_exits(msr, true), !x86_msr_passthrough(msr, true));
        }
    }
}

static int setup(void **state)
{
    (void)state;
    physmap_base = (u64)memory;
    memset(memory, 0, sizeof(memory));
    return svm_maps_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_port_exits),
        cmocka_unit_test(msrs_exit_unless_switched),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
