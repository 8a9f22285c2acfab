/* units: tests/unit/x86_fake.c vcpu/x86_64/msr.c vcpu/x86_64/msr_memtype.c vcpu/x86_64/msr_speculation.c vcpu/x86_64/cr.c vcpu/x86_64/cpuid.c vcpu/x86_64/regs.c vcpu/x86_64/event.c vcpu/x86_64/pv_clock.c vcpu/x86_64/pv_steal.c */
/* KVM's paravirtual MSRs: records are right, checked, and never leave RAM. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/time.h"
#include "tests/unit/x86_fake.h"
#include "vcpu/x86_64/pv.h"
#include <string.h>

#define RECORD_AT 0x1000U

static struct pv_clock_record record(void)
{
    struct pv_clock_record r;

    memcpy(&r, fake_ram + RECORD_AT, sizeof(r));
    return r;
}

/* What a guest reads as the time now. */
static u64 guest_ns(void)
{
    struct pv_clock_record r = record();
    u64 tsc = 0;

    assert_int_equal(x86_msr_read(&fake_v, 0x10, &tsc), 0);
    return r.system_time + x86_pv_clock_ns(tsc - r.tsc_timestamp, r.mul, r.shift);
}

static void start_at(u64 offset)
{
    fake_v.config.counter_offset = offset;
    fake_v.arch.tsc_offset = offset;
}

static void scale_is_exact_for_every_frequency(void **state)
{
    static const u64 rates[] = {1, 1000, 32768, 1000000, 3579545, 50000000, 999999999, 1000000000, 1000000001, 1999999999,
                                2000000000, 2300000000, 2595124000, 3999999999, 4294967296, 5000000000, 7999999999,
                                20000000000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        u32 mul;
        s8 shift;
        x86_pv_clock_scale(rates[i], &mul, &shift);
        assert_true(mul >= 1U << 31);
        u64 hour = x86_pv_clock_ns(rates[i] * 3600, mul, shift);
        s64 error = (s64)(hour - 3600 * NS_PER_SEC);
        if (error > 3600 || error < -3600) { /* 1e-9 */
            fail_msg("hz=%llu: an hour is off by %lld ns", (unsigned long long)rates[i], (long long)error);
        }
    }
}

static void clock_counts_from_the_vms_start(void **state)
{
    (void)state;
    fake_host.tsc = 5000000000ULL;
    start_at(0 - fake_host.tsc);
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_SYSTEM_TIME, RECORD_AT | 1), 0);
    assert_int_equal(record().version, 2);
    assert_int_equal(record().flags, PV_CLOCK_TSC_STABLE);
    assert_int_equal(guest_ns(), 0);
    fake_host.tsc += 2300000000ULL;
    assert_in_range(guest_ns(), NS_PER_SEC - 2, NS_PER_SEC);
    fake_host.tsc += 60 * 2300000000ULL; /* nobody ran it for a minute */
    assert_in_range(guest_ns(), 61 * NS_PER_SEC - 100, 61 * NS_PER_SEC);
}

static void clock_goes_on_when_the_guest_moves_its_tsc(void **state)
{
    static const u64 values[] = {0, 1, 1ULL << 40, ~0ULL - 5, 77};

    (void)state;
    fake_host.tsc = 5000000000ULL;
    start_at(0 - fake_host.tsc);
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_SYSTEM_TIME, RECORD_AT | 1), 0);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        fake_host.tsc += 2300;
        u64 before = guest_ns();
        assert_int_equal(x86_msr_write(&fake_v, 0x10, values[i]), 0);
        assert_int_equal(guest_ns(), before);
        assert_int_equal(record().version, 4 + 2 * i);
        assert_int_equal(record().flags, 0); /* the other vCPUs' clocks say something else now */
    }
}

