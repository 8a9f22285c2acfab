#include "tests/unit/host.h"
#include <string.h>
#include "tests/unit/apic_rig.h"
#include "kernel/base/percpu.h"
#include "kernel/time.h"
#include "vm/dev/x86_64/ioapic.h"

struct apic_rig rig;
static u32 pages[LAPIC_CPUS_MAX][LAPIC_MMIO_SIZE / sizeof(u32)] ALIGNED(LAPIC_MMIO_SIZE);
u64 rig_now_ns;
u64 rig_programmed_ns;

u64 time_now_ns(void)
{
    return rig_now_ns;
}

u64 time_ticks(void)
{
    return rig_now_ns;
}

u64 time_ticks_to_ns(u64 ticks)
{
    return ticks;
}

u32 percpu_count(void)
{
    return 1;
}

static void program(u64 deadline_ns)
{
    rig_programmed_ns = deadline_ns;
}

static const struct timer_hw hw = {.name = "rig", .program = program};

static void on_event(void *ctx, u32 cpu)
{
    ((struct apic_rig *)ctx)->events[cpu]++;
}

static void on_nmi(void *ctx, u32 cpu)
{
    ((struct apic_rig *)ctx)->wires[RIG_NMI][cpu]++;
}

static void on_init(void *ctx, u32 cpu)
{
    ((struct apic_rig *)ctx)->wires[RIG_INIT][cpu]++;
}

static void on_startup(void *ctx, u32 cpu, u8 vector)
{
    ((struct apic_rig *)ctx)->wires[RIG_STARTUP][cpu]++;
    ((struct apic_rig *)ctx)->startup_vector = vector;
}

static void on_eoi(void *ctx, u8 vector)
{
    struct apic_rig *r = ctx;

    r->eois++;
    r->eoi_vector = vector;
    if (r->ioapic != NULL) {
        vioapic_eoi(r->ioapic, vector);
    }
}

void rig_start(u32 count)
{
    timer_set_hw(&hw);
    for (u32 i = 0; i < rig.bus.count; i++) {
        vlapic_stop(&rig.lapic[i]);
    }
    memset(&rig, 0, sizeof(rig));
    rig_now_ns = NS_PER_SEC;
    rig.bus = (struct apic_bus){.count = count, .ctx = &rig, .event = on_event, .nmi = on_nmi, .init = on_init,
                                .startup = on_startup, .eoi = on_eoi};
    for (u32 i = 0; i < count; i++) {
        rig.bus.lapic[i] = &rig.lapic[i];
        vlapic_init(&rig.lapic[i], &rig.bus, i, pages[i]);
        rig_write(i, R_SVR, SVR_ENABLE | VECTOR_MASK);
    }
}

void rig_x2apic(void)
{
    for (u32 i = 0; i < rig.bus.count; i++) {
        assert_int_equal(vlapic_write_base(&rig.lapic[i], rig.lapic[i].base | APIC_BASE_EXTD), 0);
    }
}

void rig_run_until(u64 to_ns)
{
    while (rig_programmed_ns <= to_ns) {
        rig_now_ns = MAX(rig_now_ns, rig_programmed_ns);
        timer_interrupt();
    }
    rig_now_ns = to_ns;
}

u32 rig_read(u32 cpu, u32 reg)
{
    u64 value = ~0ULL;

    vlapic_mmio(&rig.lapic[cpu], reg * 16, 4, false, &value);
    return (u32)value;
}

void rig_write(u32 cpu, u32 reg, u32 value)
{
    u64 wide = value;

    vlapic_mmio(&rig.lapic[cpu], reg * 16, 4, true, &wide);
}

int rig_rdmsr(u32 cpu, u32 reg, u64 *value)
{
    return vlapic_msr(&rig.lapic[cpu], LAPIC_X2APIC_MSR_FIRST + reg, false, value);
}

int rig_wrmsr(u32 cpu, u32 reg, u64 value)
{
    return vlapic_msr(&rig.lapic[cpu], LAPIC_X2APIC_MSR_FIRST + reg, true, &value);
}

u32 rig_take(u8 vector)
{
    u32 who = 0;

    for (u32 i = 0; i < rig.bus.count; i++) {
        u32 *word = &rig.lapic[i].irr[vector / 32];
        who |= (*word & BIT32(vector % 32)) != 0 ? BIT32(i) : 0;
        *word &= ~BIT32(vector % 32);
    }
    return who;
}

u32 rig_take_wire(enum rig_wire wire)
{
    u32 who = 0;

    for (u32 i = 0; i < rig.bus.count; i++) {
        who |= rig.wires[wire][i] != 0 ? BIT32(i) : 0;
        rig.wires[wire][i] = 0;
    }
    return who;
}
