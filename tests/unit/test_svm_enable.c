/* units: vcpu/x86_64/svm/enable.c vcpu/x86_64/svm/probe.c vcpu/x86_64/svm/maps.c vcpu/x86_64/svm/asid.c kernel/lib/fmt.c mm/frame.c mm/frame_init.c mm/x86_64/pt_formats.c tests/unit/memory.c */
/* Acceptance row 5: enabling leaves nothing behind when it fails, and works later. Row 24's sibling: the permission maps.
 * And the ASIDs: never the host's, never one twice without a flush. */
#include "tests/unit/host.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "tests/unit/memory.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/svm/internal.h"
#include <string.h>

#define ASIDS 16U

static struct {
    u64 efer, vm_cr, hsave;
    u32 refused_msr; /* writing it faults */
    unsigned saves;
    u32 edx;
    bool tr_busy;
} cpu;

static struct x86_cpuid fake_cpuid(u32 leaf)
{
    switch (leaf) {
    case CPUID_EXT_FEATURES: return (struct x86_cpuid){0, 0, CPUID_EXT1_ECX_SVM, 0};
    case CPUID_EXT_SVM: return (struct x86_cpuid){1, ASIDS, 0, cpu.edx};
    default: return (struct x86_cpuid){40, 0, 0, 0};
    }
}

static u64 *msr_at(u32 msr)
{
    switch (msr) {
    case MSR_IA32_EFER: return &cpu.efer;
    case MSR_VM_CR: return &cpu.vm_cr;
    case MSR_VM_HSAVE_PA: return &cpu.hsave;
    default: fail_msg("unexpected MSR 0x%x", msr); return NULL;
    }
}

static int fake_rdmsr(u32 msr, u64 *value)
{
    *value = *msr_at(msr);
    return 0;
}

static int fake_wrmsr(u32 msr, u64 value)
{
    if (msr == cpu.refused_msr) {
        return -E_HW;
    }
    *msr_at(msr) = value;
    return 0;
}

static void fake_save_host(hpa_t vmcb)
{
    struct vmcb *host = phys_ptr(vmcb);

    assert_true(vmcb.v != 0 && IS_ALIGNED(vmcb.v, FRAME_SIZE));
    host->save.seg[VMCB_TR].attrib = cpu.tr_busy ? VMCB_SEG_P | TSS_TYPE_32 | TSS_BUSY : VMCB_SEG_P | TSS_TYPE_32;
    cpu.saves++;
}

static const struct svm_hw fake = {fake_cpuid, fake_rdmsr, fake_wrmsr, fake_save_host};

/* What policy passes: everything that maps.c asks about but writes of one MSR. */
bool x86_msr_passthrough(u32 msr, bool write)
{
    return !(msr == MSR_IA32_STAR && write);
}

static int setup(void **state)
{
    (void)state;
    memset(&cpu, 0, sizeof(cpu));
    cpu.efer = EFER_LME | EFER_LMA | EFER_NXE;
    cpu.edx = (u32)SVM_FEATURE_NP;
    memset(&percpu()->arch, 0, sizeof(percpu()->arch));
    return 0;
}

/* --- enable ------------------------------------------------------------------------------------------------------ */

static void test_enable_and_disable(void **state)
{
    struct arch_percpu *area = &percpu()->arch;
    u64 before = cpu.efer;

    (void)state;
    assert_int_equal(svm_maps_init(), 0);
    u64 frames = frame_get_stats().free;
    assert_int_equal(svm_cpu_enable(&fake, area), 0);
    assert_int_equal(cpu.efer, before | EFER_SVME);
    assert_int_equal(cpu.hsave, area->hw_enable_pa.v);
    assert_int_equal(cpu.saves, 1);
    assert_int_not_equal(area->hw_enable_pa.v, area->host_state_pa.v);
    assert_int_equal(frame_get_stats().free, frames - 2);
    svm_cpu_disable(&fake, area);
    assert_int_equal(cpu.efer, before);
    assert_int_equal(cpu.hsave, 0);
    assert_int_equal(frame_get_stats().free, frames);
}

static void refused_then_works(u32 msr)
{
    struct arch_percpu *area = &percpu()->arch;
    u64 before = cpu.efer;
    u64 frames = frame_get_stats().free;

    cpu.refused_msr = msr;
    assert_int_equal(svm_cpu_enable(&fake, area), -E_HW);
    assert_int_equal(cpu.efer, before);
    assert_int_equal(cpu.saves, 0);
    assert_null(area->hw_enable);
    assert_int_equal(frame_get_stats().free, frames);
    cpu.refused_msr = 0;
    assert_int_equal(svm_cpu_enable(&fake, area), 0);
    svm_cpu_disable(&fake, area);
    assert_int_equal(frame_get_stats().free, frames);
}

static void test_refused_save_area_rolls_back(void **state)
{
    (void)state;
    refused_then_works(MSR_VM_HSAVE_PA);
}

static void test_refused_efer_rolls_back(void **state)
{
    (void)state;
    refused_then_works(MSR_IA32_EFER);
}

