/* Two CPUs, one of which dies, in functions that the ELF file names. type=elf vcpus=2; where the address that kills lies in its
 * memory, it stays silent in place of that, for the watchdog. */
#include "tests/guests/kit/apic.h"

#define OUTSIDE 0x3000000UL /* in the page tables, but not memory */

static volatile u32 alive;

__attribute__((noinline)) static void spin_beside(void)
{
    alive = 1;
    for (;;) {
        __asm__ volatile("pause");
    }
}

__attribute__((noinline)) static void touch_device(void)
{
    __asm__ volatile("fldl (%0)" ::"b"(OUTSIDE) : "memory"); /* Mote has no x87 for devices */
}

__attribute__((noinline)) static void stay_silent(void)
{
    for (;;) {
        __asm__ volatile("pause");
    }
}

void guest_main(void)
{
    apic_enable(false);
    print("started %d\n", start_cpu(1, spin_beside));
    (void)wait_count(&alive, 1, 10000);
    touch_device();
    stay_silent();
}
