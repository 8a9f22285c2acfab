/* units: vcpu/x86_64/svm/probe.c kernel/lib/fmt.c */
/* Acceptance rows 1 and 3: what the probe says about a machine, and what it does about VM_CR, by a scripted CPU. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/svm/internal.h"
#include <string.h>

static struct {
    struct x86_cpuid features, svm, address;
    u64 vm_cr;
    bool no_vm_cr;
    unsigned writes;
} cpu;

static struct x86_cpuid fake_cpuid(u32 leaf)
{
    switch (leaf) {
    case CPUID_EXT_FEATURES: return cpu.features;
    case CPUID_EXT_SVM: return cpu.svm;
    case CPUID_EXT_ADDRESS: return cpu.address;
    default: return (struct x86_cpuid){0, 0, 0, 0};
    }
}

static int fake_rdmsr(u32 msr, u64 *value)
{
    assert_int_equal(msr, MSR_VM_CR);
    if (cpu.no_vm_cr) {
        return -E_HW;
    }
    *value = cpu.vm_cr;
    return 0;
}

static int fake_wrmsr(u32 msr, u64 value)
{
    assert_int_equal(msr, MSR_VM_CR);
    cpu.writes++;
    if (cpu.no_vm_cr || (cpu.vm_cr & VM_CR_LOCK) != 0) {
        return -E_HW;
    }
    cpu.vm_cr = value;
    return 0;
}

static const struct svm_hw fake = {fake_cpuid, fake_rdmsr, fake_wrmsr, NULL};

/* A CPU with all that is needed. */
static int setup(void **state)
{
    (void)state;
    memset(&cpu, 0, sizeof(cpu));
    cpu.features.ecx = CPUID_EXT1_ECX_SVM;
    cpu.features.edx = CPUID_EXT1_EDX_PDPE1GB;
    cpu.svm = (struct x86_cpuid){1, 16, 0, (u32)SVM_FEATURE_NP | (u32)SVM_FEATURE_NRIPS};
    cpu.address.eax = 0x3028;
    return 0;
}

static const char *refusal(void)
{
    struct svm_features features;
    const char *missing = NULL;

    assert_int_equal(svm_probe(&fake, &features, &missing), -E_NOSYS);
    assert_int_equal(cpu.writes, 0);
    return missing;
}

static void test_good_cpu(void **state)
{
    struct svm_features features;
    const char *missing = NULL;
    char text[160];

    (void)state;
    assert_int_equal(svm_probe(&fake, &features, &missing), 0);
    assert_null(missing);
    assert_int_equal(features.asids, 16);
    assert_int_equal(features.phys_bits, 40);
    assert_true(features.leaf_1g);
    assert_int_equal(cpu.writes, 0);
    svm_summary(&features, text, sizeof(text));
    assert_string_equal(text, "revision=1 asids=16 levels=4 features=npt,nrips");
}

static void test_summary_is_bounded(void **state)
{
    struct svm_features features = {.edx = ~0U};
    char text[160];

    (void)state;
    for (size_t size = 1; size < sizeof(text); size++) {
        memset(text, 'x', sizeof(text));
        svm_summary(&features, text, size);
        assert_true(strlen(text) < size);
        assert_int_equal(text[size], 'x');
    }
}

static void test_each_missing_bit_is_named(void **state)
{
    setup(state);
    cpu.features.ecx = 0;
    assert_string_equal(refusal(), "CPUID.80000001H:ECX.SVM[bit 2]");

    setup(state);
    cpu.svm.edx &= ~(u32)SVM_FEATURE_NP;
    assert_string_equal(refusal(), "CPUID.8000000AH:EDX.NP[bit 0]");

    setup(state);
    cpu.svm.ebx = 1;
    assert_string_equal(refusal(), "CPUID.8000000AH:EBX.NASID");

    setup(state);
    cpu.vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;
    assert_string_equal(refusal(), "SVMDIS (bit 4 of VM_CR) locked on by firmware");
}

static void test_disabled_unlocked_is_enabled(void **state)
{
    struct svm_features features;
    const char *missing = NULL;

    (void)state;
    cpu.vm_cr = VM_CR_SVMDIS | VM_CR_R_INIT;
    assert_int_equal(svm_probe(&fake, &features, &missing), 0);
    assert_int_equal(cpu.writes, 0);
    assert_int_equal(svm_unlock(&fake), 0);
    assert_int_equal(cpu.writes, 1);
    assert_int_equal(cpu.vm_cr, VM_CR_R_INIT);
}

static void test_locked_off_is_an_error(void **state)
{
    (void)state;
    cpu.vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;
    assert_int_equal(svm_unlock(&fake), -E_HW);
    assert_int_equal(cpu.writes, 0);
}

static void test_locked_on_is_not_written(void **state)
{
    (void)state;
    cpu.vm_cr = VM_CR_LOCK;
    assert_int_equal(svm_unlock(&fake), 0);
    assert_int_equal(cpu.writes, 0);
}

static void test_no_vm_cr_is_not_disabled(void **state)
{
    struct svm_features features;
    const char *missing = NULL;

    (void)state;
    cpu.no_vm_cr = true;
    assert_int_equal(svm_probe(&fake, &features, &missing), 0);
    assert_int_equal(svm_unlock(&fake), 0);
    assert_int_equal(cpu.writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good_cpu, setup),
        cmocka_unit_test_setup(test_summary_is_bounded, setup),
        cmocka_unit_test_setup(test_each_missing_bit_is_named, setup),
        cmocka_unit_test_setup(test_disabled_unlocked_is_enabled, setup),
        cmocka_unit_test_setup(test_locked_off_is_an_error, setup),
        cmocka_unit_test_setup(test_locked_on_is_not_written, setup),
        cmocka_unit_test_setup(test_no_vm_cr_is_not_disabled, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
