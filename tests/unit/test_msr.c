/* units: tests/unit/x86_fake.c vcpu/x86_64/msr.c vcpu/x86_64/msr_memtype.c vcpu/x86_64/msr_speculation.c vcpu/x86_64/cr.c vcpu/x86_64/cpuid.c vcpu/x86_64/regs.c vcpu/x86_64/event.c vcpu/x86_64/pv_clock.c vcpu/x86_64/pv_steal.c */
/* The MSR table: who is listed, which values are refused, and what a guest that tries everything can do. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/x86_fake.h"
#include <string.h>

static bool reads(u32 msr)
{
    u64 value = 0;
    return x86_msr_read(&fake_v, msr, &value) == 0;
}

static u64 value_of(u32 msr)
{
    u64 value = 0x5A5A5A5A5A5A5A5AULL;
    assert_int_equal(x86_msr_read(&fake_v, msr, &value), 0);
    return value;
}

static int writes(u32 msr, u64 value)
{
    return x86_msr_write(&fake_v, msr, value);
}

/* Every number of the four ranges: exactly the listed ones answer. */
static void sweep_answers_exactly_the_list(void **state)
{
    static const struct { u32 first, last; } listed[] = {
        {0x10, 0x12}, {0x3B, 0x3B}, {0x8B, 0x8B}, {0xFE, 0xFE}, {0x10A, 0x10A}, {0x174, 0x176}, {0x179, 0x17A}, {0x1D9, 0x1D9},
        {0x200, 0x20F}, {0x250, 0x250}, {0x258, 0x259}, {0x268, 0x26F}, {0x277, 0x277}, {0x2FF, 0x2FF},
        {0xC0000080, 0xC0000084}, {0xC0000100, 0xC0000103}, {0xC0010000, 0xC0010007}, {0xC0010010, 0xC0010010}, {0xC0010015, 0xC0010015},
        {0xC001001F, 0xC001001F}, {0xC0010055, 0xC0010055}, {0xC0011029, 0xC0011029},
    };
    static const u32 bases[] = {0, 0x40000000, 0xC0000000, 0xC0010000, 0xFFFFE000};

    (void)state;
    for (size_t b = 0; b < ARRAY_SIZE(bases); b++) {
        for (u32 i = 0; i < 0x2000; i++) {
            u32 msr = bases[b] + i;
            bool want = false;
            for (size_t k = 0; k < ARRAY_SIZE(listed); k++) {
                want = want || (msr >= listed[k].first && msr <= listed[k].last);
            }
            if (reads(msr) != want) {
                fail_msg("msr %x: listed=%d", msr, want);
            }
        }
    }
}

static void every_write_of_any_value_is_survived(void **state)
{
    static const u64 values[] = {0, 1, ~0ULL, 0x8000000000000000ULL, 0x0000800000000000ULL, 0xFFFF800000000000ULL};

    (void)state;
    for (u32 msr = 0; msr < 0x2000; msr++) {
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
            (void)writes(msr, values[i]);
            (void)writes(0xC0000000 + msr, values[i]);
            (void)writes(0xC0010000 + msr, values[i]);
        }
    }
}

static void intel_and_amd_differ(void **state)
{
    (void)state;
    assert_false(reads(MSR_IA32_MISC_ENABLE));
    assert_false(reads(MSR_PLATFORM_INFO));
    assert_true(reads(MSR_HWCR));
    fake_host_vendor("GenuineIntel");
    fake_start();
    assert_true(reads(MSR_IA32_MISC_ENABLE));
    assert_true(reads(MSR_PLATFORM_INFO));
    assert_false(reads(MSR_HWCR));
    assert_false(reads(MSR_SYSCFG));
}

static void the_machines_own_are_refused(void **state)
{
    static const u32 msrs[] = {MSR_IA32_FEATURE_CONTROL, MSR_IA32_VMX_BASIC, MSR_IA32_VMX_VMFUNC, MSR_VM_CR,
        MSR_VM_HSAVE_PA, MSR_IA32_BIOS_UPDT_TRIG, MSR_IA32_TSC_DEADLINE, MSR_IA32_X2APIC_ICR,
        MSR_IA32_SPEC_CTRL, MSR_IA32_FLUSH_CMD, MSR_IA32_TSX_CTRL, MSR_SMM_BASE, MSR_IA32_XSS, MSR_IA32_MC0_CTL};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
        assert_false(reads(msrs[i]));
        assert_int_equal(writes(msrs[i], 0), -E_GUEST);
    }
}

