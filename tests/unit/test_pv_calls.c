/* units: vm/board/x86_64/kvm_calls.c vm/board/x86_64/pv_eoi.c vm/dev/x86_64/lapic.c vm/dev/x86_64/lapic_regs.c vm/dev/x86_64/lapic_timer.c vm/dev/x86_64/lapic_assist.c vm/dev/x86_64/apic_bus.c vm/dev/x86_64/ioapic.c vm/bus.c kernel/timer.c tests/unit/apic_rig.c */
/* KVM's hypercalls between CPUs, and the end of interrupt without an exit. */
#include "tests/unit/host.h"
#include "kernel/base/percpu.h"
#include "tests/unit/apic_rig.h"
#include "vm/abi.h"
#include "vm/board/x86_64/kvm_calls.h"
#include "vcpu/x86_64/x86.h"
#include <string.h>

#define CPUS 6U
#define VECTOR 0x61U
#define LOWER 0x41U

static struct vm vm;
static struct pc_irqchip chip;
static struct vcpu v;
static u64 args[6];
static u8 code_bits;
static u32 word;

u64 vcpu_hypercall_arg(struct vcpu *caller, const struct vcpu_exit *exit, u32 index)
{
    (void)exit;
    assert_ptr_equal(caller, &v);
    return args[index];
}

u8 x86_code_bits(struct vcpu *caller)
{
    (void)caller;
    return code_bits;
}

void vcpu_request(struct vcpu *target, u32 requests)
{
    target->requests |= requests;
}

static int start(void **state)
{
    (void)state;
    rig_start(CPUS);
    memset(&vm, 0, sizeof(vm));
    memset(&chip, 0, sizeof(chip));
    memset(&v, 0, sizeof(v));
    vm.vcpu_count = CPUS;
    chip.vm = &vm;
    chip.bus = rig.bus;
    code_bits = 64;
    word = 0;
    v.arch.pv.eoi_word = &word;
    percpu()->resched = false;
    return 0;
}

/* The result, or -1000 as for an unknown call. */
static s64 call(u64 number, u64 a, u64 b, u64 c, u64 d)
{
    struct vcpu_exit exit = {.kind = VCPU_EXIT_HYPERCALL};

    args[0] = a;
    args[1] = b;
    args[2] = c;
    args[3] = d;
    exit.hypercall.number = number;
    return kvm_call(&chip, &v, &exit) ? (s64)exit.hypercall.result : MOTE_ENOSYS;
}

static void only_known_numbers(void **state)
{
    (void)state;
    for (u64 number = 0; number < 64; number++) {
        bool known = number == 5 || number == 10 || number == 11;
        assert_int_equal(call(number, 0, 0, 0, VECTOR) == MOTE_ENOSYS, !known);
    }
    assert_int_equal(call(~0ULL, 0, 0, 0, 0), MOTE_ENOSYS);
}

static void kick_wakes_one(void **state)
{
    (void)state;
    assert_int_equal(call(5, 0, 3, 0, 0), 0);
    for (u32 i = 0; i < CPUS; i++) {
        assert_int_equal(vm.vcpus[i].requests, i == 3 ? VCPU_REQ_WAKE : 0);
    }
    assert_int_equal(call(5, 0, CPUS, 0, 0), MOTE_EINVAL);
    assert_int_equal(call(5, 0, ~0ULL, 0, 0), MOTE_EINVAL);
}

static void yield_ends_the_slice(void **state)
{
    (void)state;
    assert_int_equal(call(11, 2, 0, 0, 0), 0);
    assert_true(percpu()->resched);
}

static void ipi_reaches_exactly_the_set(void **state)
{
    (void)state;
    assert_int_equal(call(10, 0x15, 0, 0, VECTOR), 3);
    assert_int_equal(rig_take(VECTOR), 0x15);
    assert_int_equal(call(10, 0x3, 0, 4, VECTOR), 2);
    assert_int_equal(rig_take(VECTOR), 0x30);
    assert_int_equal(call(10, ~0ULL, ~0ULL, 2, VECTOR), 4); /* ids that do not exist count for nothing */
    assert_int_equal(rig_take(VECTOR), 0x3C);
    assert_int_equal(call(10, 0, 0, 0, VECTOR), 0);
    assert_int_equal(call(10, 0x6, 0, 0, 0x400), 2);
    assert_int_equal(rig_take_wire(RIG_NMI), 0x6);
    assert_int_equal(call(10, 0, 1, 0, VECTOR), 0); /* the second word starts at 64 .. */
    code_bits = 32;
    assert_int_equal(call(10, 1, ~0ULL, 5, VECTOR), 1); /* .. or at 32 */
    assert_int_equal(rig_take(VECTOR), 0x20);
}

