/* ASCII letters and digits. Pure. */
#pragma once
#include "kernel/lib/types.h"

/* A to Z become a to z; everything else stays. */
static inline char letter_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The value 0..15 of a hexadecimal digit, or -1. */
static inline int letter_digit(char c)
{
    char lower = letter_lower(c);

    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
