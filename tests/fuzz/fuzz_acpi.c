/* units: drivers/x86_64/acpi_parse.c */
/* The input is all of physical memory, with an RSDP at 0. Every mapping is a copy of exactly its length, so that a read
 * beyond it is caught; checksums of tables are made good, or nothing would get past them. */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "drivers/x86_64/acpi_parse.h"

#define MAPPINGS 4096U

struct machine {
    const u8 *bytes;
    size_t len;
    void *mappings[MAPPINGS];
    u32 count;
};

static void make_checksum_good(u8 *table, size_t len)
{
    u8 *sum = &table[offsetof(struct acpi_header, checksum)];

    for (size_t i = 0; i < len; i++) {
        *sum = (u8)(*sum - (&table[i] == sum ? 0 : table[i]));
    }
}

static const void *map(void *ctx, u64 pa, u64 len)
{
    struct machine *machine = ctx;

    if (!range_contains(0, machine->len, pa, len) || machine->count == MAPPINGS) {
        return NULL;
    }
    u8 *copy = malloc(len);
    memcpy(copy, machine->bytes + pa, len);
    if (len > sizeof(struct acpi_header)) {
        copy[offsetof(struct acpi_header, checksum)] = 0;
        make_checksum_good(copy, len);
    }
    machine->mappings[machine->count++] = copy;
    return copy;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct machine machine = {.bytes = data, .len = size};
    const struct acpi_memory memory = {.map = map, .ctx = &machine};
    struct acpi_rsdp rsdp = {.signature = "RSD PTR ", .revision = 2, .length = sizeof(rsdp), .xsdt = 1, .rsdt = 1};
    static struct acpi_info info;
    u32 bad;
    u8 a = 0, b = 0;

    (void)acpi_rsdp_valid(data, size);
    acpi_info_default(&info);
    (void)acpi_parse(&rsdp, sizeof(rsdp), &memory, &info, &bad);
    if (acpi_find_s5(data, size, &a, &b) == 0 && (a > 7 || b > 7)) {
        abort();
    }
    if (info.cpu_count > CPU_MAX || info.ioapic_count > ACPI_IOAPICS_MAX) {
        abort();
    }
    while (machine.count > 0) {
        free(machine.mappings[--machine.count]);
    }
    return 0;
}
