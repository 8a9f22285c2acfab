#include "vm/dev/x86_64/pciconf.h"
#include "kernel/lib/string.h"

#define CONFIG_ADDRESS 0xCF8U
#define CONFIG_DATA 0xCFCU
#define CONFIG_PORTS 4U
#define RESET_CONTROL_OFFSET 1U /* CF9h */
#define ADDRESS_WRITABLE (BIT32(31) | GENMASK(23, 2))

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
    (void)device;
    (void)offset;
    (void)size;
    if (!write) {
        *value = ~0ULL;
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
