/* units: vcpu/x86_64/barriers.c kernel/lib/fmt.c */
/* Which barriers CPUs of the last fifteen years need, by what they say of themselves. */
#include "tests/unit/host.h"
#include <string.h>
#include "vcpu/x86_64/barriers.h"

#define RTM BIT32(11)
#define MD_CLEAR BIT32(10)
#define SPEC_CTRL BIT32(26)
#define L1D_FLUSH BIT32(28)
#define AMD_IBPB BIT32(12)
#define AMD_IBRS BIT32(14)
#define AMD_ALWAYS_ON BIT32(16)
#define AMD_IBPB_RET BIT32(30)

#define RDCL_NO BIT(0)
#define IBRS_ALL BIT(1)
#define SKIP_L1DFL BIT(3)
#define MDS_NO BIT(5)
#define TAA_NO BIT(8)
#define STALE_NO (BIT(13) | BIT(14) | BIT(15))
#define FB_CLEAR BIT(17)
#define RFDS_NO BIT(27)
#define RFDS_CLEAR BIT(28)

static const struct {
    const char *who;
    struct x86_barrier_cpu cpu;
    const char *want;
} machines[] = {
    {"an emulator, or a CPU before 2018", {0, 0, 0, 0}, "rsb"},
    {"Haswell, microcode of early 2018", {RTM, SPEC_CTRL, 0, 0}, "ibpb,rsb"},
    {"Skylake, microcode of 2019", {RTM, SPEC_CTRL | MD_CLEAR | L1D_FLUSH, 0, 0}, "ibpb,rsb,l1d-flush,verw"},
    {"Skylake nested under a hypervisor that flushes", {RTM, SPEC_CTRL | MD_CLEAR | L1D_FLUSH, 0, SKIP_L1DFL}, "ibpb,rsb,verw"},
    {"Cascade Lake: TAA", {RTM, SPEC_CTRL | MD_CLEAR | L1D_FLUSH, 0, RDCL_NO | IBRS_ALL | SKIP_L1DFL | MDS_NO}, "ibpb,rsb,verw,ibrs"},
    {"the same with TSX off", {0, SPEC_CTRL | MD_CLEAR | L1D_FLUSH, 0, RDCL_NO | IBRS_ALL | SKIP_L1DFL | MDS_NO}, "ibpb,rsb,ibrs"},
    {"Ice Lake: MMIO stale data",
     {RTM, SPEC_CTRL | MD_CLEAR | L1D_FLUSH, 0, RDCL_NO | IBRS_ALL | SKIP_L1DFL | MDS_NO | TAA_NO | FB_CLEAR},
     "ibpb,rsb,verw,ibrs"},
    {"one of the three is not enough", {0, SPEC_CTRL, 0, RDCL_NO | MDS_NO | TAA_NO | FB_CLEAR | BIT(13)}, "ibpb,rsb,verw"},
    {"Sapphire Rapids: nothing to clear",
     {RTM, SPEC_CTRL | MD_CLEAR | L1D_FLUSH, 0, RDCL_NO | IBRS_ALL | SKIP_L1DFL | MDS_NO | TAA_NO | STALE_NO | FB_CLEAR},
     "ibpb,rsb,ibrs"},
    {"Gracemont: register files",
     {0, SPEC_CTRL | MD_CLEAR, 0, RDCL_NO | IBRS_ALL | MDS_NO | TAA_NO | STALE_NO | RFDS_CLEAR}, "ibpb,rsb,verw,ibrs"},
    {"and one without that fault",
     {0, SPEC_CTRL | MD_CLEAR, 0, RDCL_NO | IBRS_ALL | MDS_NO | TAA_NO | STALE_NO | RFDS_CLEAR | RFDS_NO}, "ibpb,rsb,ibrs"},
    {"Zen 2", {0, 0, AMD_IBPB | AMD_IBRS, 0}, "ibpb,rsb"},
    {"Zen 3: IBRS is always on", {0, 0, AMD_IBPB | AMD_IBRS | AMD_ALWAYS_ON, 0}, "ibpb,rsb,ibrs"},
    {"Zen 4: IBPB takes returns too", {0, 0, AMD_IBPB | AMD_IBRS | AMD_ALWAYS_ON | AMD_IBPB_RET, 0}, "ibpb,ibrs"},
};

static void each_machine_gets_what_it_needs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
        char names[64];
        x86_barriers_name(x86_barriers_choose(&machines[i].cpu), names, sizeof(names));
        if (strcmp(names, machines[i].want) != 0) {
            fail_msg("%s: %s instead of %s", machines[i].who, names, machines[i].want);
        }
    }
}

static void names_fit(void **state)
{
    char names[40], small[4];

    (void)state;
    x86_barriers_name(0, names, sizeof(names));
    assert_string_equal(names, "none");
    x86_barriers_name(~0U, names, sizeof(names));
    assert_string_equal(names, "ibpb,rsb,l1d-flush,verw,ibrs");
    x86_barriers_name(~0U, small, sizeof(small));
    assert_int_equal(strlen(small), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_machine_gets_what_it_needs),
        cmocka_unit_test(names_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
