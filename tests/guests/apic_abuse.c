/* What no driver should do to the interrupt chips, and what the manuals say comes of it; a neighbour's ticks show
 * that the host is unharmed. */
#include "tests/guests/kit/apic.h"

#define TIMER 0x60
#define EDGE 0x71
#define UART_IER (PORT_COM1 + 1)
#define UART_IIR (PORT_COM1 + 2)
#define UART_MCR (PORT_COM1 + 4)
#define MCR_OUT2 8
#define IER_THRE 2
#define PIN_UART 4
#define LEVEL (1U << 15)
#define FIRST 32U

static u32 divisors_wrong;

static u32 total(void)
{
    u32 sum = 0;

    for (u32 i = 0; i < 256; i++) {
        sum += apic_counts[i];
    }
    return sum;
}

static void forget(void)
{
    for (u32 i = 0; i < 256; i++) {
        apic_counts[i] = 0;
    }
}

static u32 delivered_in(u32 us)
{
    u32 before = total();

    sti();
    wait_us(us);
    cli();
    return total() - before;
}

/* --- the timer -------------------------------------------------------------------------------------------------------- */

/* Both clocks are the host's, so that the count lies between what the clock showed inside and outside of it. */
static void try_divisor(u32 bits, u32 divisor)
{
    apic_set(APIC_DIVIDE, bits);
    apic_set(APIC_INITIAL, ~0U);
    u64 outer = time_ns(), first = apic_get(APIC_CURRENT), inner = time_ns();
    wait_us(3000);
    u64 inner_end = time_ns(), last = apic_get(APIC_CURRENT), outer_end = time_ns();
    u64 counted = first - last;

    if (apic_get(APIC_DIVIDE) != bits || counted + 1 < (inner_end - inner) / divisor ||
        counted > (outer_end - outer) / divisor + 1) {
        divisors_wrong++;
        print("divide 0x%x: counted=%lu inner=%lu outer=%lu\n", bits, counted, inner_end - inner, outer_end - outer);
    }
}

static void test_divisors(void)
{
    static const struct { u32 bits, divisor; } all[] = {
        {0xB, 1}, {0x0, 2}, {0x1, 4}, {0x2, 8}, {0x3, 16}, {0x8, 32}, {0x9, 64}, {0xA, 128},
    };

    apic_set(APIC_LVT_TIMER, LVT_MASKED | TIMER);
    for (u32 i = 0; i < ARRAY_SIZE(all); i++) {
        try_divisor(all[i].bits, all[i].divisor);
    }
    apic_set(APIC_DIVIDE, ~0U);
    u32 divide = apic_get(APIC_DIVIDE);
    check(divisors_wrong == 0 && divide == 0xB, "timer-divisors", "wrong=%u all-ones=0x%x", divisors_wrong, divide);
}

static void test_counts(void)
{
    forget();
    apic_set(APIC_DIVIDE, 0xA); /* 128: the count lasts nine minutes */
    apic_set(APIC_LVT_TIMER, TIMER_PERIODIC | TIMER);
    apic_set(APIC_INITIAL, ~0U);
    u32 early = delivered_in(5000), left = apic_get(APIC_CURRENT);
    check(early == 0 && left > ~0U / 2, "timer-longest", "ticks=%u current=0x%x", early, left);
    apic_set(APIC_INITIAL, 0);
    u32 stopped = delivered_in(5000);
    check(stopped == 0 && apic_get(APIC_CURRENT) == 0, "timer-zero", "ticks=%u current=%u", stopped, apic_get(APIC_CURRENT));
    apic_set(APIC_DIVIDE, 0xB);
    apic_set(APIC_LVT_TIMER, 5); /* a vector that is reserved: an error when the timer is due */
    (void)apic_errors();
    apic_set(APIC_INITIAL, 1000);
    u32 none = 0, error = 0;
    for (u32 i = 0; i < 200 && error == 0; i++) { /* a busy host may be late */
        none += delivered_in(5000);
        error = apic_errors();
    }
    check(none == 0 && (error & 0x40) != 0, "timer-reserved-vector", "ticks=%u esr=0x%x", none, error);
}

