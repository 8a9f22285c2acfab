/* Formatted text into a bounded buffer. Pure; also built on the host. */
#pragma once
#include <stdarg.h>
#include "kernel/lib/types.h"

/* Format like vsnprintf: %d %i %u %x %X %c %s %p %%, the flags 0 - #, width, .precision (also * for both), and the
 * lengths hh h l ll z. No floating point. Always terminates when size > 0. Returns the length the whole text would
 * have. Any context. */
int fmt_vsnprintf(char *buf, size_t size, const char *format, va_list args);

/* As fmt_vsnprintf with variadic arguments. */
int fmt_snprintf(char *buf, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
