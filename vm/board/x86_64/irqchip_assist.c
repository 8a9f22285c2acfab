/* The PC's interrupt chips on a CPU that helps local APICs (vcpu/x86_64/assist.h): the same chips behind a table of their own,
 * so that they cost nothing more where nothing helps. An APIC that is on, at its usual address or in x2APIC mode, is helped;
 * any other one is the software's alone. */
#include "kernel/lib/errno.h"
#include "vcpu/x86_64/assist.h"
#include "vm/board/x86_64/irqchip.h"

#define MSR_APIC_BASE 0x1BU
#define MSR_TSC_DEADLINE 0x6E0U
#define MSR_SPURIOUS 0x80FU

_Static_assert(X86_APIC_PAGE_GPA == LAPIC_BASE_DEFAULT, "the page that can be helped");

static const struct vcpu_assist *helper(void)
{
    return vcpu_backend()->assist;
}

static enum x86_help wanted_help(const struct vlapic *lapic)
{
    if (!vlapic_enabled(lapic)) {
        return X86_HELP_TRAP;
    }
    if (vlapic_x2apic(lapic)) {
        return X86_HELP_MSRS;
    }
    return ALIGN_DOWN(lapic->base, (u64)LAPIC_MMIO_SIZE) == LAPIC_BASE_DEFAULT ? X86_HELP_PAGE : X86_HELP_TRAP;
}

/* In x2APIC mode nothing is at the page's address, but it stays mapped for CPUs that are not: it reads as ones then, and
 * writes are emulated, as nobody's or as those CPUs'. All VMs share it, so it is closed before a CPU enters in that mode: who finds
 * it noted as closed may rely on it, and two that come at once both close it. */
static void close_page(struct pc_irqchip *pc)
{
    if (!pc->page_mapped || __atomic_load_n(&pc->page_closed, __ATOMIC_ACQUIRE)) {
        return;
    }
    if (pt_protect(&pc->vm->mem.stage2, LAPIC_BASE_DEFAULT, LAPIC_MMIO_SIZE, PT_READ) != 0) {
        vm_stop(pc->vm, VM_END_INTERNAL, 1, "the interrupt chip's page does not close");
        return;
    }
    __atomic_store_n(&pc->page_closed, true, __ATOMIC_RELEASE);
}

/* The chip's state may have changed: what was the hardware's to do may be no longer, and more may be deliverable. */
static void changed(struct pc_irqchip *pc, struct vcpu *v)
{
    struct vlapic *lapic = &pc->lapic[v->config.id];
    enum x86_help help = wanted_help(lapic);

    if (lapic->assisted && help == X86_HELP_TRAP) {
        vlapic_take_back(lapic);
    }
    if (help == X86_HELP_MSRS) {
        close_page(pc);
    }
    vcpu_request(v, VCPU_REQ_EVENT);
}

/* Only what switches an APIC on or off, or where the hardware leaves ends of interrupt to the software, changes more than
 * what posts a request. */
static int sysreg(void *chip, struct vcpu *v, u32 reg, bool write, u64 *value)
{
    struct pc_irqchip *pc = chip;

    if (!write || reg == MSR_TSC_DEADLINE) {
        return pc_irqchip_ops.sysreg(chip, v, reg, write, value);
    }
    bool assisted = pc->lapic[v->config.id].assisted;
    int rc = pc_irqchip_ops.sysreg(chip, v, reg, write, value);
    if (rc == 0 && (reg == MSR_APIC_BASE || reg == MSR_SPURIOUS || !assisted)) {
        changed(pc, v);
    }
    return rc;
}

static bool mmio(void *chip, struct vcpu *v, struct irqchip_access *access)
{
    struct pc_irqchip *pc = chip;
    struct vlapic *lapic = &pc->lapic[v->config.id];

    if (!access->write) {
        return pc_irqchip_ops.mmio(chip, v, access);
    }
    if (lapic->assisted) {
        vlapic_adopt(lapic);
    }
    bool mine = pc_irqchip_ops.mmio(chip, v, access);
    if (mine) {
        changed(pc, v);
    }
    return mine;
}

static void notice(void *chip, struct vcpu *v, enum irqchip_notice what, u32 value)
{
    struct pc_irqchip *pc = chip;
    struct vlapic *lapic = &pc->lapic[v->config.id];

    if (what == IRQCHIP_ENDED) {
        vlapic_eoi_done(lapic, (u8)value);
    } else {
        vlapic_written(lapic, value);
        changed(pc, v);
    }
}

/* The hardware has it at hand while the vCPU is loaded, which is here, on the owner's CPU. */
static struct vlapic_status status_of(const struct vlapic *lapic, const struct vcpu *v)
{
    if (v->cpu == CPU_MAX || lapic->status_stale) {
        return vlapic_status(lapic);
    }
    u32 status = helper()->get_status(v);
    return (struct vlapic_status){(u8)status, (u8)(status >> 8)};
}

static bool pending(void *chip, const struct vcpu *v)
{
    struct pc_irqchip *pc = chip;
    const struct vlapic *lapic = &pc->lapic[v->config.id];

    if (!lapic->assisted) {
        return pc_irqchip_ops.pending(chip, v);
    }
    return vlapic_pending_beyond(lapic, status_of(lapic, v)) || pc_irqchip_pic_waits(pc, v->config.id);
}

