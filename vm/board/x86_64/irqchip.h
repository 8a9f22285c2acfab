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
    struct pv_eoi pv_eoi[VM_VCPUS_MAX];
};

extern const struct irqchip_ops pc_irqchip_ops;

/* Everything in its power-up state, ports and MMIO claimed. 0 or bus_add()'s error. */
MUST_CHECK int pc_irqchip_attach(struct pc_irqchip *chip, struct vm *vm);

/* The wire of ISA interrupt 0..15: to the PIC and the I/O APIC both. */
struct irqline pc_irqchip_isa(struct pc_irqchip *chip, u32 irq);

/* A CPU resets: its local APIC does too. Owner CPU. */
void pc_irqchip_cpu_reset(struct pc_irqchip *chip, u32 cpu);

/* No timer interrupt comes after this. Task context. */
void pc_irqchip_stop(struct pc_irqchip *chip);
