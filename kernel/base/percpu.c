#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"

static struct percpu boot_cpu;
static struct percpu *cpus[CPU_MAX];
static u32 cpu_count;

struct percpu *percpu_init_boot(void)
{
    boot_cpu.self = &boot_cpu;
    boot_cpu.online = true;
    cpus[0] = &boot_cpu;
    cpu_count = 1;
    return &boot_cpu;
}

int percpu_prepare(struct percpu *area, u32 hw_id)
{
    if (cpu_count >= CPU_MAX) {
        return -E_RANGE;
    }
    area->self = area;
    area->id = cpu_count;
    area->hw_id = hw_id;
    return 0;
}

void percpu_add(struct percpu *area)
{
    cpus[area->id] = area;
    /* Pairs with the acquire load in percpu_count(): who sees the count sees the area. */
    __atomic_store_n(&cpu_count, area->id + 1, __ATOMIC_RELEASE);
}

struct percpu *percpu_of(u32 id)
{
    return id < percpu_count() ? cpus[id] : NULL;
}

u32 percpu_count(void)
{
    return __atomic_load_n(&cpu_count, __ATOMIC_ACQUIRE);
}
