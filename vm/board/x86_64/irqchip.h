/* The PC's interrupt chips as one: PIC, I/O APIC and a local APIC per CPU, behind the table that vCPUs know. */
#pragma once
#include "vm/board/x86_64/pv_eoi.h"
#include "vm/dev/x86_64/ioapic.h"
#include "vm/dev/x86_64/lapic.h"
#include "vm/dev/x86_64/pic.h"
#include "vm/irqline.h"
#include "vm/vm.h"

#define GSI_PIT 2U /* ISA interrupt 0 reaches I/O APIC pin 2, as on all PCs; the MADT says so */

struct pc_irqchip {
    struct vm *vm;
    struct vpic pic;
    struct vioapic ioapic;
    struct apic_bus bus;
    struct vlapic lapic[VM_VCPUS_MAX];
    hpa_t pages[VM_VCPUS_MAX]; /* of their registers; 0 = none */
    bool delivers;    /* the hardware helps with all of a local APIC, not just its priority */
    bool pic_first;   /* the PIC's interrupt goes in with the next entry of CPU 0; its owner's */
    bool page_mapped; /* at the local APICs' address there is what hardware watches */
    bool page_closed; /* atomic: some CPU is in x2APIC mode, so that it must not be written */
    struct pv_eoi pv_eoi[VM_VCPUS_MAX];
};

extern const struct irqchip_ops pc_irqchip_ops;

/* Have the hardware help, when the VM may have it and there is any: *ops is what vCPUs shall use then. 0, -E_NOMEM. */
MUST_CHECK int pc_irqchip_assist(struct pc_irqchip *chip, struct vm *vm, const struct irqchip_ops **ops);

/* The guest of v writes CR8: have the hardware keep it, if that is its help. Owner CPU. */
void pc_irqchip_keep_cr8(struct pc_irqchip *chip, struct vcpu *v);

/* Does the PIC wait for this CPU? Its INTR wire goes to the boot processor's LINT0. */
static inline bool pc_irqchip_pic_waits(struct pc_irqchip *chip, u32 cpu)
{
    return cpu == 0 && READ_ONCE(chip->pic.output) && vlapic_accepts_extint(&chip->lapic[0]);
}

/* Everything in its power-up state, ports and MMIO claimed. 0 or bus_add()'s error, -E_NOMEM; what there is then,
 * pc_irqchip_detach() frees. */
MUST_CHECK int pc_irqchip_attach(struct pc_irqchip *chip, struct vm *vm);

/* The wire of ISA interrupt 0..15: to the PIC and the I/O APIC both. */
struct irqline pc_irqchip_isa(struct pc_irqchip *chip, u32 irq);

/* A CPU resets: its local APIC does too. Owner CPU. */
void pc_irqchip_cpu_reset(struct pc_irqchip *chip, u32 cpu);

void pc_irqchip_detach(struct pc_irqchip *chip);

/* No timer interrupt comes after this. Task context. */
void pc_irqchip_stop(struct pc_irqchip *chip);