/* A guest learns what the CPU is immune to, and asks for the barrier, where it is shown them. */
static void speculation(void **state)
{
    (void)state;
    fake_host.ibpbs = 0;
    fake_host.arch_capabilities = ~0ULL;
    assert_int_equal(value_of(MSR_IA32_ARCH_CAPABILITIES), 0x1D12E175);
    fake_host.arch_capabilities = BIT(0) | BIT(1) | BIT(3) | BIT(7);
    assert_int_equal(value_of(MSR_IA32_ARCH_CAPABILITIES), BIT(0));
    assert_int_equal(writes(MSR_IA32_ARCH_CAPABILITIES, 0), -E_GUEST);
    assert_false(reads(MSR_IA32_PRED_CMD));
    assert_int_equal(writes(MSR_IA32_PRED_CMD, 0), 0);
    assert_int_equal(fake_host.ibpbs, 0);
    assert_int_equal(writes(MSR_IA32_PRED_CMD, 1), 0);
    assert_int_equal(fake_host.ibpbs, 1);
    assert_int_equal(writes(MSR_IA32_PRED_CMD, 0x80), -E_GUEST); /* SBPB */
    fake_host.basic[7][0].edx &= ~CPUID_7_EDX_ARCH_CAPABILITIES;
    fake_host.extended[8].ebx &= ~CPUID_EXT8_EBX_IBPB;
    fake_start();
    assert_false(reads(MSR_IA32_ARCH_CAPABILITIES));
    assert_int_equal(writes(MSR_IA32_PRED_CMD, 1), -E_GUEST);
    assert_int_equal(fake_host.ibpbs, 1);
}

struct value_row { u32 msr; u64 value; bool legal; };

