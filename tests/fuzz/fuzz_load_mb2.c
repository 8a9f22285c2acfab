/* The multiboot 2 loader on arbitrary bytes. */
/* units: vm/load/?*.c vm/load/x86_64/?*.c kernel/lib/fmt.c */
#include "tests/fuzz/load_fuzz.h"
#include "vm/load/x86_64/multiboot_abi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u8 *image = fuzz_copy(data, size);

    /* The header's length comes from the input, the checksum fits it. */
    struct mb2_header header;
    if (size >= 64 + sizeof(header)) {
        memcpy(&header, data + 64, sizeof(header));
        header.magic = MB2_HEADER_MAGIC;
        header.architecture = 0;
        header.header_length %= 1024;
        header.checksum = 0U - header.magic - header.header_length;
        stamp(image, size, 64, &header, sizeof(header));
    }
    if (size != 0 && (data[0] & 1) != 0) {
        stamp(image, size, 0, "\177ELF\1\1", 6);
    }
    int result = fuzz_load(image, size, MIB(4), VM_TYPE_MB2, ROLE_MODULE);
    free(image);
    return result;
}