static void test_no_memory_rolls_back(void **state)
{
    u64 before = cpu.efer;

    (void)state;
    assert_int_equal(svm_maps_init(), 0);
    for (u64 spare = 0; spare < 2; spare++) {
        memory_hog(spare);
        assert_int_equal(svm_cpu_enable(&fake, &percpu()->arch), -E_NOMEM);
        assert_int_equal(cpu.efer, before);
        assert_int_equal(frame_get_stats().free, spare);
        memory_unhog();
    }
}

static void test_locked_off(void **state)
{
    u64 before = cpu.efer;

    (void)state;
    cpu.vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;
    assert_int_equal(svm_cpu_enable(&fake, &percpu()->arch), -E_HW);
    assert_int_equal(cpu.efer, before);
}

/* The first CPU had no NRIPS, so a second with it serves; one without nested paging does not. */
static void test_lesser_second_cpu(void **state)
{
    (void)state;
    cpu.edx |= (u32)SVM_FEATURE_NRIPS;
    cpu.tr_busy = true;
    assert_int_equal(svm_cpu_enable(&fake, &percpu()->arch), 0);
    assert_false(svm_has(SVM_FEATURE_NRIPS));
    assert_false(svm_features.tr_busy);
    svm_cpu_disable(&fake, &percpu()->arch);
    cpu.edx = 0;
    assert_int_equal(svm_cpu_enable(&fake, &percpu()->arch), -E_HW);
}

/* --- maps -------------------------------------------------------------------------------------------------------- */

static unsigned msr_bits(u32 range, u32 index)
{
    const u8 *map = phys_ptr(svm_msrpm());

    return (map[range * 0x800 + index / 4] >> (index % 4 * 2)) & 3;
}

static void test_maps(void **state)
{
    const u8 *io = phys_ptr(svm_iopm());
    unsigned open = 0;

    (void)state;
    for (unsigned i = 0; i < 3 * FRAME_SIZE; i++) {
        assert_int_equal(io[i], 0xFF);
    }
    for (u32 range = 0; range < 3; range++) {
        for (u32 index = 0; index < 0x2000; index++) {
            open += msr_bits(range, index) != 3;
        }
    }
    assert_int_equal(open, 11);
    assert_int_equal(msr_bits(0, MSR_IA32_SYSENTER_CS), 0);
    assert_int_equal(msr_bits(1, MSR_IA32_LSTAR - 0xC0000000U), 0);
    assert_int_equal(msr_bits(1, MSR_IA32_KERNEL_GS_BASE - 0xC0000000U), 0);
    assert_int_equal(msr_bits(1, MSR_IA32_STAR - 0xC0000000U), 2); /* read passes, write exits */
    assert_int_equal(msr_bits(1, MSR_IA32_EFER - 0xC0000000U), 3);
    assert_int_equal(msr_bits(0, MSR_IA32_PAT), 3);
    assert_int_equal(msr_bits(0, MSR_IA32_TIME_STAMP_COUNTER), 3);
    assert_int_equal(msr_bits(2, MSR_VM_HSAVE_PA - 0xC0010000U), 3);
}

/* --- ASIDs ------------------------------------------------------------------------------------------------------- */

static void test_asids(void **state)
{
    struct svm_vcpu svm = {0};
    u64 generation = 0;
    u32 used = 0;
    hpa_t page;

    (void)state;
    assert_int_equal(frame_alloc(0, FRAME_OWNER_VCPU, &page), 0);
    svm.vmcb = phys_ptr(page);
    svm_asid_exhaust(&percpu()->arch);
    for (unsigned i = 0; i < 100; i++) {
        struct vmcb_control *control = &svm.vmcb->control;
        control->tlb_control = VMCB_TLB_NOTHING;
        control->clean = VMCB_CLEAN_ALL;
        svm_asid_assign(&svm);
        assert_in_range(control->guest_asid, 1, ASIDS - 1);
        assert_int_equal(control->clean, VMCB_CLEAN_ALL & ~VMCB_CLEAN_ASID);
        assert_int_equal(svm.asid_generation, percpu()->arch.asid_generation);
        if (svm.asid_generation != generation) {
            assert_true(svm.asid_generation > generation);
            assert_int_equal(control->tlb_control, VMCB_TLB_FLUSH_ALL);
            generation = svm.asid_generation;
            used = 0;
        }
        assert_int_equal(used & BIT32(control->guest_asid), 0);
        used |= BIT32(control->guest_asid);
    }
    assert_int_equal(frame_free(page, 0, FRAME_OWNER_VCPU), 0);
}

static int group_setup(void **state)
{
    int error = memory_reserve(state);

    if (error == 0) {
        memory_start(MIB(1), MIB(8));
        (void)setup(state);
        error = svm_cpu_enable(&fake, &percpu()->arch); /* the first CPU: its features are everybody's */
        svm_cpu_disable(&fake, &percpu()->arch);
    }
    return error;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_maps, setup),
        cmocka_unit_test_setup(test_enable_and_disable, setup),
        cmocka_unit_test_setup(test_refused_save_area_rolls_back, setup),
        cmocka_unit_test_setup(test_refused_efer_rolls_back, setup),
        cmocka_unit_test_setup(test_no_memory_rolls_back, setup),
        cmocka_unit_test_setup(test_locked_off, setup),
        cmocka_unit_test_setup(test_lesser_second_cpu, setup),
        cmocka_unit_test_setup(test_asids, setup),
    };
    return cmocka_run_group_tests(tests, group_setup, memory_drop);
}
