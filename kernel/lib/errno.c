#include "kernel/lib/errno.h"
#include "kernel/lib/types.h"

const char *errno_text(int error)
{
    switch (error < 0 ? -(s64)error : error) {
    case 0:
        return "success";
#define E_TEXT(name, number, text)                                                                                    \
    case number:                                                                                                      \
        return text;
        E_LIST(E_TEXT)
#undef E_TEXT
    default:
        return "unknown error";
    }
}
