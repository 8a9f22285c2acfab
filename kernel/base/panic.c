#include "kernel/base/panic.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/fmt.h"
#include <arch/cpu.h>

#define MESSAGE_MAX 512U

static NORETURN void (*end_machine)(void);
static bool panicking;

void panic_set_end(NORETURN void (*end)(void))
{
    end_machine = end;
}

bool panic_happened(void)
{
    return __atomic_load_n(&panicking, __ATOMIC_ACQUIRE);
}

/* Take the machine: the first CPU to panic goes on, others stop, a panic inside a panic ends at once. */
static void claim(void)
{
    arch_irq_disable();
    if (__atomic_exchange_n(&panicking, true, __ATOMIC_ACQ_REL)) {
        arch_cpu_stop();
    }
    arch_cpu_stop_others();
    log_break_lock();
}

static NORETURN void finish(const struct trap_frame *frame, const char *message)
{
    claim();
    log_event("panic cpu=%u %s", percpu_count() == 0 ? 0 : percpu()->id, message);
    arch_log_state(frame);
    log_event("verdict=panic code=5");
    if (end_machine != NULL) {
        end_machine();
    }
    arch_cpu_stop();
}

void panic(const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    (void)fmt_vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    finish(NULL, message);
}

void panic_trap(const struct trap_frame *frame, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    (void)fmt_vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    finish(frame, message);
}
