/* What the host build puts in place of the kernel's base: locks that check pairing, a log that is kept, a panic that
 * fails the test. */
#include "tests/unit/host.h"
#include "kernel/base/percpu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include <arch/cpu.h>
#include <stdio.h>
#include <stdlib.h>

u64 physmap_base;
bool host_irqs_on = true;
void (*host_on_wait)(void);
void (*host_on_relax)(void);
u64 host_counter;
static struct percpu host_cpu0;
struct percpu *host_percpu = &host_cpu0;
char host_log[65536];
size_t host_log_len;

void host_log_clear(void)
{
    host_log_len = 0;
    host_log[0] = '\0';
}

u64 spin_lock(struct spinlock *lock)
{
    if (lock->next != lock->owner) {
        panic("lock taken twice");
    }
    lock->next++;
    return 0;
}

void spin_unlock(struct spinlock *lock, u64 flags)
{
    (void)flags;
    if (lock->next == lock->owner) {
        panic("lock released twice");
    }
    lock->owner++;
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list args;

    (void)level;
    va_start(args, format);
    int len = vsnprintf(host_log + host_log_len, sizeof(host_log) - host_log_len, format, args);
    va_end(args);
    if (len > 0 && host_log_len + (size_t)len + 1 < sizeof(host_log)) {
        host_log_len += (size_t)len;
        host_log[host_log_len++] = '\n';
        host_log[host_log_len] = '\0';
    }
}

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    abort();
}

int host_replace(void *at, u64 old, u64 new, u8 size)
{
    u64 now = 0;

    if (at == NULL) {
        return -E_FAULT;
    }
    memcpy(&now, at, size);
    if (now != old) {
        return -E_BUSY;
    }
    memcpy(at, &new, size);
    return 0;
}