/* The hardware delivers what a helped APIC has; the PIC's it does not know. */
static bool acknowledge(void *chip, struct vcpu *v, u8 *vector)
{
    struct pc_irqchip *pc = chip;

    if (!pc->lapic[v->config.id].assisted) {
        return pc_irqchip_ops.acknowledge(chip, v, vector);
    }
    pc->pic_first = pc_irqchip_pic_waits(pc, v->config.id) && vpic_acknowledge(&pc->pic, vector);
    return pc->pic_first;
}

static bool sync_delivery(struct pc_irqchip *pc, struct vcpu *v, struct vlapic *lapic, bool hold)
{
    struct vlapic_status status = {0, lapic->isr_top};
    bool behind = v->config.id == 0 && pc->pic_first;

    if (lapic->assisted) {
        status = status_of(lapic, v);
    } else {
        pv_eoi_settle(&pc->pv_eoi[v->config.id], lapic, false);
        status.in_service = lapic->isr_top;
    }
    if (vlapic_hand_over(lapic, &status)) {
        u64 exits[4];
        vlapic_eoi_exits(lapic, exits);
        helper()->set_eoi_exits(v, exits);
    }
    helper()->set_status(v, (u32)status.in_service << 8 | (hold ? 0 : status.requested));
    lapic->status_stale = hold;
    if (behind) {
        pc->pic_first = false;
        return vlapic_pending_beyond(lapic, status);
    }
    return false;
}

static bool sync(void *chip, struct vcpu *v, bool hold)
{
    struct pc_irqchip *pc = chip;
    struct vlapic *lapic = &pc->lapic[v->config.id];
    enum x86_help help = wanted_help(lapic);

    helper()->configure(v, help, pc->pages[v->config.id]);
    if (!pc->delivers) {
        helper()->set_threshold(v, help == X86_HELP_TRAP ? 0 : vlapic_threshold(lapic));
        return false;
    }
    return help != X86_HELP_TRAP && sync_delivery(pc, v, lapic, hold);
}

const struct irqchip_ops pc_irqchip_assisted_ops = {
    .pending = pending, .acknowledge = acknowledge, .sysreg = sysreg, .mmio = mmio, .sync = sync, .notice = notice};

/* --- CR8 alone --------------------------------------------------------------------------------------------------------- */

/* The hardware keeps only the class. A write of CR8 clears the rest of the register: so it exits while there is any. */
static struct vlapic *take_priority(void *chip, const struct vcpu *v)
{
    struct pc_irqchip *pc = chip;
    struct vlapic *lapic = &pc->lapic[v->config.id];
    u8 now = helper()->get_priority(v);

    if (now != vlapic_read_cr8(lapic)) {
        vlapic_write_cr8(lapic, now);
    }
    return lapic;
}

static void give_priority(struct vcpu *v, const struct vlapic *lapic)
{
    helper()->set_priority(v, (u8)vlapic_read_cr8(lapic));
    vcpu_request(v, VCPU_REQ_EVENT);
}

static bool cr8_pending(void *chip, const struct vcpu *v)
{
    (void)take_priority(chip, v);
    return pc_irqchip_ops.pending(chip, v);
}

static int cr8_sysreg(void *chip, struct vcpu *v, u32 reg, bool write, u64 *value)
{
    struct vlapic *lapic = take_priority(chip, v);
    int rc = pc_irqchip_ops.sysreg(chip, v, reg, write, value);

    if (write && rc == 0) {
        give_priority(v, lapic);
    }
    return rc;
}

static bool cr8_mmio(void *chip, struct vcpu *v, struct irqchip_access *access)
{
    struct vlapic *lapic = take_priority(chip, v);
    bool mine = pc_irqchip_ops.mmio(chip, v, access);

    if (mine && access->write) {
        give_priority(v, lapic);
    }
    return mine;
}

static bool cr8_acknowledge(void *chip, struct vcpu *v, u8 *vector)
{
    return pc_irqchip_ops.acknowledge(chip, v, vector);
}

static bool cr8_sync(void *chip, struct vcpu *v, bool hold)
{
    struct vlapic *lapic = take_priority(chip, v);

    (void)hold; /* the software delivers */
    helper()->set_threshold(v, vlapic_has_subclass(lapic) ? 1 : vlapic_threshold(lapic));
    return false;
}

static const struct irqchip_ops cr8_ops = {
    .pending = cr8_pending, .acknowledge = cr8_acknowledge, .sysreg = cr8_sysreg, .mmio = cr8_mmio, .sync = cr8_sync};

/* Only from its first write on: most guests never do, and their other exits would cost more. */
void pc_irqchip_keep_cr8(struct pc_irqchip *chip, struct vcpu *v)
{
    bool helps = helper() != NULL && (helper()->features() & X86_ASSIST_CR8) != 0;

    if (helps && !chip->vm->software_irqchip && v->config.chip_ops == &pc_irqchip_ops) {
        v->config.chip_ops = &cr8_ops;
        give_priority(v, &chip->lapic[v->config.id]);
    }
}

/* --- all of it --------------------------------------------------------------------------------------------------------- */

int pc_irqchip_assist(struct pc_irqchip *chip, struct vm *vm, const struct irqchip_ops **ops)
{
    hpa_t page;

    if (vm->software_irqchip || helper() == NULL || (helper()->features() & X86_ASSIST_PRIORITY) == 0) {
        return 0;
    }
    *ops = &pc_irqchip_assisted_ops;
    chip->delivers = (helper()->features() & X86_ASSIST_DELIVERY) != 0;
    page = helper()->access_page();
    if (page.v == 0) {
        return 0;
    }
    chip->page_mapped = true;
    return pt_map(&vm->mem.stage2, LAPIC_BASE_DEFAULT, page, LAPIC_MMIO_SIZE, PT_READ | PT_WRITE);
}
