/* The end of the machine: verdict line, quiet devices and CPUs, then every registered way in turn. */
#include "kernel/power.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/console.h"
#include <arch/cpu.h>

#define VERDICT_PANIC 5U

static struct power_way *ways;

void power_add_way(struct power_way *way)
{
    struct power_way **link = &ways;

    while (*link != NULL) {
        link = &(*link)->next;
    }
    way->next = NULL;
    *link = way;
}

static const char *verdict_name(u32 code)
{
    static const char *const names[] = {
        [0] = "pass", [1] = "fail", [3] = "skipped", [4] = "timeout", [VERDICT_PANIC] = "panic",
    };

    return code < ARRAY_SIZE(names) && names[code] != NULL ? names[code] : "fail";
}

static NORETURN void act(enum power_action action, u32 code)
{
    console_drain();
    arch_irq_disable();
    arch_cpu_stop_others();
    for (struct power_way *way = ways; way != NULL && action != POWER_HALT; way = way->next) {
        way->act(action, code);
    }
    arch_cpu_stop();
}

void power_end(enum power_action action, u32 code)
{
    static bool ending;

    if (__atomic_exchange_n(&ending, true, __ATOMIC_ACQ_REL)) {
        arch_cpu_stop(); /* another CPU is at it */
    }
    log_event("verdict=%s code=%u", verdict_name(code), code);
    act(action, code);
}

/* panic() has printed the verdict. */
static NORETURN void end_after_panic(void)
{
    act(POWER_EXIT, VERDICT_PANIC);
}

void power_init(void)
{
    panic_set_end(end_after_panic);
}
