/* The serial ports that uart= gives: which are there, that each raises the interrupt that a PC's does, alone and while its
 * sibling on the same wire wants it too, and that each hears what is typed at its own console. */
#include "tests/guests/kit/kit.h"

#define PORTS 4U
#define IER 1U
#define IIR 2U
#define MCR 4U
#define LSR 5U
#define SCRATCH 7U
#define IER_RX 1U
#define IER_THRE 2U
#define MCR_OUT2 8U
#define MODEM (MCR_OUT2 | 3U)
#define IIR_NONE 1U

static const u16 bases[PORTS] = {0x3F8, 0x2F8, 0x3E8, 0x2E8};
static bool present[PORTS];
static volatile u32 empty[PORTS]; /* interrupts of the transmitter, by port */
static volatile u32 typed;

/* To the VM's console, whether there is a port or not. */
static void say(const char *text)
{
    for (; *text != '\0'; text++) {
        outb(MOTE_PORT_DEBUG, (u8)*text);
    }
}

static void send(u16 base, const char *text)
{
    for (; *text != '\0'; text++) {
        while ((inb(base + LSR) & LSR_THRE) == 0) {
        }
        outb(base, (u8)*text);
    }
}

static void serve(u32 n)
{
    u16 base = bases[n];
    char echo[] = "comN got X\n";

    for (u8 id = inb(base + IIR); (id & IIR_NONE) == 0; id = inb(base + IIR)) {
        if ((id & 6) == 2) {
            empty[n]++;
        } else if ((inb(base + LSR) & 1) != 0) {
            echo[3] = (char)('1' + n);
            echo[9] = (char)inb(base);
            send(base, echo);
            typed++;
        }
    }
}

/* All on this wire, until none wants anything. */
static void on_irq(u32 vector)
{
    for (u32 n = vector - 32 == 4 ? 0 : 1; n < PORTS; n += 2) {
        if (present[n]) {
            serve(n);
        }
    }
    pic_eoi(vector - 32);
}

static void enable(u32 n, u8 interrupts)
{
    if (present[n]) {
        outb(bases[n] + MCR, MODEM);
        outb(bases[n] + IER, interrupts);
    }
}

static void wait_for(u32 n, u32 count)
{
    while (empty[n] < count) {
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    }
}

/* With interrupts off both ask, so that the wire rises once; then alone, for which it must have fallen. */
static bool raises(u32 n)
{
    u32 sibling = (n + 2) % PORTS;
    u32 before = empty[n], other = empty[sibling];

    enable(n, IER_THRE);
    enable(sibling, IER_THRE);
    wait_for(n, before + 1);
    wait_for(sibling, other + present[sibling]);
    bool both = empty[n] == before + 1 && empty[sibling] == other + present[sibling];
    enable(n, 0);
    enable(sibling, 0);
    enable(n, IER_THRE);
    wait_for(n, before + 2);
    enable(n, 0);
    return both && empty[n] == before + 2;
}

void guest_main(void)
{
    char line[] = "com1=-- ";
    char hello[] = "hello from com1\n";
    u32 count = 0;

    pic_setup(32);
    set_handler(32 + 3, on_irq);
    set_handler(32 + 4, on_irq);
    pic_unmask(3);
    pic_unmask(4);
    for (u32 n = 0; n < PORTS; n++) {
        outb(bases[n] + SCRATCH, 0x5A);
        present[n] = inb(bases[n] + SCRATCH) == 0x5A;
        count += present[n];
    }
    for (u32 n = 0; n < PORTS; n++) {
        line[3] = (char)('1' + n);
        line[5] = present[n] ? 'y' : 'n';
        line[6] = !present[n] ? '-' : raises(n) ? 'i' : '!';
        say(line);
    }
    say("\n");
    for (u32 n = 0; n < PORTS; n++) {
        hello[14] = (char)('1' + n);
        if (present[n]) {
            send(bases[n], hello);
            enable(n, IER_RX);
        }
    }
    while (typed < count) {
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    }
    exit_vm(count);
}
