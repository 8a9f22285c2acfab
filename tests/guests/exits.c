/* One exit of each kind that a guest can provoke, for the host to trace: which one ends the VM depends on its number, in
 * the order in which the test starts them. Prints nothing, for every byte would be an exit of its own. */
#include "tests/guests/kit/kit.h"

#define HOLE 0x3F000000ULL

static u8 text[4] = {0xA5, 0x5A, 0xC3, 0x3C};

static void ports(void)
{
    const u8 *from = text;
    u8 *to = text;
    u64 count = 2;

    outb(0x300, 0xA1);
    outw(0x302, 0xA1B2);
    outl(0x304, 0xA1B2C3D4);
    (void)inb(0x308);
    (void)inw(0x30A);
    (void)inl(0x30C);
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x310) : "memory");
    count = 1;
    __asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(0x312) : "memory");
}

static void memory(void)
{
    (void)*(volatile u32 *)(HOLE + 0x10);
    *(volatile u16 *)(HOLE + 0x20) = 1;
    *(volatile u32 *)0xE0010 = 1; /* there, but not writable */
}

static void calls(void)
{
    (void)hypercall(MOTE_HC_ECHO, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66);
    (void)hypercall(0x4D54FFFF, 1, 2, 3, 4, 5, 6);
}

/* While the host logs every exit, ticks come faster than they can be served: only the first few count. */
static void on_tick(u32 vector)
{
    static u32 ticks;

    if (++ticks == 3) {
        outb(0x21, 0xFF);
    }
    pic_eoi(vector - 32);
}

static void wait(void)
{
    pic_setup(32);
    set_handler(32, on_tick);
    pic_unmask(0);
    pit_start(20);
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    for (u32 i = 0; i < 10000; i++) { /* a loop tight and long enough for every CPU that looks for one */
        __asm__ volatile("pause");
    }
    for (u32 i = 0; i < 300000; i++) { /* longer than a slice */
        __asm__ volatile("");
    }
}

static void triple_fault(void)
{
    struct __attribute__((packed)) { u16 limit; u64 base; } none = {0, 0};

    __asm__ volatile("lidt %0; ud2" ::"m"(none));
}

void guest_main(void)
{
    ports();
    memory();
    calls();
    wait();
    switch (hypercall(MOTE_HC_VM_ID, 0, 0, 0, 0, 0, 0)) {
    case 0: ((void (*)(void))HOLE)(); break;
    case 1: WRITE_REG(cr3, HOLE + 0x1000); break;
    case 2: (void)hypercall(MOTE_HC_BREAK, 0, 0, 0, 0, 0, 0); break;
    case 3: __asm__ volatile("cli; hlt"); break;
    default: triple_fault();
    }
}
