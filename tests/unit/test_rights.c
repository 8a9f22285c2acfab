/* units: vm/rights.c vm/cpus.c vm/gmem.c mm/pt.c mm/pt_query.c mm/x86_64/pt_formats.c mm/frame.c mm/frame_init.c tests/unit/memory.c */
/* Rights that change while a VM runs: nothing does before every CPU of the VM is out of the guest. */
#include "tests/unit/host.h"
#include <arch/cpu.h>
#include <string.h>
#include "kernel/lib/errno.h"
#include "mm/x86_64/pt_formats.h"
#include "tests/unit/memory.h"
#include "vcpu/trace.h"
#include "vm/vm.h"

#define OWNER FRAME_OWNER_VM(1)
#define PAGE MIB(4)
#define ALL (PT_READ | PT_WRITE | PT_EXEC)

static struct vm vm;
static u32 kept_out, waits;

/* --- what the modules call and these tests do not ------------------------------------------------------------------ */

void vcpu_request(struct vcpu *v, u32 requests) { v->requests |= requests; }
int vcpu_reset(struct vcpu *v) { (void)v; return 0; }
int vcpu_set_entry(struct vcpu *v, const struct vcpu_entry *entry) { (void)v; (void)entry; return 0; }
const char *vcpu_state_name(u32 state) { (void)state; return "?"; }
int vcpu_trace_on(struct vcpu *v) { (void)v; return 0; }
void vcpu_trace_off(struct vcpu *v) { (void)v; }
void sched_wake(struct task *task) { (void)task; }
void vm_watchdog_pause(struct vm *of) { (void)of; }
void vm_watchdog_resume(struct vm *of) { (void)of; }
void vm_stop(struct vm *of, enum vm_end end, u32 code, const char *format, ...) { (void)of; (void)end; (void)code; (void)format; }

void vcpu_keep_out(struct vcpu *v)
{
    assert_true(vm.excluded);
    v->requests |= VCPU_REQ_STOP;
    kept_out++;
}

/* ------------------------------------------------------------------------------------------------------------------- */

static u32 rights_of(u64 gpa)
{
    struct pt_mapping found;

    return pt_query(&vm.mem.stage2, gpa, &found) == 0 ? found.attr : 0;
}

static int start(void **context)
{
    (void)context;
    memory_start(MIB(1), MIB(63));
    memset(&vm, 0, sizeof(vm));
    kept_out = waits = 0;
    host_on_relax = NULL;
    vm.vcpu_count = 4;
    for (u32 i = 0; i < vm.vcpu_count; i++) {
        vm.vcpus[i].state = VCPU_READY;
    }
    assert_int_equal(gmem_init(&vm.mem, &pt_format_ept, OWNER), 0);
    return gmem_add(&vm.mem, PAGE, MIB(4), GMEM_RAM);
}

static int finish(void **context)
{
    (void)context;
    host_on_relax = NULL;
    assert_false(vm.excluded);
    gmem_destroy(&vm.mem);
    assert_int_equal(frame_count_owned(OWNER), 0);
    return 0;
}

/* One look later one more of those that run has left. */
static void another_leaves(void)
{
    u32 running = 0;

    waits++;
    assert_int_equal(kept_out, 4); /* all were asked first */
    assert_int_equal(rights_of(PAGE), ALL);
    for (u32 i = 0; i < vm.vcpu_count; i++) {
        running += vm.vcpus[i].state == VCPU_RUNNING;
    }
    assert_true(running > 0);
    for (u32 i = vm.vcpu_count; i-- > 0;) {
        if (vm.vcpus[i].state == VCPU_RUNNING) {
            vm.vcpus[i].state = i == 1 ? VCPU_BLOCKED : VCPU_READY;
            return;
        }
    }
}

static void test_waits_for_all(void **context)
{
    (void)context;
    vm.vcpus[1].state = vm.vcpus[3].state = VCPU_RUNNING;
    vm.vcpus[2].state = VCPU_BLOCKED;
    host_on_relax = another_leaves;
    u64 generation = vm.mem.stage2.generation;
    assert_int_equal(vm_set_rights(&vm, GPA(PAGE), KIB(4), 0), 0);
    assert_int_equal(waits, 2);
    assert_int_equal(rights_of(PAGE), 0);
    assert_int_equal(rights_of(PAGE + KIB(4)), ALL);
    assert_true(vm.mem.stage2.generation > generation);
    assert_int_equal(vm_set_rights(&vm, GPA(PAGE + 1), KIB(4), 0), -E_INVAL); /* and others get in again */
}

static void other_ends(void)
{
    assert_int_equal(kept_out, 0);
    vm.excluded = ++waits < 5;
}

static void test_one_at_a_time(void **context)
{
    (void)context;
    vm.excluded = true;
    host_on_relax = other_ends;
    assert_int_equal(vm_set_rights(&vm, GPA(PAGE), KIB(4), PT_READ), 0);
    assert_int_equal(waits, 5);
    vm.excluded = true;
    waits = kept_out = 0;
    vm_cpu_await_admission(&vm);
    assert_int_equal(waits, 5);
    host_on_relax = NULL;
    vm_cpu_await_admission(&vm);
}

static void test_hidden(void **context)
{
    (void)context;
    assert_false(vm_unhide_page(&vm, GPA(PAGE), PT_READ));
    assert_int_equal(vm_hide_page(&vm, GPA(PAGE)), 0);
    assert_int_equal(rights_of(PAGE), 0);
    assert_false(vm_unhide_page(&vm, GPA(PAGE + KIB(4)), PT_READ));
    assert_int_equal(vm_hide_page(&vm, GPA(PAGE + KIB(4))), 0);
    assert_int_equal(rights_of(PAGE), ALL); /* one at a time */
    assert_true(vm_unhide_page(&vm, GPA(PAGE + KIB(4) + 123), PT_READ));
    assert_int_equal(rights_of(PAGE + KIB(4)), ALL);
    assert_true(vm_unhide_page(&vm, GPA(PAGE + KIB(4)), PT_READ)); /* a second CPU had the same fault */
    assert_int_equal(vm_hide_page(&vm, GPA(PAGE + 8)), -E_INVAL);
    assert_int_equal(vm_hide_page(&vm, GPA(MIB(16))), -E_INVAL);
    assert_int_equal(vm_hide_page(&vm, GPA(PAGE)), 0);
    assert_int_equal(vm_set_rights(&vm, GPA(PAGE), KIB(8), PT_READ), 0); /* from now on that counts */
    assert_false(vm_unhide_page(&vm, GPA(PAGE), PT_READ));
    assert_int_equal(rights_of(PAGE), PT_READ);
    assert_int_equal(gmem_add(&vm.mem, MIB(20), KIB(4), 0), 0); /* ROM: a write finds it there no more than before */
    assert_int_equal(vm_hide_page(&vm, GPA(MIB(20))), 0);
    assert_false(vm_unhide_page(&vm, GPA(MIB(20)), PT_READ | PT_WRITE));
    assert_int_equal(rights_of(MIB(20)), 0);
    assert_true(vm_unhide_page(&vm, GPA(MIB(20)), PT_READ));
    assert_false(vm_unhide_page(&vm, GPA(MIB(20)), PT_READ | PT_WRITE)); /* else it would come back for ever */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_waits_for_all, start, finish),
        cmocka_unit_test_setup_teardown(test_one_at_a_time, start, finish),
        cmocka_unit_test_setup_teardown(test_hidden, start, finish),
    };

    return cmocka_run_group_tests(tests, memory_reserve, memory_drop);
}
