/* The role firmware: an image that ends at 4 GiB as read-only memory, where the reset vector (FFFFFFF0h) is, and whose
 * last 128 KiB the board's BIOS area holds as well: the state of a PC when power comes on (SDM Vol. 3 10.1.4 "First
 * Instruction Executed"). The BIOS area is RAM here, as after a chipset's shadowing. */
#include "kernel/lib/errno.h"
#include "vm/load/x86_64/loaders.h"

#define FIRMWARE_END GIB(4)
#define FIRMWARE_MIN KIB(64)
#define FIRMWARE_MAX MIB(16)
#define BIOS_AREA_START LOAD_ACPI_BASE
#define BIOS_AREA_END MIB(1)

static int firmware_load(const struct load_request *rq, struct vcpu_entry *entry)
{
    const struct image *image = &rq->images[0];
    u64 size = image->size;

    if (size < FIRMWARE_MIN || size > FIRMWARE_MAX || !IS_ALIGNED(size, LOAD_PAGE)) {
        return load_fail(rq->why, -E_FORMAT, "firmware of %llu bytes: not a multiple of 4K from 64K to 16M",
                         (unsigned long long)size);
    }
    int error = gmem_add(rq->mem, FIRMWARE_END - size, size, GMEM_EXECUTABLE);
    if (error != 0) {
        return load_fail(rq->why, error, "no memory for the firmware's %lluK", (unsigned long long)(size >> 10));
    }
    error = load_copy(rq, FIRMWARE_END - size, image->data, size);
    u64 low = MIN(size, BIOS_AREA_END - BIOS_AREA_START);
    if (error == 0) {
        error = load_copy(rq, BIOS_AREA_END - low, image->data + size - low, low);
    }
    if (error == 0) {
        *entry = (struct vcpu_entry){.reset_vector = true};
    }
    return error;
}

const struct loader load_firmware = {VM_TYPE_AUTO, "firmware", NULL, firmware_load};
