/* What a debugger looks at: two CPUs that count, until quit is set in their memory. Own breakpoints and traps stay the guest's.
 * Interrupts are on, though none comes: without, Bochs' SVM would not let go of the CPU. */
#include "tests/guests/kit/apic.h"

#define SPIN 20000U
#define DB 1
#define BP 3
#define SOFT 0x80
#define DR6_NONE 0xFFFF0FF0
#define DR7_OFF 0x700
#define DR7_WATCH 0x90702 /* G0, writes of 8 bytes */

volatile u64 rounds, other_rounds, quit, debug_errors;
volatile u64 watched, own_hits, own_watch; /* the guest's own watchpoint is on the first, while the last is set */
volatile char text[32] = "before";

/* Where the debugger stops. */
__attribute__((noipa)) void tick(u64 n)
{
    rounds = n;
}

static void other(void)
{
    sti();
    for (;;) {
        other_rounds++;
        __asm__ volatile("pause");
    }
}

/* Known instructions, one after the other: the exits, the flags, the shadows that a step has to get over. */
__attribute__((naked, noipa)) void steps(void)
{
    __asm__("xor %eax, %eax\n\t"
            "push %rbx\n\t"
            "cpuid\n\t"                 /* an exit */
            "mov $0x3fd, %edx\n\t"
            "in %dx, %al\n\t"           /* a device */
            "mov %ss, %ax\n\t"
            "mov %ax, %ss\n\t"          /* a shadow */
            "nop\n\t"
            "pushf\n\t"
            "pop %rax\n\t"
            "pop %rbx\n\t"
            "ret");
}

static u32 traps[256];

static void count_trap(u32 vector)
{
    traps[vector]++;
}

static u32 take(u32 vector)
{
    u32 count = traps[vector];

    traps[vector] = 0;
    set_handler(vector, NULL);
    return count;
}

/* The guest's own traps, with a debugger about or without. */
static void own_traps(const char *when)
{
    set_handler(BP, count_trap);
    set_handler(DB, count_trap);
    set_handler(SOFT, count_trap);
    __asm__ volatile("int3\n\tint3\n\tint $0x80\n\tint $3" ::: "memory");
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tcpuid\n\tnop\n\t"
                     "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" ::: "rax", "rbx", "rcx", "rdx", "memory", "cc");
    u32 int3 = take(BP), steps = take(DB), soft = take(SOFT);
    check(int3 == 3 && steps == 6 && soft == 1, when, "int3=%u steps=%u soft=%u", int3, steps, soft);
}

static void own_hit(u32 vector)
{
    (void)vector;
    own_hits++;
    WRITE_REG(dr6, DR6_NONE);
}

/* Debug registers, one of them a watchpoint and one that changes: they are the guest's, whoever debugs it. */
static void debug_registers(u64 n)
{
    static u64 control = DR7_OFF;
    bool kept = READ_REG(dr0) == (u64)&watched && READ_REG(dr1) == n && READ_REG(dr2) == 0x3333 && READ_REG(dr3) == 0x4444 &&
                READ_REG(dr6) == DR6_NONE && READ_REG(dr7) == control;
    debug_errors += !kept;
    WRITE_REG(dr1, n + 1);
    if (control != (own_watch != 0 ? DR7_WATCH : DR7_OFF)) {
        control ^= DR7_WATCH ^ DR7_OFF;
        WRITE_REG(dr7, control);
    }
    watched = n;
}

void guest_main(void)
{
    u64 n = 0;

    own_traps("traps-before");
    set_handler(DB, own_hit);
    WRITE_REG(dr0, &watched);
    WRITE_REG(dr1, n);
    WRITE_REG(dr2, 0x3333);
    WRITE_REG(dr3, 0x4444);
    WRITE_REG(dr6, DR6_NONE);
    WRITE_REG(dr7, DR7_OFF);
    check(start_cpu(1, other), "second-cpu", " ");
    print("debuggee runs\n");
    sti();
    while (quit == 0) {
        for (volatile u32 i = 0; i < SPIN; i++) {
        }
        debug_registers(n);
        tick(++n);
        steps();
    }
    check(debug_errors == 0, "debug-registers", "errors=%lu of %lu", debug_errors, n);
    own_traps("traps-after");
    print("debuggee saw %s\n", (const char *)text);
}
