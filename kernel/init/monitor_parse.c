#include "kernel/init/monitor_parse.h"
#include "kernel/lib/letter.h"
#include "kernel/lib/string.h"

#define NAME_SIZE 32U

bool monitor_parse_number(const char *text, u64 *value)
{
    u32 base = text[0] == '0' && letter_lower(text[1]) == 'x' ? 16U : 10U;
    const char *c = base == 16U ? text + 2 : text;
    u64 sum = 0;

    if (*c == '\0') {
        return false;
    }
    for (; *c != '\0'; c++) {
        int digit = letter_digit(*c);
        if (digit < 0 || (u32)digit >= base || sum > (UINT64_MAX - (u32)digit) / base) {
            return false;
        }
        sum = sum * base + (u32)digit;
    }
    *value = sum;
    return true;
}

bool monitor_parse_vcpu(const char *text, char *name, u32 *cpu)
{
    size_t len = strlen(text);
    size_t dot = len;
    u64 number = 0;

    while (dot > 0 && text[dot] != '.') {
        dot--;
    }
    if (dot > 0 && monitor_parse_number(text + dot + 1, &number) && number < UINT32_MAX) {
        len = dot;
    } else {
        number = 0;
    }
    if (len >= NAME_SIZE) {
        return false;
    }
    memcpy(name, text, len);
    name[len] = '\0';
    *cpu = (u32)number;
    return true;
}

bool monitor_choice(const char *usage, u32 word, u32 index, char out[MONITOR_CHOICE_MAX])
{
    const char *at = usage;
    u32 bars = 0;
    size_t len = 0;

    for (; word != 0 && *at != '\0'; at++) {
        word -= *at == ' ' ? 1U : 0U;
    }
    for (; *at != '\0' && *at != ' '; at++) {
        if (*at == '|') {
            bars++;
        } else if (bars == index && len + 1 < MONITOR_CHOICE_MAX) {
            out[len++] = *at;
        }
    }
    out[len] = '\0';
    return bars != 0 && index <= bars;
}
