/* units: tests/unit/x86_fake.c vcpu/x86_64/cpuid.c vcpu/x86_64/regs.c vcpu/x86_64/event.c */
/* The CPUID allow-list over a CPU that has every bit: what must be hidden, forced, computed. */
#include "tests/unit/host.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/x86_fake.h"
#include <string.h>

static struct x86_cpuid ask(u32 leaf, u32 subleaf)
{
    struct x86_cpuid r;

    x86_cpuid_guest(&fake_v, leaf, subleaf, &r);
    return r;
}

static u32 reg_of(struct x86_cpuid r, char reg)
{
    return reg == 'a' ? r.eax : reg == 'b' ? r.ebx : reg == 'c' ? r.ecx : r.edx;
}

struct expect { u32 leaf; char reg; u8 bit; bool set; const char *name; };

static void bits_hidden_and_kept(void **state)
{
    static const struct expect rows[] = {
        {1, 'c', 3, false, "MONITOR"}, {1, 'c', 5, false, "VMX"}, {1, 'c', 6, false, "SMX"},
        {1, 'c', 17, false, "PCID"},
        {1, 'c', 21, false, "x2APIC"}, {1, 'c', 24, false, "TSC-deadline"}, {1, 'c', 27, false, "OSXSAVE"},
        {1, 'c', 31, true, "hypervisor"}, {1, 'c', 26, true, "XSAVE"}, {1, 'c', 28, true, "AVX"},
        {1, 'c', 13, true, "CX16"},
        {1, 'd', 7, true, "MCE"}, {1, 'd', 9, false, "APIC"}, {1, 'd', 14, true, "MCA"}, {1, 'd', 28, false, "HTT"},
        {1, 'd', 0, true, "FPU"}, {1, 'd', 5, true, "MSR"}, {1, 'd', 6, true, "PAE"}, {1, 'd', 8, true, "CX8"},
        {1, 'd', 13, true, "PGE"}, {1, 'd', 15, true, "CMOV"}, {1, 'd', 24, true, "FXSR"}, {1, 'd', 26, true, "SSE2"},
        {7, 'b', 1, true, "TSC_ADJUST"}, {7, 'b', 4, false, "HLE"}, {7, 'b', 11, false, "RTM"},
        {7, 'b', 10, false, "INVPCID"},
        {7, 'b', 14, false, "MPX"}, {7, 'b', 25, false, "PT"}, {7, 'b', 7, true, "SMEP"}, {7, 'b', 20, true, "SMAP"},
        {7, 'c', 5, false, "WAITPKG"}, {7, 'c', 16, false, "LA57"}, {7, 'c', 3, false, "PKU"},
        {7, 'c', 2, true, "UMIP"},
        {7, 'd', 26, false, "SPEC_CTRL"}, {7, 'd', 29, true, "ARCH_CAPABILITIES"}, {7, 'd', 10, true, "MD_CLEAR"},
        {7, 'd', 28, false, "L1D_FLUSH"}, {7, 'd', 31, false, "SSBD"}, {0x80000008, 'b', 12, true, "IBPB"},
        {0x80000008, 'b', 14, false, "IBRS"},
        {0x80000001, 'c', 2, false, "SVM"}, {0x80000001, 'c', 3, false, "EXTAPIC"},
        {0x80000001, 'c', 12, false, "SKINIT"},
        {0x80000001, 'c', 22, false, "TOPOEXT"}, {0x80000001, 'c', 0, true, "LAHF"},
        {0x80000001, 'd', 11, true, "SYSCALL"},
        {0x80000001, 'd', 20, true, "NX"}, {0x80000001, 'd', 29, true, "LM"}, {0x80000001, 'd', 27, true, "RDTSCP"},
        {0x80000001, 'd', 9, false, "APIC"}, {0x80000001, 'd', 7, true, "MCE"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bool set = (reg_of(ask(rows[i].leaf, 0), rows[i].reg) & BIT32(rows[i].bit)) != 0;
        if (set != rows[i].set) {
            fail_msg("%s is %d", rows[i].name, set);
        }
    }
}

static void unlisted_leaves_are_zero(void **state)
{
    static const u32 leaves[] = {3, 5, 6, 8, 9, 0xA, 0xC, 0xE, 0xF, 0x10, 0x12, 0x14, 0x17, 0x1F, 0x20, 0x1000,
        0x40000002, 0x400000FF, 0x40000102, 0x80000009, 0x8000000A, 0x8000001D, 0x8000001E, 0x8000001F, 0x80000100,
        0xC0000000, 0xFFFFFFFF};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct x86_cpuid r = ask(leaves[i], 0);
        if ((r.eax | r.ebx | r.ecx | r.edx) != 0) {
            fail_msg("leaf %x is not zero", leaves[i]);
        }
    }
    assert_int_equal(ask(7, 1).eax, 0);
    assert_int_equal(ask(7, 0).eax, 0); /* no subleaf but 0 */
    assert_int_equal(ask(4, 4).eax, 0);
}

