/* Error numbers: functions return 0 or -E_*; outputs are written only on success. */
#pragma once

#define E_LIST(X)                                                                                                     \
    X(E_INVAL, 1, "invalid argument")                                                                                 \
    X(E_NOMEM, 2, "out of memory")                                                                                    \
    X(E_RANGE, 3, "out of range")                                                                                     \
    X(E_FAULT, 4, "bad guest address")                                                                                \
    X(E_EXIST, 5, "already exists")                                                                                   \
    X(E_NOENT, 6, "not found")                                                                                        \
    X(E_BUSY, 7, "busy")                                                                                              \
    X(E_STATE, 8, "not allowed in this state")                                                                        \
    X(E_NOSYS, 9, "not supported")                                                                                    \
    X(E_FORMAT, 10, "bad format")                                                                                     \
    X(E_TRUNC, 11, "truncated")                                                                                       \
    X(E_OVERLAP, 12, "ranges overlap")                                                                                \
    X(E_TIMEOUT, 13, "timed out")                                                                                     \
    X(E_HW, 14, "hardware refused")                                                                                   \
    X(E_GUEST, 15, "guest fault pending")

enum errno_code {
#define E_ENUM(name, number, text) name = number,
    E_LIST(E_ENUM)
#undef E_ENUM
};

/* Text of an error; takes E_* or -E_*; never NULL. */
const char *errno_text(int error);
