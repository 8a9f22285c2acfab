#include "kernel/base/log.h"
#include "kernel/base/lock.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define LINE_MAX 1000U
#define RING_SIZE KIB(16)

static struct spinlock lock = SPINLOCK_INIT; /* protects everything below */
static bool lock_broken;
static struct log_sink *sinks;
enum log_level log_threshold = LOG_INFO;
static char ring[RING_SIZE];
static u64 ring_head; /* bytes ever written */
static char line[LINE_MAX + 1];

static u64 log_lock(void)
{
    return lock_broken ? 0 : spin_lock(&lock);
}

static void log_unlock(u64 flags)
{
    if (!lock_broken) {
        spin_unlock(&lock, flags);
    }
}

static const char *level_text(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG:
        return "log=debug ";
    case LOG_INFO:
        return "log=info ";
    case LOG_WARN:
        return "log=warn ";
    case LOG_EVENT:
        break;
    }
    return "";
}

static void remember(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ring[ring_head++ % RING_SIZE] = text[i];
    }
}

/* A terminal must not obey bytes that a guest or a module line smuggled into a message. */
static void sanitise(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((u8)text[i] < ' ' || (u8)text[i] > '~') {
            text[i] = '?';
        }
    }
}

/* Text of the whole line in `line`; returns its length, newline included. */
static size_t compose(enum log_level level, const char *format, va_list args)
{
    size_t len = (size_t)fmt_snprintf(line, sizeof(line), "MOTE: %s", level_text(level));

    len += (size_t)fmt_vsnprintf(line + len, sizeof(line) - len, format, args);
    len = MIN(len, (size_t)LINE_MAX - 1);
    sanitise(line, len);
    line[len] = '\n';
    return len + 1;
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list args;

    if (!log_enabled(level)) {
        return;
    }
    u64 flags = log_lock();
    va_start(args, format);
    size_t len = compose(level, format, args);
    va_end(args);
    remember(line, len);
    for (struct log_sink *sink = sinks; sink != NULL; sink = sink->next) {
        sink->write(sink, line, len);
    }
    log_unlock(flags);
}

/* The oldest whole line that the ring still holds. */
static u64 replay_start(void)
{
    u64 start = ring_head > RING_SIZE ? ring_head - RING_SIZE : 0;

    if (start == 0) {
        return 0;
    }
    while (start < ring_head && ring[start % RING_SIZE] != '\n') {
        start++;
    }
    return start < ring_head ? start + 1 : start;
}

static void replay(struct log_sink *sink)
{
    u64 at = replay_start();

    while (at < ring_head) {
        size_t offset = at % RING_SIZE;
        size_t len = MIN((size_t)(ring_head - at), RING_SIZE - offset);

        sink->write(sink, ring + offset, len);
        at += len;
    }
}

void log_add_sink(struct log_sink *sink)
{
    u64 flags = log_lock();

    replay(sink);
    sink->next = sinks;
    sinks = sink;
    log_unlock(flags);
}

void log_remove_sink(struct log_sink *sink)
{
    u64 flags = log_lock();

    for (struct log_sink **at = &sinks; *at != NULL; at = &(*at)->next) {
        if (*at == sink) {
            *at = sink->next;
            break;
        }
    }
    log_unlock(flags);
}

void log_set_level(enum log_level level)
{
    WRITE_ONCE(log_threshold, level);
}

void log_break_lock(void)
{
    lock_broken = true;
}
