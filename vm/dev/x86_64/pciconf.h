/* PCI configuration mechanism 1 (PCI Local Bus 3.0, section 3.2.2.3.2): the address register works, 00:00.0 is a
 * host bridge, and every other function answers "nothing here". */
#pragma once
#include "kernel/base/lock.h"
#include "vm/bus.h"

struct pciconf {
    struct spinlock lock; /* protects address */
    u32 address;
    bus_handler reset_control; /* serves byte accesses to port CF9h, which lies inside the address register */
    void *reset_device;
};

void pciconf_init(struct pciconf *pci, bus_handler reset_control, void *reset_device);

/* Claim ports CF8h-CFBh and CFCh-CFFh. 0 or bus_add()'s error. */
MUST_CHECK int pciconf_attach(struct pciconf *pci, struct bus *pio);
