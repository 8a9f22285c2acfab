#include "kernel/init/monitor_parse.h"
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define NAME_SIZE 32U

bool monitor_parse_vcpu(const char *text, char *name, u32 *cpu)
{
    size_t len = strlen(text);
    size_t dot = len;
    u64 number = 0;

    while (dot > 0 && text[dot] != '.') {
        dot--;
    }
    if (dot > 0 && config_parse_number(text + dot + 1, &number) && number < UINT32_MAX) {
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