static void a_poor_cpu_gets_no_features(void **state)
{
    (void)state;
    memset(&fake_host, 0, sizeof(fake_host));
    fake_host.extended[8].eax = 0x3024;
    fake_start();
    assert_int_equal(ask(1, 0).ecx, CPUID_1_ECX_HYPERVISOR);
    assert_int_equal(ask(1, 0).edx, 0);
    assert_int_equal(ask(7, 0).ebx, BIT32(1)); /* TSC_ADJUST is our own */
    assert_int_equal(ask(0xD, 0).eax, 0);
    assert_int_equal(ask(0xD, 0).ecx, 0);
    assert_int_equal(x86_xcr0_allowed(), 0);
}

static void signatures(void **state)
{
    struct x86_cpuid r = ask(0x40000000, 0);

    (void)state;
    assert_int_equal(r.eax, 0x40000010);
    assert_memory_equal(&r.ebx, "KVMK", 4);
    assert_memory_equal(&r.ecx, "VMKV", 4);
    assert_memory_equal(&r.edx, "M\0\0\0", 4);
    assert_int_equal(ask(0x40000001, 0).eax, 0x0100022B); /* clock, no I/O delay, steal time, TLB flush */
    r = ask(0x40000100, 0);
    assert_int_equal(r.eax, 0x40000101);
    assert_memory_equal(&r.ebx, "Mote", 4);
    assert_memory_equal(&r.ecx, "Mote", 4);
    assert_memory_equal(&r.edx, "Mote", 4);
    assert_int_equal(ask(0x40000101, 0).eax, 1);
    assert_int_equal(ask(0x40000101, 0).ebx, 2300000);
    r = ask(0, 0);
    assert_int_equal(r.eax, 0x16);
    assert_memory_equal(&r.ebx, "Auth", 4);
    assert_int_equal(ask(0x80000000, 0).eax, 0x80000008);
}

static void frequencies_are_the_measured_ones(void **state)
{
    struct x86_cpuid r = ask(0x15, 0);

    (void)state;
    assert_true((u64)r.ecx * r.ebx / r.eax == fake_host.tsc_hz);
    assert_int_equal(ask(0x16, 0).eax, 2300);
    assert_int_equal(ask(0x40000010, 0).eax, 2300000);
    assert_int_equal(ask(0x40000010, 0).ebx, 1000000);
}

static void osxsave_and_apic_id_are_the_vcpus(void **state)
{
    (void)state;
    fake_v.config.id = 5;
    fake_v.arch.cr4 = CR4_OSXSAVE;
    assert_true((ask(1, 0).ecx & CPUID_1_ECX_OSXSAVE) != 0);
    assert_int_equal(ask(1, 0).ebx >> 24, 5);
    fake_v.arch.cr4 = 0;
    assert_int_equal(ask(1, 0).ecx & CPUID_1_ECX_OSXSAVE, 0);
}

static void address_width_is_what_stage_2_can(void **state)
{
    (void)state;
    assert_int_equal(ask(0x80000008, 0).eax, 0x3028); /* 57 linear bits became 48 */
    assert_int_equal(x86_guest_phys_bits(), 40);
    fake_host.extended[8].eax = 0x3934;
    fake_start();
    assert_int_equal(x86_guest_phys_bits(), 48);
}

static void xsave_sizes_follow_xcr0(void **state)
{
    static const struct { u64 xcr0; u32 size, compact; } rows[] = {
        {1, 576, 576}, {3, 576, 576}, {7, 832, 832}, {0xE7, 2688, 2432},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_host.xcr0 = rows[i].xcr0;
        assert_int_equal(ask(0xD, 0).eax, 0xE7); /* neither PKRU nor AMX */
        assert_int_equal(ask(0xD, 0).ebx, rows[i].size);
        assert_int_equal(ask(0xD, 0).ecx, 2688);
        assert_int_equal(ask(0xD, 1).eax, 7); /* neither XSAVES nor XFD */
        assert_int_equal(ask(0xD, 1).ebx, rows[i].compact);
    }
    assert_int_equal(ask(0xD, 2).eax, 256);
    assert_int_equal(ask(0xD, 9).eax, 0);
    assert_int_equal(ask(0xD, 200).eax, 0);
}

