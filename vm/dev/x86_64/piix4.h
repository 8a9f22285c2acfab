/* What firmware looks for of a PC's south bridge (Intel 82371AB PCI-to-ISA / IDE Xcelerator (PIIX4), order number 290562):
 * function 0, the ISA bridge, behind which the PC's devices are, and function 3, power management, which is where software
 * says (section 7.2, PMBA and PMREGMISC). Its IDE and USB functions are not there. Of its SMIs nothing is, and it says that
 * they are in use, so that nobody sets about to use them. */
#pragma once
#include "vm/dev/x86_64/acpipm.h"
#include "vm/dev/x86_64/pciconf.h"

struct piix4 {
    struct pciconf *pci;
    struct bus block; /* the power management's ports, counted from its base */
};

/* Add both functions to pci, and put pm's ports behind them, as the rest of pio. 0, or pciconf_add()'s or bus_add()'s error. */
MUST_CHECK int piix4_attach(struct piix4 *piix4, struct pciconf *pci, struct acpipm *pm, struct bus *pio);
