/* Works a local APIC hard, in known numbers and checked, first through its page, then in x2APIC mode; so that the host's count
 * of exits says what hardware does by itself (tests/integration/test_apic_help.py). Says one line at its end, and halts. */
#include "tests/guests/kit/apic.h"

#define ROUNDS 1000U
#define VECTOR 0x61
#define LOW_VECTOR 0x31

static volatile u32 arrived;
static bool x2;

static inline u32 get(u32 reg)
{
    u32 low, high;

    if (!x2) {
        return *(volatile u32 *)(APIC_PAGE + reg * 16);
    }
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_X2APIC + reg));
    return low;
}

static inline void set(u32 reg, u32 value)
{
    if (!x2) {
        *(volatile u32 *)(APIC_PAGE + reg * 16) = value;
    } else {
        __asm__ volatile("wrmsr" ::"c"(MSR_X2APIC + reg), "a"(value), "d"(0) : "memory");
    }
}

static inline u64 get_cr8(void)
{
    u64 value;

    __asm__ volatile("mov %%cr8, %0" : "=r"(value));
    return value;
}

static void on_vector(u32 vector)
{
    (void)vector;
    arrived++;
    set(APIC_EOI, 0);
}

/* CR8 and the register are one. */
static u32 priorities(void)
{
    u32 wrong = 0;

    for (u32 i = 0; i < ROUNDS; i++) {
        WRITE_REG(cr8, (u64)(i % 16));
        wrong += get(APIC_TPR) != i % 16 << 4;
        set(APIC_TPR, (i + 5) % 256);
        wrong += get_cr8() != (i + 5) % 256 >> 4;
    }
    set(APIC_TPR, 0);
    return wrong;
}

static u32 reads(void)
{
    u32 wrong = 0, version = get(APIC_VERSION), lint0 = get(APIC_LVT_LINT0);

    for (u32 i = 0; i < ROUNDS; i++) {
        wrong += get(APIC_VERSION) != version || get(APIC_LVT_LINT0) != lint0 || get(APIC_SVR) != 0x1FF;
        wrong += get(APIC_IRR + i % 8) != 0 || get(APIC_ISR + i % 8) != 0 || get(APIC_ESR) != 0;
    }
    return wrong;
}

/* A request, its handler, its end: to itself, with interrupts on. */
static void interrupts(void)
{
    sti();
    for (u32 i = 0; i < ROUNDS; i++) {
        set(APIC_ICR, ICR_SELF | VECTOR);
    }
    cli();
}

/* A request that waits for the task priority, which falls in steps. */
static u32 held(void)
{
    u32 wrong = 0;

    sti();
    for (u32 i = 0; i < ROUNDS; i++) {
        u32 before = arrived;
        WRITE_REG(cr8, 9UL);
        set(APIC_ICR, ICR_SELF | LOW_VECTOR);
        wrong += arrived != before;
        WRITE_REG(cr8, 4UL);
        wrong += arrived != before;
        WRITE_REG(cr8, 0UL);
        __asm__ volatile("nop");
        wrong += arrived != before + 1;
    }
    cli();
    return wrong;
}

static void round_of(const char *mode)
{
    u32 priority = priorities(), read = reads();

    arrived = 0;
    interrupts();
    u32 came = arrived, late = held();
    check(priority == 0 && read == 0, mode, "priority=%u read=%u", priority, read);
    check(came == ROUNDS && late == 0 && arrived == 2 * ROUNDS, x2 ? "x2apic-interrupts" : "xapic-interrupts",
          "came=%u late=%u of=%u", came, late, arrived);
}

void guest_main(void)
{
    pic_setup(32);
    apic_enable(false);
    set_handler(VECTOR, on_vector);
    set_handler(LOW_VECTOR, on_vector);
    round_of("xapic-registers");
    apic_enable(true);
    x2 = true;
    round_of("x2apic-registers");
    print("worked\n");
    for (;;) {
        __asm__ volatile("sti; hlt");
    }
}
