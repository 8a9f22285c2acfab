/* PCI configuration mechanism 1 (PCI Local Bus 3.0, section 3.2.2.3.2): the address register works, 00:00.0 is a
 * host bridge, other functions are those that were added, and the rest answers "nothing here". */
#pragma once
#include "kernel/base/lock.h"
#include "vm/bus.h"

#define PCICONF_REGISTERS_MAX 16U
#define PCI_FUNCTION(device, function) ((u16)((device) << 3 | (function))) /* of bus 0 */

/* A dword of a function's configuration space. A function is there when it has any; its other registers are 0. */
struct pci_register {
    u16 function; /* bus, device, function: PCI_FUNCTION() */
    u8 at;        /* in bytes, a multiple of 4 */
    u32 value;    /* atomic */
    u32 writable; /* bits that software changes */
};

struct pciconf {
    struct spinlock lock; /* protects address, and writes of registers */
    u32 address;
    struct pci_register registers[PCICONF_REGISTERS_MAX];
    u32 count; /* fixed once the VM runs */
    bus_handler reset_control; /* serves byte accesses to port CF9h, which lies inside the address register */
    void *reset_device;
};

void pciconf_init(struct pciconf *pci, bus_handler reset_control, void *reset_device);

/* Add registers of further functions, each once. Before the VM runs. 0; -E_NOMEM: the table is full, none was added. */
MUST_CHECK int pciconf_add(struct pciconf *pci, const struct pci_register *registers, u32 count);

/* What a register reads as now; ones: the function is not there. Any CPU. */
u32 pciconf_read(const struct pciconf *pci, u16 function, u8 at);

/* Claim ports CF8h-CFBh and CFCh-CFFh. 0 or bus_add()'s error. */
MUST_CHECK int pciconf_attach(struct pciconf *pci, struct bus *pio);
