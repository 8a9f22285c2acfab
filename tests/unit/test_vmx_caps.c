/* units: vcpu/x86_64/vmx/caps.c vcpu/x86_64/vmx/enable.c kernel/lib/fmt.c */
/* VMX capability rules and enabling, with a fake CPU: acceptance rows 3, 4, 5 and 7. */
#include "tests/unit/host.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "vcpu/x86_64/vmx/internal.h"
#include <stdio.h>
#include <string.h>

#define CAPABILITY(must, may) ((u64)(may) << 32 | (must))

/* What Bochs 2.7 reports for corei7_skylake_x, controls from the TRUE MSRs. */
static const struct vmx_msrs good_msrs = {
    .feature_control = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX,
    .basic = VMX_BASIC_TRUE_CONTROLS | 0x2B,
    .misc = 0x600401E0,
    .ept_vpid = 0xF0106334141,
    .cr0_fixed0 = 0x80000021,
    .cr0_fixed1 = 0xFFFFFFFF,
    .cr4_fixed0 = 0x2000,
    .cr4_fixed1 = 0x3727FF,
    .controls = {
        [VMX_PIN] = CAPABILITY(0x16U, 0x7FU),
        [VMX_PROC] = CAPABILITY(0x04006172U, 0xF7F9FFFEU),
        [VMX_PROC2] = CAPABILITY(0U, 0x2177FFFU),
        [VMX_EXIT] = CAPABILITY(0x36DFBU, 0x7FFFFFU),
        [VMX_ENTRY] = CAPABILITY(0x11FBU, 0xFFFFU),
    },
};

static void test_control_good(void **state)
{
    struct vmx_refusal why;
    u32 value;

    (void)state;
    assert_int_equal(vmx_control_resolve(VMX_PIN, good_msrs.controls[VMX_PIN], &value, &why), 0);
    assert_int_equal(value & 0x16U, 0x16U); /* must be 1 */
    assert_true((value & VMX_CTL(PIN, NMI_EXITING)) != 0);
    assert_true((value & VMX_CTL(PIN, PREEMPTION_TIMER)) != 0); /* liked and there */
    assert_int_equal(value & ~0x7FU, 0);                       /* must be 0 */
}

static void test_control_liked_is_optional(void **state)
{
    struct vmx_refusal why;
    u32 value;
    u32 may = 0x7FU & ~VMX_CTL(PIN, PREEMPTION_TIMER);

    (void)state;
    assert_int_equal(vmx_control_resolve(VMX_PIN, CAPABILITY(0x16U, may), &value, &why), 0);
    assert_int_equal(value & VMX_CTL(PIN, PREEMPTION_TIMER), 0);
}