static void a_pause_is_told_once(void **state)
{
    (void)state;
    fake_host.tsc = 5000000000ULL;
    start_at(0 - fake_host.tsc);
    vcpu_was_stopped(&fake_v); /* nobody asked */
    assert_int_equal(record().version, 0);
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_SYSTEM_TIME, RECORD_AT | 1), 0);
    fake_host.tsc += 60 * 2300000000ULL;
    u64 before = guest_ns();
    vcpu_was_stopped(&fake_v);
    assert_int_equal(record().flags, PV_CLOCK_TSC_STABLE | PV_CLOCK_GUEST_STOPPED);
    assert_int_equal(record().version, 4);
    assert_int_equal(guest_ns(), before);
    x86_pv_tsc_moved(&fake_v); /* the guest has cleared it: another reason to write does not bring it back */
    assert_int_equal(record().flags, PV_CLOCK_TSC_STABLE);
}

static void wall_clock_is_the_start_of_the_vm(void **state)
{
    u32 wall[3];

    (void)state;
    fake_host.tsc = 9 * 2300000000ULL;
    start_at(0 - 2 * 2300000000ULL); /* seven seconds old */
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_WALL_CLOCK, RECORD_AT), 0);
    memcpy(wall, fake_ram + RECORD_AT, sizeof(wall));
    assert_int_equal(wall[0], 2);
    assert_in_range((u64)wall[1] * NS_PER_SEC + wall[2], 1700000000ULL * NS_PER_SEC - 7 * NS_PER_SEC,
                    1700000000ULL * NS_PER_SEC - 7 * NS_PER_SEC + 10);
}

static void old_and_new_numbers_are_the_same_registers(void **state)
{
    u64 value = 0;

    (void)state;
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_SYSTEM_TIME_OLD, RECORD_AT | 1), 0);
    assert_int_equal(x86_msr_read(&fake_v, MSR_KVM_SYSTEM_TIME, &value), 0);
    assert_int_equal(value, RECORD_AT | 1);
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_WALL_CLOCK_OLD, RECORD_AT), 0);
    assert_int_equal(x86_msr_read(&fake_v, MSR_KVM_WALL_CLOCK, &value), 0);
    assert_int_equal(value, RECORD_AT);
}

static void addresses_are_checked(void **state)
{
    static const u64 refused[] = {RECORD_AT | 2, RECORD_AT | 3, sizeof(fake_ram), sizeof(fake_ram) - 8, ~0ULL - 3,
                                  0x8000000000000000ULL};
    u64 value;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        u64 clock = refused[i] | 1;
        assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_SYSTEM_TIME, clock), -E_GUEST);
        assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_WALL_CLOCK, refused[i]), -E_GUEST);
        assert_int_equal(x86_msr_read(&fake_v, MSR_KVM_SYSTEM_TIME, &value), 0);
        assert_int_equal(value, 0);
    }
}

static void steal_time_and_preempted(void **state)
{
    struct pv_steal_record *record = (struct pv_steal_record *)(void *)(fake_ram + RECORD_AT);

    (void)state;
    vcpu_scheduled(&fake_v, 5); /* nobody asked */
    vcpu_descheduled(&fake_v);
    assert_int_equal(record->version, 0);
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_STEAL_TIME, RECORD_AT | 1), 0);
    vcpu_scheduled(&fake_v, 1000);
    assert_int_equal(record->steal_ns, 1000);
    assert_int_equal(record->version, 2);
    assert_int_equal(record->preempted, 0);
    vcpu_descheduled(&fake_v);
    assert_int_equal(record->preempted, PV_PREEMPTED);
    vcpu_scheduled(&fake_v, 3000);
    assert_int_equal(record->steal_ns, 3000);
    assert_int_equal(record->version, 4);
    assert_int_equal(fake_v.requests, 0);
}

static void a_siblings_flush_is_not_lost(void **state)
{
    (void)state;
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_STEAL_TIME, RECORD_AT | 1), 0);
    vcpu_descheduled(&fake_v);
    fake_ram[RECORD_AT + 16] |= PV_PREEMPTED_FLUSH;
    vcpu_scheduled(&fake_v, 0);
    assert_int_equal(fake_v.requests, VCPU_REQ_FLUSH);
    assert_int_equal(fake_ram[RECORD_AT + 16], 0);
    fake_v.requests = 0;
    vcpu_scheduled(&fake_v, 0);
    assert_int_equal(fake_v.requests, 0);
}

