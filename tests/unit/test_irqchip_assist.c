/* units: vm/board/x86_64/irqchip_assist.c vm/board/x86_64/pv_eoi.c vm/dev/x86_64/pic.c vm/dev/x86_64/lapic.c vm/dev/x86_64/lapic_regs.c vm/dev/x86_64/lapic_timer.c vm/dev/x86_64/lapic_assist.c vm/dev/x86_64/apic_bus.c vm/dev/x86_64/ioapic.c vm/bus.c kernel/timer.c tests/unit/apic_rig.c */
/* The page at the local APICs' address, which all VMs share: no CPU enters in x2APIC mode while it can be written. */
#include "tests/unit/host.h"
#include <string.h>
#include "kernel/lib/errno.h"
#include "tests/unit/apic_rig.h"
#include "vcpu/x86_64/assist.h"
#include "vm/board/x86_64/irqchip.h"

#define MSR_APIC_BASE 0x1BU
#define BASE_X2 0xFEE00C00ULL
#define PAGE HPA(0x7000)

extern const struct irqchip_ops pc_irqchip_assisted_ops;

static struct vm vm;
static struct pc_irqchip chip;
static struct vcpu v[2];
static u32 mapped, closed, stopped;
static int protect_error;
static struct pc_irqchip *rival; /* another CPU comes while the first one closes the page */

static u32 features(void)
{
    return X86_ASSIST_PRIORITY | X86_ASSIST_DELIVERY;
}

static hpa_t access_page(void)
{
    return PAGE;
}

static const struct vcpu_assist assist = {.features = features, .access_page = access_page};
static const struct vcpu_backend backend = {.assist = &assist};

const struct vcpu_backend *vcpu_backend(void)
{
    return &backend;
}

void vcpu_request(struct vcpu *target, u32 requests)
{
    target->requests |= requests;
}

int pt_map(struct pt *pt, u64 va, hpa_t pa, u64 len, u32 attr)
{
    assert_ptr_equal(pt, &vm.mem.stage2);
    assert_true(va == X86_APIC_PAGE_GPA && pa.v == PAGE.v && len == LAPIC_MMIO_SIZE && attr == (PT_READ | PT_WRITE));
    mapped++;
    return 0;
}

static int to_x2apic(void *arg, struct vcpu *caller, u32 reg, bool write, u64 *value)
{
    struct pc_irqchip *pc = arg;

    assert_true(reg == MSR_APIC_BASE && write);
    pc->lapic[caller->config.id].base = *value;
    return 0;
}

const struct irqchip_ops pc_irqchip_ops = {.sysreg = to_x2apic};

static void enter_x2apic(u32 cpu)
{
    u64 value = BASE_X2;

    assert_int_equal(pc_irqchip_assisted_ops.sysreg(&chip, &v[cpu], MSR_APIC_BASE, true, &value), 0);
}

int pt_protect(struct pt *pt, u64 va, u64 len, u32 attr)
{
    struct pc_irqchip *other = rival;

    assert_ptr_equal(pt, &vm.mem.stage2);
    assert_true(va == X86_APIC_PAGE_GPA && len == LAPIC_MMIO_SIZE && attr == PT_READ);
    assert_false(chip.page_closed);
    rival = NULL;
    if (other != NULL) {
        u32 before = closed;
        enter_x2apic(1);
        assert_int_equal(closed, before + 1); /* it did not rely on us */
    }
    closed += protect_error == 0;
    return protect_error;
}

void vm_stop(struct vm *which, enum vm_end end, u32 code, const char *format, ...)
{
    (void)format;
    assert_true(which == &vm && end == VM_END_INTERNAL && code == 1);
    stopped++;
}

static int start(void **state)
{
    const struct irqchip_ops *ops = NULL;

    (void)state;
    rig_start(2);
    memset(&vm, 0, sizeof(vm));
    memset(&chip, 0, sizeof(chip));
    memset(v, 0, sizeof(v));
    mapped = closed = stopped = 0;
    protect_error = 0;
    rival = NULL;
    v[1].config.id = 1;
    chip.vm = &vm;
    for (u32 i = 0; i < 2; i++) {
        chip.lapic[i] = rig.lapic[i];
        vlapic_write_svr(&chip.lapic[i], 0x1FF);
    }
    assert_int_equal(pc_irqchip_assist(&chip, &vm, &ops), 0);
    assert_ptr_equal(ops, &pc_irqchip_assisted_ops);
    assert_int_equal(mapped, 1);
    return 0;
}

static void the_first_closes_it(void **state)
{
    (void)state;
    enter_x2apic(0);
    assert_int_equal(closed, 1);
    assert_true(chip.page_closed);
    enter_x2apic(1);
    assert_int_equal(closed, 1);
    assert_int_equal(stopped, 0);
}

static void two_at_once_both_close_it(void **state)
{
    (void)state;
    rival = &chip;
    enter_x2apic(0);
    assert_int_equal(closed, 2);
    assert_true(chip.page_closed);
}

static void one_that_does_not_close_ends_the_vm(void **state)
{
    (void)state;
    protect_error = -E_NOMEM;
    enter_x2apic(0);
    assert_int_equal(stopped, 1);
    assert_false(chip.page_closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_closes_it, start),
        cmocka_unit_test_setup(two_at_once_both_close_it, start),
        cmocka_unit_test_setup(one_that_does_not_close_ends_the_vm, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
