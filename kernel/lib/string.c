/* Plain C but for long stretches; the Makefile keeps the compiler from turning a loop into a call to itself. */
#include "kernel/lib/string.h"
#include <arch/string.h>

/* Copies run a word at a time; the type may alias any other and may lie at any address. */
typedef u64 word __attribute__((may_alias, aligned(1)));

static void copy_up(u8 *dst, const u8 *src, size_t len)
{
    if (len >= ARCH_BULK_MIN) {
        size_t bulk = ALIGN_DOWN(len, sizeof(word));
        arch_copy_words(dst, src, bulk / sizeof(word));
        dst += bulk;
        src += bulk;
        len -= bulk;
    }
    for (; len >= sizeof(word); len -= sizeof(word), dst += sizeof(word), src += sizeof(word)) {
        *(word *)(void *)dst = *(const word *)(const void *)src;
    }
    while (len-- != 0) {
        *dst++ = *src++;
    }
}

static void copy_down(u8 *dst, const u8 *src, size_t len)
{
    while (len % sizeof(word) != 0) {
        len--;
        dst[len] = src[len];
    }
    while (len != 0) {
        len -= sizeof(word);
        *(word *)(void *)(dst + len) = *(const word *)(const void *)(src + len);
    }
}

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
    copy_up(dst, src, len);
    return dst;
}

void *memmove(void *dst, const void *src, size_t len)
{
    if ((uintptr_t)dst - (uintptr_t)src >= len) {
        copy_up(dst, src, len);
    } else {
        copy_down(dst, src, len);
    }
    return dst;
}

void *memset(void *dst, int byte, size_t len)
{
    u8 *to = dst;
    word pattern = (u8)byte * (~0ULL / 0xFF); /* the byte in each of the eight places */

    if (len >= ARCH_BULK_MIN) {
        arch_fill_words(to, pattern, len / sizeof(word));
        to += ALIGN_DOWN(len, sizeof(word));
        len %= sizeof(word);
    }
    for (; len >= sizeof(word); len -= sizeof(word), to += sizeof(word)) {
        *(word *)(void *)to = pattern;
    }
    while (len-- != 0) {
        *to++ = (u8)byte;
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t len)
{
    const u8 *x = a;
    const u8 *y = b;

    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

void *memchr(const void *s, int byte, size_t len)
{
    const u8 *from = s;

    for (size_t i = 0; i < len; i++) {
        if (from[i] == (u8)byte) {
            return (void *)(uintptr_t)(from + i);
        }
    }
    return NULL;
}

size_t strlen(const char *s)
{
    size_t len = 0;

    while (s[len] != '\0') {
        len++;
    }
    return len;
}

size_t strnlen(const char *s, size_t max)
{
    size_t len = 0;

    while (len < max && s[len] != '\0') {
        len++;
    }
    return len;
}

int strncmp(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i] || a[i] == '\0') {
            return (u8)a[i] - (u8)b[i];
        }
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c) {
            return (char *)(uintptr_t)s;
        }
        if (*s == '\0') {
            return NULL;
        }
    }
}
