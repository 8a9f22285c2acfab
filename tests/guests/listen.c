/* Takes typed lines by interrupt, through the FIFO, and says how much came: length, sum and overruns. An empty line ends it. */
#include "tests/guests/kit/kit.h"

#define IRQ_COM1 4
#define IER (PORT_COM1 + 1)
#define FCR (PORT_COM1 + 2)
#define MCR (PORT_COM1 + 4)
#define FCR_FIFO_14 0xC7 /* on, cleared, interrupt at 14 bytes */
#define MCR_OUT2 8
#define LSR_DATA 1U
#define LSR_OVERRUN 2U

static volatile u32 count, sum, overruns;
static volatile bool done;

static void on_byte(u32 vector)
{
    for (u8 status = inb(PORT_LSR); (status & LSR_DATA) != 0 && !done; status = inb(PORT_LSR)) {
        u8 byte = inb(PORT_COM1);
        overruns += (status & LSR_OVERRUN) != 0 ? 1 : 0;
        if (byte == '\r') {
            done = true;
        } else {
            count++;
            sum = sum * 31 + byte;
        }
    }
    pic_eoi(vector - 32);
}

void guest_main(void)
{
    pic_setup(32);
    set_handler(32 + IRQ_COM1, on_byte);
    pic_unmask(IRQ_COM1);
    outb(FCR, FCR_FIFO_14);
    outb(MCR, MCR_OUT2);
    do {
        count = sum = overruns = 0;
        done = false;
        print("listening\n");
        outb(IER, 1);
        while (!done) {
            __asm__ volatile("sti; hlt; cli" ::: "memory");
        }
        outb(IER, 0);
        print("heard count=%u sum=%x overruns=%u\n", count, sum, overruns);
    } while (count != 0);
}