static void hostile_records_stay_inside(void **state)
{
    struct pv_steal_record *record = (struct pv_steal_record *)(void *)(fake_ram + RECORD_AT);

    (void)state;
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_STEAL_TIME, RECORD_AT | 1), 0);
    memset(fake_ram, 0xFF, sizeof(fake_ram)); /* the guest scribbles over its own record */
    vcpu_scheduled(&fake_v, 7);
    assert_int_equal(record->version, 0); /* wraps */
    assert_int_equal(record->steal_ns, 7);
    assert_int_equal(fake_ram[RECORD_AT - 1], 0xFF);
    assert_int_equal(fake_ram[RECORD_AT + 17], 0xFF);
}

static void steal_and_eoi_addresses_are_checked(void **state)
{
    static const struct { u32 msr; u64 value; int result; } rows[] = {
        {MSR_KVM_STEAL_TIME, RECORD_AT | 3, -E_GUEST}, {MSR_KVM_STEAL_TIME, RECORD_AT | 0x21, -E_GUEST},
        {MSR_KVM_STEAL_TIME, RECORD_AT | 2, -E_GUEST}, {MSR_KVM_STEAL_TIME, sizeof(fake_ram) | 1, -E_GUEST},
        {MSR_KVM_STEAL_TIME, ~0x3FULL | 1, -E_GUEST}, {MSR_KVM_STEAL_TIME, RECORD_AT + 0x41, 0},
        {MSR_KVM_STEAL_TIME, (u64)sizeof(fake_ram), 0}, {MSR_KVM_PV_EOI, RECORD_AT | 3, -E_GUEST},
        {MSR_KVM_PV_EOI, sizeof(fake_ram) | 1, -E_GUEST}, {MSR_KVM_PV_EOI, ~0ULL - 2, -E_GUEST},
        {MSR_KVM_PV_EOI, RECORD_AT | 5, 0}, {MSR_KVM_PV_EOI, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u64 before = 0, after = 0;
        assert_int_equal(x86_msr_read(&fake_v, rows[i].msr, &before), 0);
        if (x86_msr_write(&fake_v, rows[i].msr, rows[i].value) != rows[i].result) {
            fail_msg("row %zu", i);
        }
        assert_int_equal(x86_msr_read(&fake_v, rows[i].msr, &after), 0);
        assert_true(after == (rows[i].result == 0 ? rows[i].value : before));
    }
    assert_null(fake_v.arch.pv.eoi_word);
    assert_null(fake_v.arch.pv.steal_record);
}

static void off_is_off(void **state)
{
    struct pv_clock_record before;

    (void)state;
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_SYSTEM_TIME, RECORD_AT | 1), 0);
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_SYSTEM_TIME, RECORD_AT), 0);
    before = record();
    assert_int_equal(x86_msr_write(&fake_v, 0x10, 1), 0);
    assert_memory_equal(&before, fake_ram + RECORD_AT, sizeof(before));
    assert_int_equal(x86_msr_write(&fake_v, MSR_KVM_SYSTEM_TIME, RECORD_AT | 1), 0);
    x86_reset_regs(&fake_v);
    before = record();
    assert_int_equal(x86_msr_write(&fake_v, 0x10, 2), 0);
    assert_memory_equal(&before, fake_ram + RECORD_AT, sizeof(before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(scale_is_exact_for_every_frequency, fake_setup),
        cmocka_unit_test_setup(clock_counts_from_the_vms_start, fake_setup),
        cmocka_unit_test_setup(clock_goes_on_when_the_guest_moves_its_tsc, fake_setup),
        cmocka_unit_test_setup(a_pause_is_told_once, fake_setup),
        cmocka_unit_test_setup(wall_clock_is_the_start_of_the_vm, fake_setup),
        cmocka_unit_test_setup(old_and_new_numbers_are_the_same_registers, fake_setup),
        cmocka_unit_test_setup(addresses_are_checked, fake_setup),
        cmocka_unit_test_setup(steal_time_and_preempted, fake_setup),
        cmocka_unit_test_setup(a_siblings_flush_is_not_lost, fake_setup),
        cmocka_unit_test_setup(hostile_records_stay_inside, fake_setup),
        cmocka_unit_test_setup(steal_and_eoi_addresses_are_checked, fake_setup),
        cmocka_unit_test_setup(off_is_off, fake_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