static void test_deadlines(void)
{
    static const u64 far[] = {~0ULL, ~0ULL - 1, 1ULL << 63, 1ULL << 62, 1ULL << 60, ~0ULL / 20, ~0ULL / 20 + (1ULL << 32)};
    u32 early = 0, wrong = 0;
    u64 value;

    forget();
    apic_set(APIC_LVT_TIMER, TIMER_DEADLINE | TIMER);
    for (u32 i = 0; i < ARRAY_SIZE(far); i++) {
        wrong += try_wrmsr(MSR_TSC_DEADLINE, far[i]) != NO_FAULT;
        early += delivered_in(2000);
        wrong += try_rdmsr(MSR_TSC_DEADLINE, &value) != NO_FAULT || value != far[i];
    }
    check(early == 0 && wrong == 0, "deadline-far", "early=%u wrong=%u", early, wrong);
    forget();
    for (u32 i = 0; i < 1000; i++) {
        (void)try_wrmsr(MSR_TSC_DEADLINE, rdtsc() - 1);
    }
    u32 past = delivered_in(20000); /* those that came with interrupts off are one; a busy host may be late with the last */
    check(past == 1 || past == 2, "deadline-past", "written=1000 delivered=%u", past);
    apic_set(APIC_LVT_TIMER, LVT_MASKED);
}

/* --- the I/O APIC ----------------------------------------------------------------------------------------------------- */

static void on_edge(u32 vector)
{
    apic_counts[vector]++;
    (void)inb(UART_IIR);
    apic_set(APIC_EOI, 0);
}

static void raise_uart(void)
{
    outb(UART_IER, 0);
    outb(UART_IER, IER_THRE);
}

/* Redirected to nobody, by every way to say so. A pin that is high and level asks again when it is redirected. */
static void test_redirection(void)
{
    u32 lost = 0, remote = 0;

    outb(UART_MCR, MCR_OUT2);
    set_handler(EDGE, on_edge);
    for (u32 i = 0; i < 64; i++) {
        u32 low = (i & 1) != 0 ? LEVEL | EDGE : EDGE;
        u32 destination = (i & 2) != 0 ? 9 + i : 1; /* physical: an id that nobody has */
        if ((i & 4) != 0) {
            low |= ICR_LOGICAL;
            destination = 0; /* logical: no bit of anybody */
        }
        ioapic_set(0x10 + 2 * PIN_UART, LVT_MASKED); /* no mixture of the old entry and the new one */
        ioapic_route(PIN_UART, low | ((i & 8) != 0 ? ICR_LOWEST : 0), destination);
        raise_uart();
        lost += delivered_in(100);
        remote += ioapic_get(0x10 + 2 * PIN_UART) >> 14 & 1;
    }
    check(lost == 0 && remote == 0, "ioapic-to-nobody", "delivered=%u remote-irr=%u", lost, remote);
    (void)apic_errors();
    for (u32 vector = 0; vector < 16; vector++) {
        ioapic_route(PIN_UART, vector, 0);
        raise_uart();
        lost += delivered_in(100);
    }
    u32 error = apic_errors();
    check(lost == 0 && error == 0x40, "ioapic-reserved-vectors", "delivered=%u esr=0x%x", lost, error);
    for (u32 reg = 3; reg < 0x100; reg++) {
        if (reg < 0x10 || reg >= 0x40) {
            ioapic_set(reg, ~0U);
            lost += ioapic_get(reg) != 0;
        }
    }
    check(lost == 0, "ioapic-no-register", "answers=%u", lost);
    ioapic_route(PIN_UART, EDGE, 0);
    forget();
    raise_uart();
    u32 last = delivered_in(100);
    ioapic_route(PIN_UART, LVT_MASKED, 0);
    outb(UART_IER, 0);
    check(last == 1 && apic_counts[EDGE] == 1, "ioapic-goes-on", "delivered=%u", last);
}

/* --- the rest --------------------------------------------------------------------------------------------------------- */

/* SDM Vol. 3 11.4.7.2: a local APIC that software has disabled takes no fixed interrupt, and its LVTs are masked. */
static void test_software_disabled(void)
{
    forget();
    apic_set(APIC_LVT_TIMER, TIMER);
    apic_set(APIC_SVR, 0xFF);
    u32 masked = apic_get(APIC_LVT_TIMER) & LVT_MASKED;
    apic_set(APIC_LVT_TIMER, TIMER);
    u32 held = apic_get(APIC_LVT_TIMER) & LVT_MASKED;
    apic_send(0, ICR_SELF | TIMER);
    u32 taken = delivered_in(100);
    apic_enable(false);
    check(masked != 0 && held != 0 && taken == 0 && delivered_in(100) == 0, "software-disabled", "masked=%u held=%u taken=%u",
          masked != 0, held != 0, taken);
}

void guest_main(void)
{
    pic_setup(32);
    apic_enable(false);
    for (u32 vector = FIRST; vector < 256; vector++) {
        set_handler(vector, apic_count);
    }
    test_divisors();
    test_counts();
    test_deadlines();
    test_redirection();
    test_software_disabled();
}
