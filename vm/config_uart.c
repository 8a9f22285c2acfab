/* uart=LIST: the serial ports of a VM, in the order of their names; the first has its console. */
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define NAME_MAX 16U

static bool add(const struct config_setting *s, const char *name, struct vm_uarts *list)
{
    static const char *const names[] = UART_NAMES;
    u32 found = config_choose(name, names, ARRAY_SIZE(names));

    if (found == ARRAY_SIZE(names)) {
        return CONFIG_REFUSE(s, "bad value '%.40s': a list of com1 com2 com3 com4, or none; did you mean %s?", name,
                             config_nearest(name, names, ARRAY_SIZE(names)));
    }
    for (u32 i = 0; i < list->count; i++) {
        if (list->number[i] == found) {
            return CONFIG_REFUSE(s, "%s is named twice", name);
        }
    }
    list->number[list->count++] = (u8)found;
    return true;
}

bool config_set_uart(const struct config_setting *s)
{
    struct vm_uarts list = {.count = 0};
    const char *next = s->value;
    char name[NAME_MAX];

    if (strcmp(next, "none") == 0) {
        s->vm->uarts = list;
        return true;
    }
    do {
        (void)config_list_item(&next, name, sizeof(name)); /* cut short, it is no port's name either */
        if (!add(s, name, &list)) {
            return false;
        }
    } while (*next++ == ',');
    s->vm->uarts = list;
    return true;
}
