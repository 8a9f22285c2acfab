#include "vm/dev/x86_64/acpipm.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"

#define PM_TIMER_HZ 3579545ULL
#define PM1_STATUS_PWRBTN BIT32(8)
#define PM1_CONTROL_SCI_EN BIT32(0)
#define PM1_CONTROL_SLP_TYP GENMASK(12, 10)
#define PM1_CONTROL_SLP_EN BIT32(13)
#define PM1_ENABLE_OFFSET 2U

static u32 timer_value(void)
{
    u64 now = time_now_ns();

    return (u32)(now / NS_PER_SEC * PM_TIMER_HZ + now % NS_PER_SEC * PM_TIMER_HZ / NS_PER_SEC);
}

static void event_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct acpipm *pm = device;
    u64 flags = spin_lock(&pm->lock);
    u16 *reg = offset >= PM1_ENABLE_OFFSET ? &pm->enable : &pm->status;
    unsigned shift = offset % 2 * 8;
    u16 mask = (u16)((size == 2 ? 0xFFFFU : 0xFFU) << shift);
    u16 bits = (u16)(*value << shift) & mask;

    if (!write) {
        *value = (u64)*reg >> shift;
    } else if (reg == &pm->status) {
        *reg &= (u16)~bits; /* write one to clear */
    } else {
        *reg = (u16)((*reg & ~mask) | bits);
    }
    irqline_set(&pm->sci, (pm->status & pm->enable) != 0);
    spin_unlock(&pm->lock, flags);
}

static void control_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct acpipm *pm = device;
    u64 flags = spin_lock(&pm->lock);
    unsigned shift = offset % 2 * 8;
    u16 mask = (u16)((size == 2 ? 0xFFFFU : 0xFFU) << shift);
    bool off = false;

    if (write) {
        u16 next = (u16)((pm->control & ~mask) | (*value << shift & mask));
        off = (next & PM1_CONTROL_SLP_EN) != 0 && FIELD_GET(PM1_CONTROL_SLP_TYP, next) == ACPIPM_S5;
        pm->control = (u16)((next & ~PM1_CONTROL_SLP_EN) | PM1_CONTROL_SCI_EN);
    } else {
        *value = (u64)pm->control >> shift;
    }
    spin_unlock(&pm->lock, flags);
    if (off) {
        pm->power_off(pm->ctx);
    }
}

static void timer_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    (void)device;
    (void)size;
    if (!write) {
        *value = timer_value() >> (offset * 8);
    }
}

void acpipm_press(struct acpipm *pm)
{
    u64 flags = spin_lock(&pm->lock);

    pm->status |= PM1_STATUS_PWRBTN;
    irqline_set(&pm->sci, (pm->status & pm->enable) != 0);
    spin_unlock(&pm->lock, flags);
}

void acpipm_init(struct acpipm *pm, const struct irqline *sci, void (*power_off)(void *ctx), void *ctx)
{
    memset(pm, 0, sizeof(*pm));
    pm->control = PM1_CONTROL_SCI_EN;
    pm->sci = *sci;
    pm->power_off = power_off;
    pm->ctx = ctx;
}

int acpipm_attach(struct acpipm *pm, struct bus *pio, u64 base)
{
    const struct bus_range ranges[] = {
        {base + ACPIPM_EVENT, 4, 2, event_access, pm},
        {base + ACPIPM_CONTROL, 2, 2, control_access, pm},
        {base + ACPIPM_TIMER, 4, 4, timer_access, pm},
    };

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        int rc = bus_add(pio, &ranges[i]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
