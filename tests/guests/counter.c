/* Counts slowly on the PIT: a neighbour that must not notice others' deaths. */
#include "tests/guests/kit/kit.h"

static volatile u32 ticks;

static void on_tick(u32 vector)
{
    ticks++;
    pic_eoi(vector - 32);
}

void guest_main(void)
{
    pic_setup(32);
    set_handler(32, on_tick);
    pic_unmask(0);
    pit_start(100);
    for (u32 i = 0; i < 20; i++) {
        u32 until = ticks + 5;
        while (ticks < until) {
            __asm__ volatile("sti; hlt; cli" ::: "memory");
        }
        print("count %u\n", i);
    }
}
