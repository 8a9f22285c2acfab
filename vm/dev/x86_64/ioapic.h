/* The I/O APIC (Intel 82093AA data sheet): 24 pins, edge and level, remote IRR, EOI by broadcast or register (version 20h). */
#pragma once
#include "kernel/base/lock.h"
#include "vm/bus.h"
#include "vm/dev/x86_64/lapic.h"

#define IOAPIC_PINS 24U
#define IOAPIC_BASE 0xFEC00000ULL
#define IOAPIC_ID 0U

struct vioapic {
    struct spinlock lock; /* protects everything below */
    struct apic_bus *bus;
    u32 select;
    u32 id;
    u64 entry[IOAPIC_PINS];
    u32 lines; /* the pins as they are driven now */
};

void vioapic_init(struct vioapic *ioapic, struct apic_bus *bus);
/* Claim 4 KiB of MMIO at IOAPIC_BASE. 0 or bus_add()'s error. */
MUST_CHECK int vioapic_attach(struct vioapic *ioapic, struct bus *mmio);
/* Drive pin 0..23; the signature fits struct irqline. Any CPU, any context but NMI. */
void vioapic_set_pin(void *arg, u32 pin, bool level);
/* The CPU ended the level-triggered interrupt `vector`: clear remote IRR, send again where the line is still high. */
void vioapic_eoi(struct vioapic *ioapic, u8 vector);
