#include "vm/dev/scratch.h"
#include "kernel/lib/string.h"

static void scratch_access(void *device, u64 offset, u8 size, bool write, u64 *value)
{
    struct scratch *scratch = device;

    if (write) {
        memcpy(&scratch->bytes[offset], value, size);
    } else {
        *value = 0;
        memcpy(value, &scratch->bytes[offset], size);
    }
}

int scratch_attach(struct scratch *scratch, struct bus *bus, u64 base)
{
    const struct bus_range range = {base, SCRATCH_SIZE, 8, scratch_access, scratch};

    memset(scratch, 0, sizeof(*scratch));
    return bus_add(bus, &range);
}