static void an_xsavec_that_lies_is_hidden(void **state)
{
    (void)state;
    fake_host.xsavec_broken = true;
    fake_start();
    assert_int_equal(ask(0xD, 1).eax, 5);
    assert_int_equal(ask(0xD, 1).ebx, 0);
    assert_int_equal(ask(0xD, 0).eax, 0xE7);
}

static void one_core(void **state)
{
    (void)state;
    assert_int_equal(ask(4, 0).eax >> 14, 0); /* threads and cores */
    assert_int_equal((ask(1, 0).ebx >> 16) & 0xFF, 1);
    assert_int_equal(ask(0x80000008, 0).ecx, 0);
    assert_int_equal(ask(0xB, 0).ebx, 1);
    assert_int_equal(ask(0xB, 1).ebx, 1);
    assert_int_equal(ask(0xB, 1).eax, 0);
}

/* Whatever the number of CPUs, all leaves tell the same: who it is, how many there are, and how many bits an id takes. */
static void topology_leaves_agree(void **state)
{
    (void)state;
    for (u32 count = 1; count <= 32; count++) {
        u32 bits = 0;
        while (1U << bits < count) {
            bits++;
        }
        fake_v.config.cpu_count = count;
        for (u32 id = 0; id < count; id++) {
            fake_v.config.id = id;
            assert_int_equal(ask(1, 0).ebx >> 24, id);
            assert_int_equal(ask(1, 0).ebx >> 16 & 0xFF, count);
            assert_int_equal(ask(1, 0).edx >> 28 & 1, count > 1);
            assert_int_equal(ask(4, 0).eax >> 26, (1U << bits) - 1);
            assert_int_equal(ask(0xB, 0).eax, 0);
            assert_int_equal(ask(0xB, 0).ebx, 1);
            assert_int_equal(ask(0xB, 1).eax, bits);
            assert_int_equal(ask(0xB, 1).ebx, count);
            for (u32 level = 0; level < 4; level++) {
                assert_int_equal(ask(0xB, level).edx, id);
                assert_int_equal(ask(0xB, level).ecx & 0xFF, level);
            }
            assert_int_equal(ask(0xB, 2).eax | ask(0xB, 2).ebx | ask(0xB, 2).ecx >> 8, 0);
            assert_int_equal(ask(0x80000008, 0).ecx, (count - 1) | bits << 12);
        }
    }
    fake_v.config.cpu_count = 0;
    fake_v.config.id = 0;
}

/* Six cores of one package: ids take three bits, in every leaf that says so (SDM Vol. 2 CPUID 1, 4, 0BH; APM 80000008). */
static void six_cores(void **state)
{
    (void)state;
    fake_v.config.cpu_count = 6;
    fake_v.config.id = 4;
    assert_int_equal((ask(1, 0).ebx >> 16) & 0xFF, 6);
    assert_true((ask(1, 0).edx & BIT32(28)) != 0);
    assert_int_equal(ask(0xB, 0).ecx, 0x100);
    assert_int_equal(ask(0xB, 1).eax, 3);
    assert_int_equal(ask(0xB, 1).ebx, 6);
    assert_int_equal(ask(0xB, 1).ecx, 0x201);
    assert_int_equal(ask(0xB, 1).edx, 4);
    assert_int_equal(ask(0x80000008, 0).ecx, 5 | 3 << 12);
    assert_true((ask(0x80000001, 0).ecx & BIT32(1)) != 0);
    fake_v.config.cpu_count = 0;
    fake_v.config.id = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bits_hidden_and_kept, fake_setup),
        cmocka_unit_test_setup(unlisted_leaves_are_zero, fake_setup),
        cmocka_unit_test_setup(a_poor_cpu_gets_no_features, fake_setup),
        cmocka_unit_test_setup(signatures, fake_setup),
        cmocka_unit_test_setup(frequencies_are_the_measured_ones, fake_setup),
        cmocka_unit_test_setup(osxsave_and_apic_id_are_the_vcpus, fake_setup),
        cmocka_unit_test_setup(address_width_is_what_stage_2_can, fake_setup),
        cmocka_unit_test_setup(xsave_sizes_follow_xcr0, fake_setup),
        cmocka_unit_test_setup(an_xsavec_that_lies_is_hidden, fake_setup),
        cmocka_unit_test_setup(one_core, fake_setup),
        cmocka_unit_test_setup(six_cores, fake_setup),
        cmocka_unit_test_setup(topology_leaves_agree, fake_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
