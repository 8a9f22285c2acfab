/* console=LIST: serial ports, each with a baud rate behind it, and the screen. */
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define ITEM_MAX 24U
#define PORT_MAX 0xFFF8U /* a UART has eight ports */

/* The list as far as it has been read. */
struct list {
    const struct config_setting *setting;
    struct config_console items[CONFIG_CONSOLES_MAX];
    u32 count;
    bool none;
};

static bool refuse(const struct list *list, const char *item, const char *wanted)
{
    return CONFIG_REFUSE(list->setting, "bad value '%.40s': %s", item, wanted);
}

bool config_parse_port(const char *item, u16 *port)
{
    static const char *const names[] = UART_NAMES;
    u32 found = config_choose(item, names, ARRAY_SIZE(names));
    u64 address;

    if (found < ARRAY_SIZE(names)) {
        *port = uart_port(found);
        return true;
    }
    if (strncmp(item, "uart:", 5) != 0 || !config_parse_number(item + 5, &address) || address > PORT_MAX) {
        return false;
    }
    *port = (u16)address;
    return true;
}

void config_name_port(u16 port, char *text)
{
    static const char *const names[] = UART_NAMES;

    (void)fmt_snprintf(text, CONFIG_PORT_MAX, "uart:0x%x", port);
    for (u32 i = 0; i < UART_PORTS; i++) {
        if (uart_port(i) == port) {
            (void)fmt_snprintf(text, CONFIG_PORT_MAX, "%s", names[i]);
        }
    }
}

static bool set_baud(struct list *list, const char *item)
{
    struct config_console *last = list->count != 0 ? &list->items[list->count - 1] : NULL;
    u64 baud;

    if (last == NULL || last->screen) {
        return refuse(list, item, "a baud rate without a port before it");
    }
    if (!config_parse_number(item, &baud) || baud == 0 || baud > CONFIG_CONSOLE_BAUD || CONFIG_CONSOLE_BAUD % baud != 0) {
        return refuse(list, item, "not a baud rate that divides 115200");
    }
    last->baud = (u32)baud;
    return true;
}

static bool add(struct list *list, const char *item)
{
    struct config_console new = {.baud = CONFIG_CONSOLE_BAUD};

    new.screen = strcmp(item, "fb") == 0;
    if (!new.screen && !config_parse_port(item, &new.port)) {
        return refuse(list, item, "none of com1 com2 com3 com4 uart:ADDR fb none");
    }
    for (u32 i = 0; i < list->count; i++) {
        if (list->items[i].screen == new.screen && list->items[i].port == new.port) {
            return refuse(list, item, "named twice");
        }
    }
    if (list->count == CONFIG_CONSOLES_MAX) {
        return refuse(list, item, "too many consoles");
    }
    list->items[list->count++] = new;
    return true;
}

static bool take_item(struct list *list, const char *item)
{
    if (strcmp(item, "none") == 0) {
        list->none = true;
        return true;
    }
    return item[0] >= '0' && item[0] <= '9' ? set_baud(list, item) : add(list, item);
}

size_t config_list_item(const char **at, char *item, size_t size)
{
    const char *comma = strchr(*at, ',');
    size_t len = comma != NULL ? (size_t)(comma - *at) : strlen(*at);
    size_t kept = MIN(len, size - 1);

    memcpy(item, *at, kept);
    item[kept] = '\0';
    *at += len;
    return len;
}

bool config_set_console(const struct config_setting *s)
{
    struct list list = {.setting = s};
    const char *next = s->value;
    char item[ITEM_MAX];

    do {
        if (config_list_item(&next, item, sizeof(item)) >= sizeof(item)) {
            return refuse(&list, item, "too long");
        }
        if (!take_item(&list, item)) {
            return false;
        }
    } while (*next++ == ',');
    if (list.none && list.count != 0) {
        return refuse(&list, s->value, "none stands alone");
    }
    memcpy(s->config->consoles, list.items, sizeof(list.items));
    s->config->console_count = list.count;
    return true;
}
