/* A PC's memory as its guests see it.
 *
 *   0          conventional memory            0xA0000   nothing (video)
 *   0x9FC00    extended BIOS data, reserved   0xC0000   ROM area: memory that the map does not show
 *   0xE0000    BIOS area with ACPI tables, reserved
 *   1 MiB      memory up to LOAD_HOLE_START; what is left begins at 4 GiB */
#include "vm/load/load.h"

#define EBDA_START 0x9FC00ULL
#define VIDEO_START 0xA0000ULL
#define BIOS_START LOAD_ACPI_BASE
#define EXTENDED_START MIB(1)
#define HIGH_START GIB(4)

u32 load_memory_map(u64 ram_size, struct load_map_entry out[8])
{
    u64 low_end = MIN(ram_size, LOAD_HOLE_START);
    u32 count = 0;

    out[count++] = (struct load_map_entry){0, EBDA_START, true};
    out[count++] = (struct load_map_entry){EBDA_START, VIDEO_START - EBDA_START, false};
    out[count++] = (struct load_map_entry){BIOS_START, EXTENDED_START - BIOS_START, false};
    if (low_end > EXTENDED_START) {
        out[count++] = (struct load_map_entry){EXTENDED_START, low_end - EXTENDED_START, true};
    }
    if (ram_size > LOAD_HOLE_START) {
        out[count++] = (struct load_map_entry){HIGH_START, ram_size - LOAD_HOLE_START, true};
    }
    return count;
}
