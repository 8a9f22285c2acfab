/* AML by hand: each macro is a term of the grammar (ACPI 6.5, 20.2) or a resource descriptor (6.4). The keyboard is
 * left out: nobody types on it, and Linux warns of a controller without a mouse. */
#include "vm/board/x86_64/acpi_dsdt.h"
#include "vm/dev/x86_64/acpipm.h"

#define SIZE(...) sizeof((u8[]){__VA_ARGS__})
#define BYTE(value, n) (u8)((u32)(value) >> (8 * (n)))
#define WORD(value) BYTE(value, 0), BYTE(value, 1)
#define DWORD(value) WORD(value), BYTE(value, 2), BYTE(value, 3)

/* 20.2.4: the length counts itself; below 64 one byte, then four bits and a byte. */
#define SHORT(...) (u8)(SIZE(__VA_ARGS__) + 1), __VA_ARGS__
#define LONG(...) (u8)(0x40U | ((SIZE(__VA_ARGS__) + 2) & 0xFU)), (u8)((SIZE(__VA_ARGS__) + 2) >> 4), __VA_ARGS__

#define NAME(a, b, c, d) 0x08, a, b, c, d
#define SMALL(value) 0x0A, value
#define EISA_ID(high, low) 0x0C, 0x41, 0xD0, high, low /* PNPhhll */
#define SCOPE_SB(...) 0x10, LONG(0x5C, '_', 'S', 'B', '_', __VA_ARGS__)
#define RESOURCES(...) NAME('_', 'C', 'R', 'S'), 0x11, SHORT(SMALL(SIZE(__VA_ARGS__) + 2), __VA_ARGS__, 0x79, 0x00)
#define RESOURCES_LONG(...) NAME('_', 'C', 'R', 'S'), 0x11, LONG(SMALL(SIZE(__VA_ARGS__) + 2), __VA_ARGS__, 0x79, 0x00)
#define DEVICE(a, b, c, d, ...) 0x5B, 0x82, SHORT(a, b, c, d, NAME('_', 'H', 'I', 'D'), __VA_ARGS__)
#define DEVICE_LONG(a, b, c, d, ...) 0x5B, 0x82, LONG(a, b, c, d, NAME('_', 'H', 'I', 'D'), __VA_ARGS__)

#define IO(port, count) 0x47, 0x01, WORD(port), WORD(port), 0x01, count
#define IRQ(line) 0x22, WORD(1U << (line)) /* edge, active high */
/* 6.4.3.5: type, fixed ends, flags; granularity 0, first, last, offset 0, count. */
#define WINDOW16(type, flags, first, last) \
    0x88, WORD(13), type, 0x0C, flags, WORD(0), WORD(first), WORD(last), WORD(0), WORD((last) - (first) + 1U)
#define WINDOW32(flags, first, last) \
    0x87, WORD(23), 0, 0x0C, flags, DWORD(0), DWORD(first), DWORD(last), DWORD(0), DWORD((last) - (first) + 1U)
#define BUSES(first, last) WINDOW16(2, 0, first, last)
#define PORTS(first, last) WINDOW16(1, 3, first, last)
#define MEMORY(first, last) WINDOW32(1, first, last)

#define PCI_HOLE_START 0xE0000000U /* no VM has memory there, and below the IOAPIC no device of the board */
#define PCI_HOLE_LAST 0xFEAFFFFFU

#define TERMS \
    /* Package(4) {SLP_TYPa, SLP_TYPb, 0, 0} */ \
    NAME('_', 'S', '5', '_'), 0x12, SHORT(4, SMALL(ACPIPM_S5), SMALL(ACPIPM_S5), 0x00, 0x00), \
    SCOPE_SB( \
        DEVICE_LONG('P', 'C', 'I', '0', EISA_ID(0x0A, 0x03), \
                    RESOURCES_LONG(BUSES(0, 255), IO(0xCF8, 8), PORTS(0, 0xCF7), PORTS(0xD00, 0xFFFF), \
                                   MEMORY(PCI_HOLE_START, PCI_HOLE_LAST))), \
        DEVICE('R', 'T', 'C', '_', EISA_ID(0x0B, 0x00), RESOURCES(IO(0x70, 2), IRQ(8))))

#define UART(number, port, irq) \
    SCOPE_SB(DEVICE('C', 'O', 'M', '0' + (number), EISA_ID(0x05, 0x01), NAME('_', 'U', 'I', 'D'), SMALL(number), \
                    RESOURCES(IO(port, 8), IRQ(irq))))

_Static_assert(SIZE(TERMS) == ACPI_DSDT_SIZE, "no byte behind the last term");
const u8 acpi_dsdt[ACPI_DSDT_SIZE] = {TERMS};

_Static_assert(SIZE(UART(4, 0x2E8, 3)) == ACPI_DSDT_UART_SIZE, "no byte behind the term");
const u8 acpi_dsdt_uart[UART_PORTS][ACPI_DSDT_UART_SIZE] = {
    {UART(1, 0x3F8, 4)}, {UART(2, 0x2F8, 3)}, {UART(3, 0x3E8, 4)}, {UART(4, 0x2E8, 3)},
};