/* Every bit that Mote needs, taken away one at a time, is refused by its name, number and control. */
static void test_control_each_needed_bit(void **state)
{
    static const struct { enum vmx_table table; u32 bit; const char *name; } needed[] = {
        {VMX_PIN, 0, "EXTERNAL_INTERRUPT_EXITING"}, {VMX_PIN, 3, "NMI_EXITING"}, {VMX_PIN, 5, "VIRTUAL_NMIS"},
        {VMX_PROC, 2, "INTERRUPT_WINDOW_EXITING"}, {VMX_PROC, 3, "TSC_OFFSETTING"}, {VMX_PROC, 7, "HLT_EXITING"},
        {VMX_PROC, 19, "CR8_LOAD_EXITING"}, {VMX_PROC, 22, "NMI_WINDOW_EXITING"},
        {VMX_PROC, 24, "UNCONDITIONAL_IO_EXITING"}, {VMX_PROC, 28, "MSR_BITMAPS"}, {VMX_PROC, 31, "SECONDARY_CONTROLS"},
        {VMX_PROC2, 1, "EPT"}, {VMX_PROC2, 7, "UNRESTRICTED_GUEST"}, {VMX_PROC2, 6, "WBINVD_EXITING"},
        {VMX_EXIT, 9, "HOST_64BIT"}, {VMX_EXIT, 19, "LOAD_PAT"}, {VMX_EXIT, 21, "LOAD_EFER"},
        {VMX_ENTRY, 9, "IA32E_GUEST"}, {VMX_ENTRY, 14, "LOAD_PAT"}, {VMX_ENTRY, 15, "LOAD_EFER"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        struct vmx_refusal why;
        char expected[96];
        u32 value = 0xDEAD;
        u64 capability = good_msrs.controls[needed[i].table] & ~(BIT(needed[i].bit) << 32) & ~BIT(needed[i].bit);
        assert_int_equal(vmx_control_resolve(needed[i].table, capability, &value, &why), -E_NOSYS);
        assert_int_equal(value, 0xDEAD);
        (void)snprintf(expected, sizeof(expected), "%s (bit %u of %s)", needed[i].name, needed[i].bit,
                       vmx_table_name(needed[i].table));
        assert_string_equal(why.text, expected);
    }
}

static void test_control_forced(void **state)
{
    struct vmx_refusal why;
    u32 value;
    u64 forced = good_msrs.controls[VMX_EXIT] | VMX_CTL(EXIT, ACKNOWLEDGE_INTERRUPT);

    (void)state;
    assert_int_equal(vmx_control_resolve(VMX_EXIT, forced, &value, &why), -E_NOSYS);
    assert_string_equal(why.text, "ACKNOWLEDGE_INTERRUPT (bit 15 of VM-exit controls) forced to 1");
    /* Contradiction in the MSR itself: must be 1 and must be 0. */
    assert_int_equal(vmx_control_resolve(VMX_PIN, CAPABILITY(0x96U, 0x7FU), &value, &why), -E_NOSYS);
    /* Forced, but handled: CR3 exits of a CPU without TRUE MSRs. */
    u64 cr3 = good_msrs.controls[VMX_PROC] | VMX_CTL(PROC, CR3_LOAD_EXITING);
    assert_int_equal(vmx_control_resolve(VMX_PROC, cr3, &value, &why), 0);
    assert_true((value & VMX_CTL(PROC, CR3_LOAD_EXITING)) != 0);
}

static void test_caps(void **state)
{
    struct vmx_caps caps;
    struct vmx_refusal why;
    char text[160];

    (void)state;
    assert_int_equal(vmx_caps_resolve(&good_msrs, &caps, &why), 0);
    assert_int_equal(caps.revision, 0x2B);
    assert_int_equal(caps.timer_shift, 0);
    vmx_caps_summary(&caps, text, sizeof(text));
    assert_string_equal(text, "revision=0x2b asids=65536 levels=4 features=ept,ug,vpid,ad,2m,1g,timer,invpcid,tpr-shadow,apicv,xsaves");
}

static void test_caps_vpid_without_invvpid(void **state)
{
    struct vmx_msrs msrs = good_msrs;
    struct vmx_caps caps;
    struct vmx_refusal why;

    (void)state;
    msrs.ept_vpid &= ~VMX_EPT_INVVPID;
    assert_int_equal(vmx_caps_resolve(&msrs, &caps, &why), 0);
    assert_int_equal(caps.controls[VMX_PROC2] & VMX_CTL(PROC2, VPID), 0);
}

static void test_caps_refused(void **state)
{
    struct vmx_msrs msrs = good_msrs;
    struct vmx_caps caps = {.revision = 77};
    struct vmx_refusal why;

    (void)state;
    msrs.controls[VMX_PROC2] = CAPABILITY(0U, 0x7FU); /* Bochs corei5_lynnfield_750 */
    assert_int_equal(vmx_caps_resolve(&msrs, &caps, &why), -E_NOSYS);
    assert_string_equal(why.text, "UNRESTRICTED_GUEST (bit 7 of secondary processor-based controls)");
    assert_int_equal(caps.revision, 77);
    msrs.controls[VMX_PROC2] = CAPABILITY(0U, 0x41U); /* core2_penryn_t9600 */
    assert_int_equal(vmx_caps_resolve(&msrs, &caps, &why), -E_NOSYS);
    assert_string_equal(why.text, "EPT (bit 1 of secondary processor-based controls)");
    msrs = good_msrs;
    msrs.ept_vpid &= ~VMX_EPT_WB;
    assert_int_equal(vmx_caps_resolve(&msrs, &caps, &why), -E_NOSYS);
    assert_non_null(strstr(why.text, "bit 14 of IA32_VMX_EPT_VPID_CAP"));
    msrs.ept_vpid = good_msrs.ept_vpid & ~VMX_EPT_WALK_4;
    assert_int_equal(vmx_caps_resolve(&msrs, &caps, &why), -E_NOSYS);
    msrs.ept_vpid = good_msrs.ept_vpid & ~VMX_EPT_INVEPT;
    assert_int_equal(vmx_caps_resolve(&msrs, &caps, &why), -E_NOSYS);
    msrs = good_msrs;
    msrs.feature_control = FEATURE_CONTROL_LOCK;
    assert_int_equal(vmx_caps_resolve(&msrs, &caps, &why), -E_NOSYS);
    assert_non_null(strstr(why.text, "locked off by firmware"));
}

static void test_feature_control(void **state)
{
    static const struct { u64 now; int plan; } rows[] = {
        {0, 1},
        {FEATURE_CONTROL_VMX_OUTSIDE_SMX, 1},
        {FEATURE_CONTROL_LOCK, -E_NOSYS},
        {FEATURE_CONTROL_LOCK | BIT(1), -E_NOSYS}, /* inside SMX only */
        {FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX, 0},
        {BIT(20), 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u64 value = 0x1234;
        assert_int_equal(vmx_feature_control_plan(rows[i].now, &value), rows[i].plan);
        assert_int_equal(value, rows[i].plan == 1 ? rows[i].now | 5 : 0x1234);
    }
}

static void test_fixed_bits(void **state)
{
    static const struct { u64 value, exempt, violations; } cr0[] = {
        {0x80000021, 0, 0},
        {0xFFFFFFFF, 0, 0},
        {0x80000001, 0, 0x20},          /* NE clear */
        {0x00000021, 0, 0x80000000},    /* PG clear */
        {0x80000020, 0, 0x1},           /* PE clear */
        {0, 0, 0x80000021},
        {0x180000021, 0, 0x100000000},  /* bit 32 set */
        {0x20, 0x80000001, 0},          /* real mode of an unrestricted guest */
        {0x10, 0x80000001, 0x20},
    };
    static const struct { u64 value, violations; } cr4[] = {
        {0x2000, 0},       {0x3727FF, 0},      {0, 0x2000},         {0x20, 0x2000},
        {0x6000, 0x4000},  {0x3000, 0x1000},   {0x402000, 0x400000}, {0x802020, 0x800000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cr0); i++) {
        u64 bad = vmx_cr_violations(cr0[i].value, good_msrs.cr0_fixed0, good_msrs.cr0_fixed1, cr0[i].exempt);
        assert_int_equal(bad, cr0[i].violations);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cr4); i++) {
        assert_int_equal(vmx_cr_violations(cr4[i].value, good_msrs.cr4_fixed0, good_msrs.cr4_fixed1, 0),
                         cr4[i].violations);
    }
}

/* --- a CPU whose privileged instructions are variables --- */
static struct {
    u64 feature_control;
    unsigned msr_writes;
    u64 cr0, cr4;
    bool in_vmx, fail_vmxon;
    u64 cr4_at_vmxon;
    u32 revision_at_vmxon;
    unsigned frames;
    u8 page[4096] ALIGNED(4096);
} fake;

int frame_alloc(unsigned order, u16 owner, hpa_t *out)
{
    assert_int_equal(order, 0);
    assert_int_equal(owner, FRAME_OWNER_VCPU);
    if (fake.frames == 0) {
        return -E_NOMEM;
    }
    fake.frames--;
    memset(fake.page, 0, sizeof(fake.page));
    *out = phys_of(fake.page);
    return 0;
}

int frame_free(hpa_t pa, unsigned order, u16 owner)
{
    assert_int_equal(order, 0);
    assert_int_equal(owner, FRAME_OWNER_VCPU);
    assert_ptr_equal(phys_ptr(pa), fake.page);
    fake.frames++;
    return 0;
}

static u64 fake_read_msr(u32 msr)
{
    assert_int_equal(msr, MSR_IA32_FEATURE_CONTROL);
    return fake.feature_control;
}

static void fake_write_msr(u32 msr, u64 value)
{
    assert_int_equal(msr, MSR_IA32_FEATURE_CONTROL);
    assert_int_equal(fake.feature_control & FEATURE_CONTROL_LOCK, 0); /* a locked MSR would fault */
    fake.feature_control = value;
    fake.msr_writes++;
}

static u64 fake_read_cr0(void)
{
    return fake.cr0;
}

static u64 fake_read_cr4(void)
{
    return fake.cr4;
}

static void fake_write_cr4(u64 value)
{
    fake.cr4 = value;
}

static int fake_vmxon(hpa_t region)
{
    fake.cr4_at_vmxon = fake.cr4;
    fake.revision_at_vmxon = *(u32 *)phys_ptr(region);
    if (fake.fail_vmxon) {
        return -E_HW;
    }
    fake.in_vmx = true;
    return 0;
}

static void fake_vmxoff(void)
{
    fake.in_vmx = false;
}

static const struct vmx_ops fake_ops = {
    .read_msr = fake_read_msr,
    .write_msr = fake_write_msr,
    .read_cr0 = fake_read_cr0,
    .read_cr4 = fake_read_cr4,
    .write_cr4 = fake_write_cr4,
    .vmxon = fake_vmxon,
    .vmxoff = fake_vmxoff,
};

#define HOST_CR4 0x620ULL

static struct vmx_caps reset_fake(void)
{
    struct vmx_caps caps;
    struct vmx_refusal why;

    memset(&fake, 0, sizeof(fake));
    fake.feature_control = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
    fake.cr0 = 0x80010033;
    fake.cr4 = HOST_CR4;
    fake.frames = 1;
    assert_int_equal(vmx_caps_resolve(&good_msrs, &caps, &why), 0);
    return caps;
}

static void test_enable_and_disable(void **state)
{
    struct vmx_caps caps = reset_fake();
    struct percpu cpu = {.id = 0};

    (void)state;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(vmx_cpu_start(&fake_ops, &caps, &cpu), 0);
        assert_true(fake.in_vmx);
        assert_int_equal(fake.cr4, HOST_CR4 | CR4_VMXE);
        assert_int_equal(fake.revision_at_vmxon, 0x2B);
        assert_int_equal(fake.msr_writes, 0);
        assert_ptr_equal(cpu.arch.hw_enable, fake.page);
        vmx_cpu_stop(&fake_ops, &cpu);
        assert_false(fake.in_vmx);
        assert_int_equal(fake.cr4, HOST_CR4);
        assert_int_equal(fake.frames, 1);
        assert_null(cpu.arch.hw_enable);
    }
}

