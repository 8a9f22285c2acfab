/* The interrupt chip's registers, as the CPU's instructions reach them. */
#include "kernel/lib/errno.h"
#include "vcpu/x86_64/x86.h"

int x86_chip_sysreg(struct vcpu *v, u32 reg, bool write, u64 *value)
{
    const struct irqchip_ops *chip = v->config.chip_ops;

    if (chip == NULL || chip->sysreg == NULL) {
        return -E_GUEST;
    }
    return chip->sysreg(v->config.chip, v, reg, write, value) == 0 ? 0 : -E_GUEST;
}
