/* IA-PC HPET specification 1.0a, 2.3. Only its main counter is used. */
#include "drivers/x86_64/clocksource.h"
#include "mm/kmap.h"

#define HPET_LEN KIB(1)
#define HPET_CAPABILITIES_HIGH 0x004U /* the period in femtoseconds */
#define HPET_CONFIG 0x010U
#define HPET_CONFIG_ENABLE BIT32(0)
#define HPET_COUNTER 0x0F0U
#define PERIOD_MAX_FS 100000000U /* 2.3.4: at least 10 MHz */
#define FS_PER_SEC 1000000000000000ULL

static volatile u8 *regs;
static struct clocksource source;

static volatile u32 *reg(u32 offset)
{
    return (volatile u32 *)(volatile void *)(regs + offset);
}

static u32 read_counter(void)
{
    return *reg(HPET_COUNTER);
}

const struct clocksource *hpet_start(const struct acpi_info *info)
{
    regs = info->hpet != 0 ? (volatile u8 *)kmap_device(HPA(info->hpet), HPET_LEN) : NULL;
    if (regs == NULL) {
        return NULL;
    }
    u32 period = *reg(HPET_CAPABILITIES_HIGH);
    if (period == 0 || period > PERIOD_MAX_FS) {
        return NULL;
    }
    *reg(HPET_CONFIG) = *reg(HPET_CONFIG) | HPET_CONFIG_ENABLE;
    source = (struct clocksource){"hpet", FS_PER_SEC / period, UINT32_MAX, read_counter};
    return &source;
}