static void bad_ipis_are_refused(void **state)
{
    static const u64 icrs[] = {0, 15, 0x100 | VECTOR, 0x200 | VECTOR, 0x500, 0x600 | VECTOR, 0x700 | VECTOR, 0x800 | VECTOR,
                               0x40000 | VECTOR, 0xC0000 | VECTOR, 1ULL << 32 | VECTOR, ~0ULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(icrs); i++) {
        assert_int_equal(call(10, ~0ULL, ~0ULL, 0, icrs[i]), MOTE_EINVAL);
    }
    assert_int_equal(call(10, 1, 0, CPUS, VECTOR), MOTE_EINVAL);
    assert_int_equal(call(10, 1, 0, ~0ULL, VECTOR), MOTE_EINVAL);
    assert_int_equal(rig_take(VECTOR), 0);
    assert_int_equal(rig_take_wire(RIG_INIT) | rig_take_wire(RIG_STARTUP) | rig_take_wire(RIG_NMI), 0);
}

/* --- end of interrupt ---------------------------------------------------------------------------------------------- */

static void take(u8 vector, bool level)
{
    u8 got = 0;

    (void)vlapic_post(&rig.lapic[0], vector, level);
    assert_true(vlapic_acknowledge(&rig.lapic[0], &got));
    pv_eoi_offer(&chip.pv_eoi[0], &rig.lapic[0], &v);
}

static u8 in_service(void)
{
    return rig.lapic[0].isr_top;
}

static void a_lone_interrupt_is_offered_and_made_up_for(void **state)
{
    (void)state;
    word = 0xF0; /* the other bits are the guest's */
    take(VECTOR, false);
    assert_int_equal(word, 0xF1);
    pv_eoi_settle(&chip.pv_eoi[0], &rig.lapic[0], true);
    assert_int_equal(word, 0xF1); /* nobody waits: it stays */
    assert_int_equal(in_service(), VECTOR);
    word = 0xF0;
    pv_eoi_settle(&chip.pv_eoi[0], &rig.lapic[0], true);
    assert_int_equal(in_service(), 0);
    pv_eoi_settle(&chip.pv_eoi[0], &rig.lapic[0], true); /* once */
    assert_int_equal(word, 0xF0);
}

static void what_comes_behind_takes_the_offer_back(void **state)
{
    (void)state;
    take(VECTOR, false);
    (void)vlapic_post(&rig.lapic[0], LOWER, false);
    pv_eoi_settle(&chip.pv_eoi[0], &rig.lapic[0], true);
    assert_int_equal(word, 0);
    assert_int_equal(in_service(), VECTOR);
    vlapic_eoi(&rig.lapic[0]); /* the guest's, with an exit */
    assert_true(vlapic_pending(&rig.lapic[0]));
}

static void not_offered_when_the_eoi_matters(void **state)
{
    u8 got = 0;

    (void)state;
    take(VECTOR, true); /* level-triggered: the I/O APIC waits for it */
    assert_int_equal(word, 0);
    vlapic_eoi(&rig.lapic[0]);
    (void)vlapic_post(&rig.lapic[0], LOWER, false);
    (void)vlapic_post(&rig.lapic[0], VECTOR, false);
    assert_true(vlapic_acknowledge(&rig.lapic[0], &got));
    pv_eoi_offer(&chip.pv_eoi[0], &rig.lapic[0], &v);
    assert_int_equal(word, 0);
    (void)start(state);
    v.arch.pv.eoi_word = NULL; /* the guest did not ask */
    take(VECTOR, false);
    assert_null(chip.pv_eoi[0].word);
}

static void a_look_at_the_registers_withdraws_it(void **state)
{
    (void)state;
    take(VECTOR, false);
    pv_eoi_settle(&chip.pv_eoi[0], &rig.lapic[0], false);
    assert_int_equal(word, 0);
    assert_int_equal(in_service(), VECTOR);
}

static void nested_interrupts_end_in_order(void **state)
{
    (void)state;
    take(LOWER, false);
    (void)vlapic_post(&rig.lapic[0], VECTOR, false);
    pv_eoi_settle(&chip.pv_eoi[0], &rig.lapic[0], true); /* before the next goes in */
    u8 got = 0;
    assert_true(vlapic_acknowledge(&rig.lapic[0], &got));
    assert_int_equal(got, VECTOR);
    pv_eoi_offer(&chip.pv_eoi[0], &rig.lapic[0], &v);
    assert_int_equal(word, 1);
    word = 0; /* ends the inner one; the outer's is a write to the register */
    pv_eoi_settle(&chip.pv_eoi[0], &rig.lapic[0], false);
    assert_int_equal(in_service(), LOWER);
    vlapic_eoi(&rig.lapic[0]);
    assert_int_equal(in_service(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_known_numbers, start),
        cmocka_unit_test_setup(kick_wakes_one, start),
        cmocka_unit_test_setup(yield_ends_the_slice, start),
        cmocka_unit_test_setup(ipi_reaches_exactly_the_set, start),
        cmocka_unit_test_setup(bad_ipis_are_refused, start),
        cmocka_unit_test_setup(a_lone_interrupt_is_offered_and_made_up_for, start),
        cmocka_unit_test_setup(what_comes_behind_takes_the_offer_back, start),
        cmocka_unit_test_setup(not_offered_when_the_eoi_matters, start),
        cmocka_unit_test_setup(a_look_at_the_registers_withdraws_it, start),
        cmocka_unit_test_setup(nested_interrupts_end_in_order, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
