#include "kernel/console_wire.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/console.h"
#include "kernel/lib/string.h"
#include <arch/cpu.h>

#define NO_CPU (~0U)
#define LOCK_SPINS 20000000U /* about a second of pauses */

static struct console_device *devices;
static u32 owner = NO_CPU;
static bool log_muted;
static u64 emitted; /* bytes */

u64 console_lock(void)
{
    u64 flags = arch_irq_save();
    u32 me = percpu()->id;

    for (u32 spins = 0; spins < LOCK_SPINS; spins++) {
        u32 expected = NO_CPU;
        if (__atomic_compare_exchange_n(&owner, &expected, me, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED) ||
            expected == me) {
            return flags;
        }
        arch_cpu_relax();
    }
    return flags;
}

void console_unlock(u64 flags)
{
    __atomic_store_n(&owner, NO_CPU, __ATOMIC_RELEASE);
    arch_irq_restore(flags);
}

void console_emit(const char *text, size_t len)
{
    for (struct console_device *device = devices; device != NULL; device = device->next) {
        device->write(device, text, len);
    }
    emitted += len;
}

void console_write_device(struct console_device *device, const char *text, size_t len)
{
    u64 flags = console_lock();

    device->write(device, text, len);
    console_unlock(flags);
}

u32 console_room(void)
{
    u32 room = ~0U;

    for (struct console_device *device = devices; device != NULL; device = device->next) {
        room = device->room != NULL ? MIN(room, device->room(device)) : room;
    }
    return room;
}

u64 console_emitted(void)
{
    return emitted;
}

u64 console_left(void)
{
    return emitted + console_room();
}

void console_drain_devices(void)
{
    for (struct console_device *device = devices; device != NULL; device = device->next) {
        if (device->drain != NULL) {
            device->drain(device);
        }
    }
}

void console_split_lines(const char *text, size_t len, void (*out)(void *ctx, const char *text, size_t len), void *ctx)
{
    const char *end = text + len;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        out(ctx, text, (size_t)((newline != NULL ? newline : end) - text));
        if (newline == NULL) {
            return;
        }
        out(ctx, "\r\n", 2);
        text = newline + 1;
    }
}

/* --- the log ------------------------------------------------------------------------------------------------------------ */

/* What has been logged so far, for a device that comes later. */
struct replay_sink {
    struct log_sink sink;
    struct console_device *device;
};

static void to_device(void *ctx, const char *text, size_t len)
{
    struct console_device *device = ctx;

    device->write(device, text, len);
}

static void replay_log(struct log_sink *sink, const char *text, size_t len)
{
    console_split_lines(text, len, to_device, CONTAINER_OF(sink, struct replay_sink, sink)->device);
}

static void log_to_console(struct log_sink *sink, const char *text, size_t len)
{
    (void)sink;
    if (!log_muted) {
        console_log_lines(text, len);
    }
}

void console_add_device(struct console_device *device)
{
    static struct log_sink to_console = {.write = log_to_console};
    struct replay_sink replay = {.sink.write = replay_log, .device = device};

    if (!device->has_log) {
        log_add_sink(&replay.sink);
        log_remove_sink(&replay.sink);
    }
    u64 flags = console_lock();
    bool first = devices == NULL;
    device->next = devices;
    devices = device;
    console_unlock(flags);
    if (first) {
        log_muted = true; /* adding a sink shows it the old lines */
        log_add_sink(&to_console);
        log_muted = false;
    }
}
