/* A guest to be operated: says that its image and memory are pristine, prints a number ten times a second for ever and kicks its
 * watchdog, echoes what is typed, and obeys the power button. */
#include "tests/guests/kit/kit.h"

#define PORT_LSR (PORT_COM1 + 5)
#define LSR_DATA 1U
#define PORT_PM1_STATUS 0x600
#define PM1_STATUS_PWRBTN 0x100U
#define PORT_PM1_CONTROL 0x604
#define PM1_SLP_EN 0x2000U /* with SLP_TYP 0: soft-off */
#define MARK 0xB0A7B0A7U

static volatile u32 ticks;
static volatile u32 starts = 1; /* in the image: more than 1 in a VM that was not given a fresh copy */

static void on_tick(u32 vector)
{
    ticks++;
    pic_eoi(vector - 32);
}

static void serve_user(void)
{
    while ((inb(PORT_LSR) & LSR_DATA) != 0) {
        print("typed %c\n", inb(PORT_COM1));
    }
    if ((inw(PORT_PM1_STATUS) & PM1_STATUS_PWRBTN) != 0) {
        print("button\n");
        outw(PORT_PM1_CONTROL, PM1_SLP_EN);
    }
}

void guest_main(void)
{
    volatile u32 *memory = (volatile u32 *)0x400000;

    print("fresh starts=%u memory=%s\n", starts++, *memory == MARK ? "dirty" : "clean");
    *memory = MARK;
    pic_setup(32);
    set_handler(32, on_tick);
    pic_unmask(0);
    pit_start(100);
    for (u32 i = 0;; i++) {
        u32 until = ticks + 10;
        while (ticks < until) {
            __asm__ volatile("sti; hlt; cli" ::: "memory");
        }
        print("beat %u\n", i);
        (void)hypercall(MOTE_HC_WATCHDOG, 0, 0, 0, 0, 0, 0);
        serve_user();
    }
}
