/* The local APIC's timer as the host's timer: TSC-deadline mode where the CPU has it, else one-shot. SDM Vol. 3 11.5.4. */
#include "drivers/x86_64/lapic.h"
#include "drivers/x86_64/lapic_regs.h"
#include "kernel/irq.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "kernel/x86_64/cpuid.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "kernel/x86_64/vectors.h"

#define NEVER UINT64_MAX
#define COUNT_MAX 0xFFFFFFFFU
#define SCALE_SHIFT 32U

static u64 counts_per_ns; /* scaled by 2^SCALE_SHIFT */
static u64 longest_ns;    /* what the one-shot counter can hold */
static bool use_deadline;

static void program_deadline(u64 deadline_ns)
{
    u64 ticks = time_ns_to_ticks(deadline_ns);
    u64 tsc = time_base_ticks() + ticks + 1; /* rounded up: not early */

    /* Zero would disarm; a wrap past the end of time may. */
    wrmsr(MSR_IA32_TSC_DEADLINE, deadline_ns == NEVER || tsc < ticks ? 0 : tsc);
}

static void program_one_shot(u64 deadline_ns)
{
    u64 now = time_now_ns();
    u64 ns = deadline_ns > now ? MIN(deadline_ns - now, longest_ns) : 0;
    u64 count = (ns * counts_per_ns >> SCALE_SHIFT) + 1;

    lapic_write(LAPIC_TIMER_INITIAL, deadline_ns == NEVER ? 0 : (u32)MIN(count, (u64)COUNT_MAX));
}

static const struct timer_hw deadline_hw = {.name = "tsc-deadline", .program = program_deadline};
static const struct timer_hw one_shot_hw = {.name = "lapic-one-shot", .program = program_one_shot};

static void on_interrupt(void *arg)
{
    (void)arg;
    timer_interrupt();
}

void lapic_timer_start_free(void)
{
    lapic_write(LAPIC_TIMER_DIVIDE, LAPIC_DIVIDE_BY_1);
    lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED | VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_INITIAL, COUNT_MAX);
}

u32 lapic_timer_elapsed(void)
{
    return COUNT_MAX - lapic_read(LAPIC_TIMER_CURRENT);
}

void lapic_timer_enable_cpu(void)
{
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    if (use_deadline) {
        lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_TSC_DEADLINE | VECTOR_TIMER);
        /* The mode must be in place before the first write of the MSR (SDM 11.5.4.1). */
        __asm__ volatile("mfence" ::: "memory");
    } else {
        lapic_write(LAPIC_TIMER_DIVIDE, LAPIC_DIVIDE_BY_1);
        lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
    }
}

int lapic_timer_init(u64 hz)
{
    use_deadline = (cpuid_get(1, 0).ecx & CPUID_1_ECX_TSC_DEADLINE) != 0;
    counts_per_ns = ((hz / NS_PER_SEC) << SCALE_SHIFT) + ((hz % NS_PER_SEC) << SCALE_SHIFT) / NS_PER_SEC;
    longest_ns = ((u64)COUNT_MAX << SCALE_SHIFT) / (counts_per_ns + 1);
    timer_set_hw(use_deadline ? &deadline_hw : &one_shot_hw);
    lapic_timer_enable_cpu();
    return irq_request_local(VECTOR_TIMER, on_interrupt, NULL);
}
