/* The log: one event per line, fixed prefix "MOTE: ", to every registered sink. */
#pragma once
#include "kernel/lib/types.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_EVENT };

/* A sink gets whole lines, newline included. Called with the log lock held and IRQs off; must not log. */
struct log_sink {
    void (*write)(struct log_sink *sink, const char *text, size_t len);
    struct log_sink *next;
};

/* Add a sink; the lines logged so far (the last 16 KiB) are replayed into it. sink lives for ever. Boot CPU only. */
void log_add_sink(struct log_sink *sink);

/* Take a sink out again; unknown ones are ignored. Any context but NMI. */
void log_remove_sink(struct log_sink *sink);

/* From now on the log takes no lock: for panic, whose CPU may hold it. Any context. */
void log_break_lock(void);

/* Lines below level are dropped. LOG_EVENT lines are never dropped. Default LOG_INFO. */
void log_set_level(enum log_level level);

/* Would a line of this level be printed? For callers whose text costs something. */
extern enum log_level log_threshold; /* log_set_level()'s */
static inline bool log_enabled(enum log_level level)
{
    return level >= READ_ONCE(log_threshold);
}

/* Print "MOTE: " + text + newline as one line. debug/info/warn lines carry "log=debug " etc. after the prefix, events
 * carry nothing. Control characters in the text become '?'. Lines are cut at 1000 bytes. Any context but NMI. */
void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_event(...) log_line(LOG_EVENT, __VA_ARGS__)
