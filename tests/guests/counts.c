/* Does known numbers of things that leave the guest, says nothing, and halts for good with interrupts on: so that the host's
 * counts can be compared (tests/integration/test_trace.py). The kit asks CPUID once more, for the vendor. */
#include "tests/guests/kit/kit.h"

#define CPUIDS 300
#define CALLS 200
#define PORTS 100
#define MSR_READS 70
#define MSR_WRITES 50
#define NOBODYS 40

#define PORT_NOBODY 0x300
#define MSR_APIC_BASE 0x1B
#define MSR_EFER 0xC0000080
#define MEMORY_NOBODY 0x3F000000 /* page tables lead there */

void guest_main(void)
{
    u32 r[4];
    u64 base, efer = 0;

    for (u32 i = 0; i < CPUIDS; i++) {
        cpuid(1, 0, r);
    }
    for (u32 i = 0; i < CALLS; i++) {
        (void)hypercall(MOTE_HC_ECHO, 1, 2, 3, 4, 5, 6);
    }
    for (u32 i = 0; i < PORTS; i++) {
        outb(PORT_NOBODY, 1);
    }
    for (u32 i = 0; i < MSR_READS; i++) {
        (void)try_rdmsr(MSR_APIC_BASE, &base);
    }
    (void)try_rdmsr(MSR_EFER, &efer); /* one read more */
    for (u32 i = 0; i < MSR_WRITES; i++) {
        (void)try_wrmsr(MSR_EFER, efer);
    }
    for (u32 i = 0; i < NOBODYS; i++) {
        (void)*(volatile u32 *)MEMORY_NOBODY;
    }
    for (;;) {
        __asm__ volatile("sti; hlt");
    }
}