static void values_are_checked(void **state)
{
    static const struct value_row rows[] = {
        {MSR_IA32_PAT, 0x0007040600070406ULL, true}, {MSR_IA32_PAT, 0x0007040600070402ULL, false},
        {MSR_IA32_PAT, 0x0807040600070406ULL, false}, {MSR_IA32_PAT, 0x0107010501070105ULL, true},
        {MSR_IA32_LSTAR, 0xFFFF800000000000ULL, true}, {MSR_IA32_LSTAR, 0x00007FFFFFFFFFFFULL, true},
        {MSR_IA32_LSTAR, 0x0000800000000000ULL, false}, {MSR_IA32_CSTAR, 0xFFFF000000000000ULL, false},
        {MSR_IA32_SYSENTER_EIP, 0x8000000000000000ULL, false}, {MSR_IA32_SYSENTER_CS, 0x10, true},
        {MSR_IA32_FS_BASE, 0x1000, true}, {MSR_IA32_GS_BASE, 0x0001000000000000ULL, false},
        {MSR_IA32_KERNEL_GS_BASE, 0x0001000000000000ULL, false}, {MSR_IA32_FMASK, 0x47700, true},
        {MSR_IA32_TSC_AUX, 0xFFFFFFFF, true}, {MSR_IA32_TSC_AUX, 0x100000000ULL, false},
        {MSR_IA32_DEBUGCTL, 0, true}, {MSR_IA32_DEBUGCTL, 1, false}, {MSR_IA32_BIOS_SIGN_ID, 7, true},
        {MSR_IA32_MTRRCAP, 0x508, false}, {MSR_IA32_MCG_STATUS, 0, true}, {MSR_IA32_MCG_STATUS, 1, false},
        {MSR_IA32_MTRR_DEF_TYPE, 0xC06, true}, {MSR_IA32_MTRR_DEF_TYPE, 0xC02, false},
        {MSR_IA32_MTRR_DEF_TYPE, 0x1006, false},
        {MSR_IA32_MTRR_DEF_TYPE, 0x106, false},
        {0x200, 0x80000000 | MEMTYPE_UC, true}, {0x200, 0x80000003, false}, {0x200, 0x80000100, false},
        {0x201, 0xFF80000800ULL, true}, {0x201, 0xFF80000801ULL, false}, {0x201, 0x1FF80000800ULL, false},
        {0x250, 0x0606060606060606ULL, true}, {0x250, 0x0606060606060602ULL, false},
        {0x26F, 0x0707070707070707ULL, false},
        {MSR_IA32_EFER, EFER_SCE | EFER_NXE, true}, {MSR_IA32_EFER, EFER_SVME, false}, {MSR_IA32_EFER, BIT(1), false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u64 before = value_of(rows[i].msr);
        int err = writes(rows[i].msr, rows[i].value);
        if ((err == 0) != rows[i].legal) {
            fail_msg("msr %x value %llx: %d", rows[i].msr, (unsigned long long)rows[i].value, err);
        }
        if (!rows[i].legal) {
            assert_true(value_of(rows[i].msr) == before);
        } else if (rows[i].msr != MSR_IA32_BIOS_SIGN_ID) {
            assert_true(value_of(rows[i].msr) == rows[i].value);
        }
    }
}

static void each_register_is_its_own(void **state)
{
    static const u32 msrs[] = {0x174, 0x175, 0x176, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, 0xC0000100,
        0xC0000101,
        0xC0000102, 0xC0000103, 0x201, 0x203, 0x20F, 0x205};

    (void)state;
    for (u64 i = 0; i < ARRAY_SIZE(msrs); i++) {
        assert_int_equal(writes(msrs[i], (i + 1) << 12), 0);
    }
    for (u64 i = 0; i < ARRAY_SIZE(msrs); i++) {
        assert_true(value_of(msrs[i]) == (i + 1) << 12);
    }
    for (u32 msr = 0x268; msr <= 0x26F; msr++) {
        assert_int_equal(writes(msr, (msr & 1) != 0 ? 6 : 1), 0);
    }
    assert_int_equal(value_of(0x268), 1);
    assert_int_equal(value_of(0x26F), 6);
    assert_int_equal(value_of(0x250), 0);
    assert_true(fake_v.arch.seg[X86_FS].base == 8 << 12);
    assert_true(fake_v.arch.seg[X86_GS].base == 9 << 12);
    assert_true(fake_host.tsc_aux == 11 << 12); /* takes effect at once */
}

static void tsc_write_moves_the_offset(void **state)
{
    (void)state;
    assert_true(value_of(MSR_IA32_TIME_STAMP_COUNTER) == 1000);
    assert_int_equal(writes(MSR_IA32_TIME_STAMP_COUNTER, 50), 0);
    fake_host.tsc += 7;
    assert_true(value_of(MSR_IA32_TIME_STAMP_COUNTER) == 57);
    assert_int_equal(fake_log.time_offsets, 1);
}

static void tsc_adjust_is_the_sum_of_moves(void **state)
{
    (void)state;
    assert_int_equal(value_of(MSR_IA32_TSC_ADJUST), 0);
    assert_int_equal(writes(MSR_IA32_TIME_STAMP_COUNTER, 1700), 0); /* was 1000 */
    assert_int_equal(value_of(MSR_IA32_TSC_ADJUST), 700);
    assert_int_equal(writes(MSR_IA32_TSC_ADJUST, 50), 0);
    assert_int_equal(value_of(MSR_IA32_TIME_STAMP_COUNTER), 1050);
    assert_int_equal(writes(MSR_IA32_TSC_ADJUST, (u64)-1000), 0);
    assert_int_equal(value_of(MSR_IA32_TIME_STAMP_COUNTER), 0);
    assert_int_equal(fake_log.time_offsets, 3);
}

static int chip_sysreg(void *chip, struct vcpu *v, u32 reg, bool write, u64 *value)
{
    u64 *kept = chip;

    (void)v;
    if (reg != MSR_IA32_APIC_BASE && reg != MSR_IA32_X2APIC_FIRST + 8) {
        return -E_NOENT;
    }
    *(write ? kept : value) = write ? *value : *kept;
    return 0;
}

static void chip_answers_its_own_registers(void **state)
{
    static const struct irqchip_ops ops = {.sysreg = chip_sysreg};
    u64 kept = 0x1234;

    (void)state;
    fake_v.config.chip_ops = &ops;
    fake_v.config.chip = &kept;
    assert_true(value_of(MSR_IA32_APIC_BASE) == 0x1234);
    assert_int_equal(writes(MSR_IA32_X2APIC_FIRST + 8, 0x20), 0);
    assert_true(kept == 0x20);
    assert_int_equal(writes(MSR_IA32_X2APIC_FIRST + 9, 0), -E_GUEST);
    fake_v.config.chip_ops = NULL;
    assert_false(reads(MSR_IA32_APIC_BASE));
    assert_int_equal(writes(MSR_IA32_TSC_DEADLINE, 1), -E_GUEST);
}

static void log_is_bounded(void **state)
{
    size_t lines = 0;

    (void)state;
    host_log_clear();
    for (u32 round = 0; round < 3; round++) {
        for (u32 msr = 0x3000; msr < 0x5000; msr++) {
            (void)reads(msr);
        }
    }
    for (const char *p = host_log; (p = strchr(p, '\n')) != NULL; p++) {
        lines++;
    }
    assert_int_equal(lines, ARRAY_SIZE(fake_v.arch.warned_list));
    assert_non_null(strstr(host_log, "msr=0x3000 access=read"));
}

static void passthrough_registers_are_listed(void **state)
{
    (void)state;
    for (u32 i = 0; i < 0x2000; i++) {
        assert_true(!x86_msr_passthrough(i, false) || reads(i));
        assert_true(!x86_msr_passthrough(0xC0000000 + i, true) || reads(0xC0000000 + i));
        assert_false(x86_msr_passthrough(0xC0010000 + i, false));
    }
    assert_true(x86_msr_passthrough(MSR_IA32_KERNEL_GS_BASE, true));
    assert_false(x86_msr_passthrough(MSR_IA32_EFER, false));
    assert_false(x86_msr_passthrough(MSR_IA32_PAT, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sweep_answers_exactly_the_list, fake_setup),
        cmocka_unit_test_setup(every_write_of_any_value_is_survived, fake_setup),
        cmocka_unit_test_setup(intel_and_amd_differ, fake_setup),
        cmocka_unit_test_setup(the_machines_own_are_refused, fake_setup),
        cmocka_unit_test_setup(speculation, fake_setup),
        cmocka_unit_test_setup(values_are_checked, fake_setup),
        cmocka_unit_test_setup(each_register_is_its_own, fake_setup),
        cmocka_unit_test_setup(tsc_write_moves_the_offset, fake_setup),
        cmocka_unit_test_setup(tsc_adjust_is_the_sum_of_moves, fake_setup),
        cmocka_unit_test_setup(chip_answers_its_own_registers, fake_setup),
        cmocka_unit_test_setup(log_is_bounded, fake_setup),
        cmocka_unit_test_setup(passthrough_registers_are_listed, fake_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
