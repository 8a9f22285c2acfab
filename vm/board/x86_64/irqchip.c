#include "vm/board/x86_64/irqchip.h"
#include "kernel/base/panic.h"
#include "kernel/lib/errno.h"
#include "mm/physmap.h"
#include "vcpu/x86_64/policy.h"

#define MSR_APIC_BASE 0x1BU
#define MSR_TSC_DEADLINE 0x6E0U
#define APIC_BASE_FLAGS (BIT(8) | GENMASK(11, 10)) /* BSP; EXTD and EN */
#define ISA_PIT 0U

/* --- what vCPUs ask ---------------------------------------------------------------------------------------------------- */

static struct vlapic *lapic_of(void *chip, const struct vcpu *v)
{
    struct pc_irqchip *pc = chip;

    return &pc->lapic[v->config.id];
}

/* For an access to its registers: an EOI that the guest has made without one counts, and no other is allowed behind it. */
static struct vlapic *settled_lapic_of(void *chip, const struct vcpu *v)
{
    struct pc_irqchip *pc = chip;

    pv_eoi_settle(&pc->pv_eoi[v->config.id], &pc->lapic[v->config.id], false);
    return &pc->lapic[v->config.id];
}

static bool pending(void *chip, const struct vcpu *v)
{
    struct pc_irqchip *pc = chip;

    pv_eoi_settle(&pc->pv_eoi[v->config.id], lapic_of(chip, v), true);
    return vlapic_pending(lapic_of(chip, v)) || pc_irqchip_pic_waits(chip, v->config.id);
}

static bool acknowledge(void *chip, struct vcpu *v, u8 *vector)
{
    struct pc_irqchip *pc = chip;

    if (pc_irqchip_pic_waits(pc, v->config.id) && vpic_acknowledge(&pc->pic, vector)) {
        if (vlapic_pending(lapic_of(chip, v))) { /* no end of interrupt at the local APIC follows that would tell of it */
            vcpu_request(v, VCPU_REQ_EVENT);
        }
        return true;
    }
    if (!vlapic_acknowledge(lapic_of(chip, v), vector)) {
        return false;
    }
    pv_eoi_offer(&pc->pv_eoi[v->config.id], lapic_of(chip, v), v);
    return true;
}

static int access_priority(struct pc_irqchip *pc, struct vcpu *v, bool write, u64 *value)
{
    struct vlapic *lapic = lapic_of(pc, v);

    if (write) {
        vlapic_write_cr8(lapic, *value);
        pc_irqchip_keep_cr8(pc, v);
    } else {
        *value = vlapic_read_cr8(lapic);
    }
    return 0;
}

/* The chip counts in the guest's TSC. */
static int access_deadline(struct vlapic *lapic, const struct vcpu *v, bool write, u64 *value)
{
    lapic->tsc_offset = v->arch.tsc_offset;
    if (write) {
        vlapic_write_deadline(lapic, *value);
    } else {
        *value = vlapic_read_deadline(lapic);
    }
    return 0;
}

static int access_base(struct vlapic *lapic, bool write, u64 *value)
{
    if (!write) {
        *value = lapic->base;
        return 0;
    }
    u64 writable = GENMASK(x86_guest_phys_bits() - 1, 12) | APIC_BASE_FLAGS;
    return (*value & ~writable) != 0 ? -E_GUEST : vlapic_write_base(lapic, *value);
}

static __attribute__((noinline)) int sysreg_rare(struct pc_irqchip *pc, struct vcpu *v, u32 reg, bool write, u64 *value)
{
    struct vlapic *lapic = settled_lapic_of(pc, v);

    switch (reg) {
    case IRQCHIP_PRIORITY:
        return access_priority(pc, v, write, value);
    case MSR_TSC_DEADLINE:
        return access_deadline(lapic, v, write, value);
    case MSR_APIC_BASE:
        return access_base(lapic, write, value);
    default:
        return reg - LAPIC_X2APIC_MSR_FIRST < LAPIC_X2APIC_MSR_COUNT ? vlapic_msr(lapic, reg, write, value) : -E_NOENT;
    }
}

/* Straight to what is frequent when no offer stands. */
static int sysreg(void *chip, struct vcpu *v, u32 reg, bool write, u64 *value)
{
    struct pc_irqchip *pc = chip;
    struct vlapic *lapic = &pc->lapic[v->config.id];

    if (pc->pv_eoi[v->config.id].word != NULL) {
        return sysreg_rare(pc, v, reg, write, value);
    }
    if (reg - LAPIC_X2APIC_MSR_FIRST < LAPIC_X2APIC_MSR_COUNT) {
        return vlapic_msr(lapic, reg, write, value);
    }
    if (reg == MSR_TSC_DEADLINE) {
        return access_deadline(lapic, v, write, value);
    }
    return sysreg_rare(pc, v, reg, write, value);
}

