/* Channel 2 of the 8254 interval timer (data sheet: mode 0), which raises no interrupt; gated by port 61h. */
#include "drivers/x86_64/clocksource.h"
#include "kernel/x86_64/pio.h"

#define PIT_HZ 1193182U
#define PIT_CHANNEL2 0x42U
#define PIT_COMMAND 0x43U
#define PIT_COMMAND_CH2_WORD_MODE0 0xB0U
#define PIT_COMMAND_CH2_LATCH 0x80U
#define PIT_RELOAD 0xFFFFU
#define PORT_B 0x61U
#define PORT_B_GATE2 0x01U
#define PORT_B_SPEAKER 0x02U

static u32 read_counter(void)
{
    pio_write8(PIT_COMMAND, PIT_COMMAND_CH2_LATCH);
    u32 low = pio_read8(PIT_CHANNEL2);
    u32 high = pio_read8(PIT_CHANNEL2);

    return PIT_RELOAD - (high << 8 | low);
}

const struct clocksource *pit_start(const struct acpi_info *info)
{
    static const struct clocksource source = {"pit", PIT_HZ, PIT_RELOAD, read_counter};

    (void)info;
    pio_write8(PORT_B, (u8)((pio_read8(PORT_B) & ~PORT_B_SPEAKER) | PORT_B_GATE2));
    pio_write8(PIT_COMMAND, PIT_COMMAND_CH2_WORD_MODE0);
    pio_write8(PIT_CHANNEL2, PIT_RELOAD & UINT8_MAX);
    pio_write8(PIT_CHANNEL2, PIT_RELOAD >> 8);
    return &source;
}
