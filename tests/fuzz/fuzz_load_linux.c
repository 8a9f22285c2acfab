/* The bzImage loader on arbitrary headers: the input is the header, the rest of the file follows from its first bytes. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/fuzz/load_fuzz.h"

#define FILE_MAX 8192U

/* Most inputs get numbers of a plausible size, or hardly any would get beyond the first checks. */
static void tame(struct linux_setup_header *h)
{
    h->version = (u16)(0x0204 + h->version % 14);
    h->loadflags |= 1;
    h->setup_sects %= 12;
    h->syssize %= 600;
    h->pref_address = MIB(1) + h->pref_address % MIB(40);
    h->init_size %= MIB(40);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct linux_setup_header header = {0};

    if (size < 4) {
        return 0;
    }
    size_t file_size = (size_t)(data[0] | data[1] << 8) % FILE_MAX;
    bool wild = data[2] % 8 == 0;
    u8 *image = calloc(1, file_size + 1);
    memcpy(&header, data + 3, MIN(size - 3, sizeof(header)));
    if (!wild) {
        tame(&header);
    }
    header.boot_flag = LINUX_BOOT_FLAG;
    memcpy(header.header, LINUX_MAGIC, 4);
    for (size_t i = 0; i < sizeof(header) && LINUX_HEADER_OFFSET + i < file_size; i++) {
        image[LINUX_HEADER_OFFSET + i] = ((u8 *)&header)[i];
    }
    image = realloc(image, file_size != 0 ? file_size : 1);
    int result = fuzz_load(image, file_size, MIB(32), VM_TYPE_LINUX, ROLE_INITRD);
    free(image);
    return result;
}