static bool mmio(void *chip, struct vcpu *v, struct irqchip_access *access)
{
    struct vlapic *lapic = settled_lapic_of(chip, v);
    u64 base = ALIGN_DOWN(lapic->base, (u64)LAPIC_MMIO_SIZE);

    if (!vlapic_mmio_enabled(lapic) || !range_contains(base, LAPIC_MMIO_SIZE, access->gpa.v, access->size)) {
        return false;
    }
    vlapic_mmio(lapic, (u32)(access->gpa.v - base), access->size, access->write, &access->value);
    return true;
}

const struct irqchip_ops pc_irqchip_ops = {
    .pending = pending, .acknowledge = acknowledge, .sysreg = sysreg, .mmio = mmio};

/* --- what the chips tell vCPUs ------------------------------------------------------------------------------------------- */

static void on_event(void *ctx, u32 cpu)
{
    struct pc_irqchip *chip = ctx;

    vcpu_request(&chip->vm->vcpus[cpu], VCPU_REQ_EVENT);
}

static void on_nmi(void *ctx, u32 cpu)
{
    struct pc_irqchip *chip = ctx;

    vcpu_request(&chip->vm->vcpus[cpu], VCPU_REQ_NMI);
}

static void on_init(void *ctx, u32 cpu)
{
    struct pc_irqchip *chip = ctx;

    vm_cpu_park(chip->vm, cpu);
}

/* SDM Vol. 3 9.4.4: a STARTUP message starts real mode at page `vector`. */
static void on_startup(void *ctx, u32 cpu, u8 vector)
{
    struct pc_irqchip *chip = ctx;
    const struct vcpu_entry entry = {.mode = X86_ENTRY_REAL, .real_cs = (u16)(vector << 8)};

    vm_cpu_start(chip->vm, cpu, &entry);
}

static void on_eoi(void *ctx, u8 vector)
{
    struct pc_irqchip *chip = ctx;

    vioapic_eoi(&chip->ioapic, vector);
}

static void on_intr(void *ctx, bool level)
{
    if (level) {
        on_event(ctx, 0);
    }
}

/* --- wires -------------------------------------------------------------------------------------------------------------- */

static void set_isa(void *arg, u32 irq, bool level)
{
    struct pc_irqchip *chip = arg;

    vpic_set_pin(&chip->pic, irq, level);
    vioapic_set_pin(&chip->ioapic, irq == ISA_PIT ? GSI_PIT : irq, level);
}

struct irqline pc_irqchip_isa(struct pc_irqchip *chip, u32 irq)
{
    return (struct irqline){.set = set_isa, .chip = chip, .pin = irq};
}

int pc_irqchip_attach(struct pc_irqchip *chip, struct vm *vm)
{
    chip->vm = vm;
    chip->bus = (struct apic_bus){.count = vm->config->vcpus,
                                  .ctx = chip,
                                  .event = on_event,
                                  .nmi = on_nmi,
                                  .init = on_init,
                                  .startup = on_startup,
                                  .eoi = on_eoi};
    for (u32 i = 0; i < vm->config->vcpus; i++) {
        int rc = frame_alloc(0, FRAME_OWNER_VM(vm->id), &chip->pages[i]);
        if (rc != 0) {
            return rc;
        }
        chip->bus.lapic[i] = &chip->lapic[i];
        vlapic_init(&chip->lapic[i], &chip->bus, i, phys_ptr(chip->pages[i]));
    }
    vpic_init(&chip->pic, on_intr, chip);
    vioapic_init(&chip->ioapic, &chip->bus);
    int rc = vpic_attach(&chip->pic, &vm->pio);
    return rc != 0 ? rc : vioapic_attach(&chip->ioapic, &vm->mmio);
}

void pc_irqchip_detach(struct pc_irqchip *chip)
{
    for (u32 i = 0; i < VM_VCPUS_MAX && chip->pages[i].v != 0; i++) {
        int rc = frame_free(chip->pages[i], 0, FRAME_OWNER_VM(chip->vm->id));
        ASSERT(rc == 0);
    }
}

void pc_irqchip_cpu_reset(struct pc_irqchip *chip, u32 cpu)
{
    chip->pv_eoi[cpu].word = NULL;
    vlapic_reset(&chip->lapic[cpu]);
}

void pc_irqchip_stop(struct pc_irqchip *chip)
{
    for (u32 i = 0; i < chip->bus.count && chip->bus.lapic[i] != NULL; i++) {
        vlapic_stop(&chip->lapic[i]);
    }
}