static void test_enable_unlocked(void **state)
{
    struct vmx_caps caps = reset_fake();
    struct percpu cpu = {.id = 0};

    (void)state;
    fake.feature_control = 0;
    assert_int_equal(vmx_cpu_start(&fake_ops, &caps, &cpu), 0);
    assert_int_equal(fake.msr_writes, 1);
    assert_int_equal(fake.feature_control, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
}

static void test_enable_locked_off(void **state)
{
    struct vmx_caps caps = reset_fake();
    struct percpu cpu = {.id = 0};

    (void)state;
    fake.feature_control = FEATURE_CONTROL_LOCK;
    assert_int_equal(vmx_cpu_start(&fake_ops, &caps, &cpu), -E_HW);
    assert_int_equal(fake.msr_writes, 0);
    assert_int_equal(fake.cr4, HOST_CR4);
    assert_int_equal(fake.frames, 1);
}

static void test_enable_rolls_back(void **state)
{
    struct vmx_caps caps = reset_fake();
    struct percpu cpu = {.id = 0};

    (void)state;
    fake.fail_vmxon = true;
    assert_int_equal(vmx_cpu_start(&fake_ops, &caps, &cpu), -E_HW);
    assert_int_equal(fake.cr4_at_vmxon & CR4_VMXE, CR4_VMXE);
    assert_int_equal(fake.cr4, HOST_CR4); /* VMXE clear again */
    assert_int_equal(fake.frames, 1);     /* page returned */
    assert_null(cpu.arch.hw_enable);
    fake.fail_vmxon = false;
    assert_int_equal(vmx_cpu_start(&fake_ops, &caps, &cpu), 0); /* later enable works */
}

static void test_enable_without_memory(void **state)
{
    struct vmx_caps caps = reset_fake();
    struct percpu cpu = {.id = 0};

    (void)state;
    fake.frames = 0;
    assert_int_equal(vmx_cpu_start(&fake_ops, &caps, &cpu), -E_NOMEM);
    assert_int_equal(fake.cr4, HOST_CR4);
}

static void test_enable_bad_fixed_bits(void **state)
{
    struct vmx_caps caps = reset_fake();
    struct percpu cpu = {.id = 0};

    (void)state;
    fake.cr0 = 0x80010013; /* NE clear */
    assert_int_equal(vmx_cpu_start(&fake_ops, &caps, &cpu), -E_HW);
    assert_int_equal(fake.frames, 1);
    assert_int_equal(fake.cr4, HOST_CR4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_good),
        cmocka_unit_test(test_control_liked_is_optional),
        cmocka_unit_test(test_control_each_needed_bit),
        cmocka_unit_test(test_control_forced),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_caps_vpid_without_invvpid),
        cmocka_unit_test(test_caps_refused),
        cmocka_unit_test(test_feature_control),
        cmocka_unit_test(test_fixed_bits),
        cmocka_unit_test(test_enable_and_disable),
        cmocka_unit_test(test_enable_unlocked),
        cmocka_unit_test(test_enable_locked_off),
        cmocka_unit_test(test_enable_rolls_back),
        cmocka_unit_test(test_enable_without_memory),
        cmocka_unit_test(test_enable_bad_fixed_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
