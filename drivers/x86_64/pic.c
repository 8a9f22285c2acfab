/* Intel 8259A data sheet: initialisation command words. */
#include "drivers/x86_64/pic.h"
#include "kernel/x86_64/pio.h"

#define PIC_MASTER_COMMAND 0x20U
#define PIC_MASTER_DATA 0x21U
#define PIC_SLAVE_COMMAND 0xA0U
#define PIC_SLAVE_DATA 0xA1U
#define ICW1_INIT_ICW4 0x11U
#define ICW2_MASTER_VECTOR 0x20U
#define ICW2_SLAVE_VECTOR 0x28U
#define ICW3_MASTER_SLAVE_ON_2 0x04U
#define ICW3_SLAVE_ID 0x02U
#define ICW4_8086 0x01U
#define MASK_ALL 0xFFU

void pic_disable(void)
{
    pio_write8(PIC_MASTER_COMMAND, ICW1_INIT_ICW4);
    pio_write8(PIC_SLAVE_COMMAND, ICW1_INIT_ICW4);
    pio_write8(PIC_MASTER_DATA, ICW2_MASTER_VECTOR);
    pio_write8(PIC_SLAVE_DATA, ICW2_SLAVE_VECTOR);
    pio_write8(PIC_MASTER_DATA, ICW3_MASTER_SLAVE_ON_2);
    pio_write8(PIC_SLAVE_DATA, ICW3_SLAVE_ID);
    pio_write8(PIC_MASTER_DATA, ICW4_8086);
    pio_write8(PIC_SLAVE_DATA, ICW4_8086);
    pio_write8(PIC_MASTER_DATA, MASK_ALL);
    pio_write8(PIC_SLAVE_DATA, MASK_ALL);
}
