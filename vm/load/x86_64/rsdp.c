/* The board's ACPI root pointer, which loaders pass on (ACPI 6.5, 5.2.5.3 "Root System Description Pointer"). */
#include "kernel/lib/string.h"
#include "vm/load/x86_64/loaders.h"

#define RSDP_SIGNATURE "RSD PTR "
#define RSDP_SIGNATURE_LEN 8U
#define RSDP_REVISION 15U
#define RSDP_V1_LEN 20U
#define RSDP_V2_LEN 36U

u64 loader_find_rsdp(const struct load_request *rq, u8 copy[36], u32 *len)
{
    if (gmem_read(rq->mem, GPA(LOAD_ACPI_BASE), copy, RSDP_V2_LEN) != 0 ||
        memcmp(copy, RSDP_SIGNATURE, RSDP_SIGNATURE_LEN) != 0) {
        *len = 0;
        return 0;
    }
    *len = copy[RSDP_REVISION] >= 2 ? RSDP_V2_LEN : RSDP_V1_LEN;
    return LOAD_ACPI_BASE;
}
