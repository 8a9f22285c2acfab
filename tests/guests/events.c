/* Interrupts, windows, shadows, exceptions, NMIs: what arrives, when, how often. Interrupts are raised by the UART: each
 * rise of its transmitter-empty enable is one edge on pin 4. Wants selftest=on. */
#include "tests/guests/kit/kit.h"

#define UART_IER (PORT_COM1 + 1)
#define UART_IIR (PORT_COM1 + 2)
#define UART_MCR (PORT_COM1 + 4)
#define MCR_OUT2 8
#define IER_THRE 2
#define PIN 4
#define VECTOR (32 + PIN)
#define MANY 1000
#define FLOOD 20000
#define UNLISTED_MSR 0x1234
#define HOLE 0x40000000ULL /* identity mapped, then unmapped by us */

volatile u32 count;
static volatile u32 nmis, nmi_depth, nmi_nested;

static void on_uart(u32 vector)
{
    (void)vector;
    count++;
    (void)inb(UART_IIR);
    pic_eoi(PIN);
}

static void raise_line(void)
{
    outb(UART_IER, 0);
    outb(UART_IER, IER_THRE);
}

static void acknowledge_quietly(void)
{
    outb(UART_IER, 0);
}

static void test_interrupts(void)
{
    u32 wrong = 0;

    sti();
    for (u32 i = 0; i < MANY; i++) {
        u32 before = count;
        raise_line();
        __asm__ volatile("nop");
        wrong += count != before + 1;
    }
    cli();
    check(wrong == 0 && count == MANY, "irq-each-once", "sent=%u counted=%u wrong=%u", MANY, count, wrong);
}

static void test_masked(void)
{
    u32 inside = 0, missing = 0;

    for (u32 i = 0; i < MANY; i++) {
        u32 before = count;
        cli();
        raise_line();
        inside += count != before;
        sti();
        __asm__ volatile("nop");
        cli();
        missing += count != before + 1;
    }
    check(inside == 0 && missing == 0, "irq-window", "inside-cli=%u missing=%u", inside, missing);
}

static void test_shadows(void)
{
    u32 before = count, after_cli, after_ss;

    raise_line();
    __asm__ volatile("sti; cli; nop" ::: "memory");
    after_cli = count;
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
    check(after_cli == before && count == before + 1, "sti-shadow", "in-shadow=%u after=%u", after_cli - before,
          count - before);
    acknowledge_quietly(); /* the line of text above has raised one more */
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
    before = count;
    u64 seen;
    __asm__ volatile("movw %%ss, %%ax; sti; movw %%ax, %%ss; movl count(%%rip), %%ebx; nop; cli" : "=b"(seen)::"rax", "memory");
    after_ss = count;
    check(after_ss == before, "nothing-pending", "extra=%u", after_ss - before);
}

static void test_flood(void)
{
    u32 before = count;

    cli();
    for (u32 i = 0; i < FLOOD; i++) {
        raise_line();
    }
    sti();
    __asm__ volatile("nop; nop");
    cli();
    check(count == before + 1, "flood-latches-one", "raised=%u delivered=%u", FLOOD, count - before);
    acknowledge_quietly();
}

static void test_exceptions(void)
{
    u64 value;
    int v = try_rdmsr(UNLISTED_MSR, &value);

    check(v == 13 && fault_error == 0, "gp-injected", "vector=%d error=0x%lx", v, fault_error);
    map_page(HOLE, 0, 0);
    v = TRY("movsb", : : "S"((u64)MOTE_SCRATCH_MMIO), "D"(HOLE + 5));
    check(v == 14 && fault_error == 2 && fault_cr2 == HOLE + 5, "pf-injected", "vector=%d error=0x%lx cr2=0x%lx", v,
          fault_error, fault_cr2);
    u8 byte;
    v = TRY("movb (%1), %0", : "=&q"(byte) : "r"(HOLE));
    check(v == 14 && fault_error == 0 && fault_cr2 == HOLE, "pf-native", "vector=%d error=0x%lx cr2=0x%lx", v, fault_error,
          fault_cr2);
}

/* A #GP from the hypervisor whose gate is not present becomes #DF. */
static void test_double_fault(void)
{
    struct __attribute__((packed)) {
        u16 limit;
        u64 base;
    } idtr;
    u64 value;

    __asm__ volatile("sidt %0" : "=m"(idtr));
    u8 *type = (u8 *)idtr.base + 13 * 16 + 5;
    u8 saved = *type;
    *type &= 0x7F;
    int v = try_rdmsr(UNLISTED_MSR, &value);
    *type = saved;
    if (v == 11) { /* the runner knows which emulator may do this */
        print("QUIRK double-fault vector=11: the second fault alone\n");
    } else {
        check(v == 8 && fault_error == 0, "double-fault", "vector=%d error=0x%lx", v, fault_error);
    }
}

static void on_nmi(u32 vector)
{
    (void)vector;
    nmi_nested += nmi_depth++ != 0;
    if (nmis++ == 0) {
        (void)hypercall(MOTE_HC_NMI, 0, 0, 0, 0, 0, 0); /* blocked until our IRET */
        nmi_nested += nmis != 1;
    }
    nmi_depth--;
}

static void test_nmi(void)
{
    set_handler(2, on_nmi);
    (void)hypercall(MOTE_HC_NMI, 0, 0, 0, 0, 0, 0);
    for (volatile u32 i = 0; i < 1000; i++) {
    }
    check(nmis == 2 && nmi_nested == 0, "nmi", "handled=%u nested=%u", nmis, nmi_nested);
}

void guest_main(void)
{
    pic_setup(32);
    set_handler(VECTOR, on_uart);
    outb(UART_MCR, MCR_OUT2);
    pic_unmask(PIN);
    test_interrupts();
    test_masked();
    test_shadows();
    test_flood();
    test_exceptions();
    test_double_fault();
    test_nmi();
}
