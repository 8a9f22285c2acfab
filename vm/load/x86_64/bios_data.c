/* What a PC's firmware leaves in low memory and kernels still look at: the BIOS data area and the extended one. Written
 * before the image, so that an image that covers it wins. */
#include "vm/load/space.h"

#define BDA_BASE 0x400ULL
#define BDA_EQUIPMENT_FPU BIT32(1)
#define BDA_EQUIPMENT_SERIAL GENMASK(11, 9) /* number of ports */
#define PARAGRAPH_SHIFT 4U
#define EBDA_KIB 1U

struct bios_data {
    u16 serial_ports[4], parallel_ports[3];
    u16 ebda_segment;
    u16 equipment;
    u8 post_status;
    u16 base_memory_kib;
} PACKED;
_Static_assert(offsetof(struct bios_data, ebda_segment) == 0x0E, "BIOS data area: EBDA segment at 0x40E");
_Static_assert(offsetof(struct bios_data, base_memory_kib) == 0x13, "BIOS data area: memory size at 0x413");

int load_prepare(const struct load_request *rq)
{
    const struct vm_uarts *uarts = &rq->config->uarts;
    struct load_map_entry map[8];
    const u8 ebda = EBDA_KIB;

    (void)load_memory_map(rq->ram_size, map);
    struct bios_data data = {
        .ebda_segment = (u16)(map[0].len >> PARAGRAPH_SHIFT),
        .equipment = (u16)(BDA_EQUIPMENT_FPU | FIELD_PREP(BDA_EQUIPMENT_SERIAL, uarts->count)),
        .base_memory_kib = (u16)(map[0].len >> 10),
    };
    for (u32 i = 0; i < uarts->count; i++) {
        data.serial_ports[i] = uart_port(uarts->number[i]);
    }
    int error = load_copy(rq, BDA_BASE, &data, sizeof(data));
    return error != 0 ? error : load_copy(rq, map[0].len, &ebda, sizeof(ebda));
}
