#include "drivers/x86_64/ap.h"
#include "drivers/x86_64/lapic.h"
#include "drivers/x86_64/trampoline.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "kernel/smp.h"
#include "kernel/time.h"
#include "kernel/x86_64/cpuid.h"
#include "mm/heap.h"
#include "mm/kmap.h"
#include <arch/cpu.h>

#define INIT_DELAY_OLD_NS (10 * NS_PER_MS)
#define INIT_DELAY_NS (10 * NS_PER_US)
#define STARTUP_DELAY_NS (200 * NS_PER_US)
#define ANSWER_TIMEOUT_NS NS_PER_SEC
#define CPUID_BASE_FAMILY 0xF00U
#define CPUID_FAMILY_P6 0x600U
#define CPUID_VENDOR_EBX_AMD 0x68747541U /* "Auth" */

/* What passes between the boot CPU and the one it starts. */
enum ap_state { AP_CALLED, AP_ANSWERED, AP_RELEASED };

struct ap {
    struct percpu *area;
    void *stacks[ARCH_STACKS];
    u32 hw_id;
    void (*entry)(void);
    u32 state; /* enum ap_state; AP_ANSWERED by the CPU, the others by the boot CPU */
};

static u32 ids[CPU_MAX];
static u32 id_count;
static struct ap *unused; /* prepared for a CPU that never came */

static u32 count_startable(void)
{
    return id_count;
}

static u32 startable_id(u32 index)
{
    return ids[index];
}

/* First C code of an application processor, on its own stack, interrupts off. */
static void ap_main(void *arg)
{
    struct ap *ap = arg;

    kmap_enter();
    arch_cpu_activate(ap->area);
    lapic_enable_cpu();
    lapic_timer_enable_cpu();
    if (lapic_id() == ap->hw_id) {
        __atomic_store_n(&ap->state, AP_ANSWERED, __ATOMIC_RELEASE);
    }
    for (;;) {
        u32 state = __atomic_load_n(&ap->state, __ATOMIC_ACQUIRE);
        if (state == AP_RELEASED) {
            ap->entry();
        }
        arch_cpu_relax();
    }
}

static struct ap *prepare(void)
{
    struct ap *ap = unused != NULL ? unused : heap_alloc(sizeof(*ap));

    unused = NULL;
    if (ap == NULL) {
        return NULL;
    }
    if (ap->area == NULL) {
        ap->area = heap_alloc(sizeof(*ap->area));
    }
    bool complete = ap->area != NULL;
    for (u32 i = 0; i < ARCH_STACKS; i++) {
        if (ap->stacks[i] == NULL) {
            ap->stacks[i] = kmap_alloc_stack();
        }
        complete = complete && ap->stacks[i] != NULL;
    }
    if (!complete) {
        unused = ap;
        return NULL;
    }
    return ap;
}

/* CPUs since the P6 family need no pause after INIT; the manual's 10 ms are for those before. */
static u64 init_delay_ns(void)
{
    bool modern = cpuid_get(0, 0).ebx == CPUID_VENDOR_EBX_AMD ||
                  (cpuid_get(1, 0).eax & CPUID_BASE_FAMILY) == CPUID_FAMILY_P6;

    return modern ? INIT_DELAY_NS : INIT_DELAY_OLD_NS;
}

static bool wait_taken(u64 ns)
{
    u64 end = time_now_ns() + ns;

    while (!trampoline_taken() && time_now_ns() < end) {
        arch_cpu_relax();
    }
    return trampoline_taken();
}

static bool wait_answer(const struct ap *ap, u64 ns)
{
    u64 end = time_now_ns() + ns;

    while (__atomic_load_n(&ap->state, __ATOMIC_ACQUIRE) != AP_ANSWERED) {
        if (time_now_ns() >= end) {
            return false;
        }
        arch_cpu_relax();
    }
    return true;
}

static void call_cpu(const struct ap *ap, u8 page)
{
    lapic_send_init(ap->hw_id);
    time_delay_ns(init_delay_ns());
    lapic_send_startup(ap->hw_id, page);
    if (!wait_taken(STARTUP_DELAY_NS)) {
        lapic_send_startup(ap->hw_id, page);
    }
}

/* Enter the CPU that answered into the table and let it go. */
static int release(struct ap *ap)
{
    u32 id = ap->area->id;

    percpu_add(ap->area);
    WRITE_ONCE(ap->area->online, true);
    __atomic_store_n(&ap->state, AP_RELEASED, __ATOMIC_RELEASE);
    return (int)id;
}

static int start_cpu(u32 index, void (*entry)(void))
{
    if (!lapic_reachable(ids[index])) {
        return -E_NOSYS;
    }
    struct ap *ap = prepare();
    if (ap == NULL) {
        return -E_NOMEM;
    }
    ap->hw_id = ids[index];
    ap->entry = entry;
    ap->state = AP_CALLED;
    int error = percpu_prepare(ap->area, ap->hw_id);
    if (error != 0) {
        unused = ap;
        return error;
    }
    arch_cpu_prepare(ap->area, ap->stacks);
    call_cpu(ap, trampoline_arm((u64)ap->stacks[ARCH_STACK_KERNEL], ap_main, ap));
    if (!wait_answer(ap, ANSWER_TIMEOUT_NS)) {
        if (trampoline_disarm()) {
            unused = ap; /* it never came, and will halt if it does */
        }
        return -E_TIMEOUT;
    }
    return release(ap);
}

void ap_init(const struct acpi_info *info)
{
    static const struct smp_ops ops = {
        .id_name = "apic", .count = count_startable, .hw_id = startable_id, .start = start_cpu, .done = trampoline_done,
    };
    u32 self = lapic_id();

    for (u32 i = 0; i < info->cpu_count; i++) {
        if (info->cpu_ids[i] != self && id_count < CPU_MAX) {
            ids[id_count++] = info->cpu_ids[i];
        }
    }
    smp_set_ops(&ops);
}
