#include "vm/dev/x86_64/pciconf.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

#define CONFIG_ADDRESS 0xCF8U
#define CONFIG_DATA 0xCFCU
#define CONFIG_PORTS 4U
#define RESET_CONTROL_OFFSET 1U /* CF9h */
#define ADDRESS_ENABLE BIT32(31)
#define ADDRESS_FUNCTION GENMASK(23, 8) /* bus, device, function: the host bridge is 00:00.0 */
#define ADDRESS_REGISTER GENMASK(7, 2)
#define ADDRESS_WRITABLE (ADDRESS_ENABLE | ADDRESS_FUNCTION | ADDRESS_REGISTER)

/* The host bridge's header (section 6.1 "Configuration Space Organization"): identity and class; no bars, no interrupt, and
 * nothing that a write changes. It is there because systems take a bus without any bridge for none at all. */
#define HEADER_ID 0x00U
#define HEADER_CLASS 0x08U
static const struct pci_register bridge[] = {
    {PCI_FUNCTION(0, 0), HEADER_ID, 0x12378086U, 0},    /* device and vendor: Intel 440FX, the parent of virtual PCs' bridges */
    {PCI_FUNCTION(0, 0), HEADER_CLASS, 0x06000002U, 0}, /* bridge, host bridge; revision 2 */
};

/* Only a dword access reaches the address register; bytes pass it by, so that CF9h stays the reset control. */
static void address_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct pciconf *pci = device;

    if (offset == RESET_CONTROL_OFFSET && size == 1) {
        pci->reset_control(pci->reset_device, 0, size, write, value);
        return;
    }
    if (offset != 0 || size != 4) {
        *value = ~0ULL;
        return;
    }
    u64 flags = spin_lock(&pci->lock);
    if (write) {
        pci->address = (u32)(*value & ADDRESS_WRITABLE);
    } else {
        *value = pci->address;
    }
    spin_unlock(&pci->lock, flags);
}

/* The number of a register in the table; the table's length: there is none. Tells whether its function is there. */
static u32 find(const struct pciconf *pci, u32 function, u32 at, bool *there)
{
    u32 i = 0;

    for (*there = false; i < pci->count; i++) {
        if (pci->registers[i].function == function) {
            *there = true;
            if (pci->registers[i].at == at) {
                break;
            }
        }
    }
    return i;
}

u32 pciconf_read(const struct pciconf *pci, u16 function, u8 at)
{
    bool there;
    u32 found = find(pci, function, at, &there);

    if (found == pci->count) {
        return there ? 0 : ~0U;
    }
    return READ_ONCE(pci->registers[found].value);
}

static void write_register(struct pciconf *pci, u32 number, u64 bits, u64 bytes)
{
    struct pci_register *reg = &pci->registers[number];
    u32 mask = (u32)bytes & reg->writable;
    u64 flags = spin_lock(&pci->lock);

    WRITE_ONCE(reg->value, (reg->value & ~mask) | ((u32)bits & mask));
    spin_unlock(&pci->lock, flags);
}

static void data_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct pciconf *pci = device;
    u32 address = READ_ONCE(pci->address);
    u16 function = (u16)FIELD_GET(ADDRESS_FUNCTION, address);
    u8 at = (u8)(address & ADDRESS_REGISTER);
    unsigned shift = (unsigned)offset * 8;
    bool there;

    if ((address & ADDRESS_ENABLE) == 0) {
        *value = ~0ULL;
    } else if (!write) {
        *value = pciconf_read(pci, function, at) >> shift;
    } else {
        u32 number = find(pci, function, at, &there);
        if (number != pci->count) {
            write_register(pci, number, *value << shift, GENMASK(size * 8U - 1U, 0) << shift);
        }
    }
}

int pciconf_add(struct pciconf *pci, const struct pci_register *registers, u32 count)
{
    if (count > PCICONF_REGISTERS_MAX - pci->count) {
        return -E_NOMEM;
    }
    memcpy(&pci->registers[pci->count], registers, count * sizeof(*registers));
    pci->count += count;
    return 0;
}

void pciconf_init(struct pciconf *pci, bus_handler reset_control, void *reset_device)
{
    memset(pci, 0, sizeof(*pci));
    memcpy(pci->registers, bridge, sizeof(bridge));
    pci->count = ARRAY_SIZE(bridge);
    pci->reset_control = reset_control;
    pci->reset_device = reset_device;
}

int pciconf_attach(struct pciconf *pci, struct bus *pio)
{
    const struct bus_range address = {CONFIG_ADDRESS, CONFIG_PORTS, 4, address_access, pci};
    const struct bus_range data = {CONFIG_DATA, CONFIG_PORTS, 4, data_access, pci};
    int rc = bus_add(pio, &address);

    return rc != 0 ? rc : bus_add(pio, &data);
}
