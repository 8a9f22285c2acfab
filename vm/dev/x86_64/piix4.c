#include "vm/dev/x86_64/piix4.h"
#include "kernel/lib/string.h"

#define ISA PCI_FUNCTION(1, 0)
#define PM PCI_FUNCTION(1, 3)

enum { ID = 0x00, COMMAND = 0x04, CLASS = 0x08, HEADER = 0x0C, INTERRUPT = 0x3C, PMBA = 0x40, DEVACTB = 0x58, PIRQRC = 0x60,
       PMREGMISC = 0x80 };

#define STATUS_PIIX4 0x02800000U /* in the dword of COMMAND: fast back-to-back, medium DEVSEL */
#define COMMAND_IO BIT32(0)
#define COMMAND_ISA 0x00000007U /* I/O, memory and bus master, hard-wired */
#define HEADER_MULTIFUNCTION BIT32(23)
#define INTERRUPT_LINE 0x000000FFU
#define INTERRUPT_PIN_A 0x00000100U
#define PMBA_BASE ((u32)GENMASK(15, 6))
#define PMBA_IS_IO BIT32(0) /* hard-wired */
#define DEVACTB_APMC_EN BIT32(25) /* a write of port B2h is an SMI */
#define PIRQRC_OFF 0x80808080U
#define PIRQRC_WRITABLE 0x8F8F8F8FU
#define PMREGMISC_PMIOSE BIT32(0) /* the base counts */

static const struct pci_register registers[] = {
    {ISA, ID, 0x71108086U, 0},
    {ISA, COMMAND, STATUS_PIIX4 | COMMAND_ISA, 0},
    {ISA, CLASS, 0x06010002U, 0}, /* bridge, ISA */
    {ISA, HEADER, HEADER_MULTIFUNCTION, 0},
    {ISA, PIRQRC, PIRQRC_OFF, PIRQRC_WRITABLE}, /* no function has a PCI interrupt to be routed */
    {PM, ID, 0x71138086U, 0},
    {PM, COMMAND, STATUS_PIIX4, COMMAND_IO},
    {PM, CLASS, 0x06800002U, 0}, /* bridge, other */
    {PM, INTERRUPT, INTERRUPT_PIN_A, INTERRUPT_LINE},
    {PM, PMBA, PMBA_IS_IO, PMBA_BASE},
    {PM, DEVACTB, DEVACTB_APMC_EN, 0},
    {PM, PMREGMISC, 0, PMREGMISC_PMIOSE},
};

/* A port that no other device has: is it in the block of 64 at the base? */
static void access(void *device, u64 port, u8 size, bool write, u64 *value)
{
    struct piix4 *piix4 = device;
    u64 base = pciconf_read(piix4->pci, PM, PMBA) & PMBA_BASE;

    if ((pciconf_read(piix4->pci, PM, PMREGMISC) & PMREGMISC_PMIOSE) != 0 && port >= base) {
        (void)bus_access(&piix4->block, port - base, size, write, value);
    }
}

int piix4_attach(struct piix4 *piix4, struct pciconf *pci, struct acpipm *pm, struct bus *pio)
{
    memset(piix4, 0, sizeof(*piix4));
    piix4->pci = pci;
    int rc = acpipm_attach(pm, &piix4->block, 0);

    if (rc == 0) {
        rc = pciconf_add(pci, registers, ARRAY_SIZE(registers));
    }
    if (rc == 0) {
        bus_set_rest(pio, access, piix4);
    }
    return rc;
}
