#include "vm/dev/x86_64/pciconf.h"
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
enum { HEADER_ID = 0, HEADER_CLASS = 2, HEADER_DWORDS };
static const u32 bridge[HEADER_DWORDS] = {
    [HEADER_ID] = 0x12378086U,    /* device and vendor: Intel 440FX, of which virtual PCs' bridges are descendants */
    [HEADER_CLASS] = 0x06000002U, /* bridge, host bridge; revision 2 */
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

static void data_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct pciconf *pci = device;
    u32 address = READ_ONCE(pci->address);
    size_t at = FIELD_GET(ADDRESS_REGISTER, address);

    (void)size;
    if (write) {
        return;
    }
    if ((address & ADDRESS_ENABLE) == 0 || (address & ADDRESS_FUNCTION) != 0) {
        *value = ~0ULL;
    } else {
        *value = at < HEADER_DWORDS ? bridge[at] >> (offset * 8) : 0;
    }
}

void pciconf_init(struct pciconf *pci, bus_handler reset_control, void *reset_device)
{
    memset(pci, 0, sizeof(*pci));
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
