/* The key console=: a list of ports, each with its baud rate. */
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define PORT_MAX 0xFFF8U /* a UART has eight ports */
#define BAUD_MAX 115200U

/* The port of "com1".."com4" or "uart:ADDR". */
static bool console_port(const char *item, u16 *port)
{
    static const char *const names[] = {"com1", "com2", "com3", "com4"};
    static const u16 ports[] = {0x3F8, 0x2F8, 0x3E8, 0x2E8};
    u32 found = config_choose(item, names, ARRAY_SIZE(names));
    u64 address;

    if (found < ARRAY_SIZE(names)) {
        *port = ports[found];
        return true;
    }
    if (strncmp(item, "uart:", 5) != 0 || !config_parse_number(item + 5, &address) || address > PORT_MAX) {
        return false;
    }
    *port = (u16)address;
    return true;
}

static bool set_baud(const struct config_setting *s, const char *item)
{
    u64 baud;

    if (!config_parse_number(item, &baud) || baud == 0 || baud > BAUD_MAX || BAUD_MAX % baud != 0) {
        return CONFIG_REFUSE(s, "bad value '%.40s': not a baud rate that divides 115200", item);
    }
    s->config->console_baud = (u32)baud;
    return true;
}

/* One item of the list. ports counts the ports named so far. */
static bool set_console_item(const struct config_setting *s, const char *item, u32 *ports)
{
    if (strcmp(item, "none") == 0) {
        s->config->console_none = true;
        return true;
    }
    if (strcmp(item, "fb") == 0) {
        return CONFIG_REFUSE(s, "console=fb is not in this version");
    }
    if (item[0] >= '0' && item[0] <= '9') {
        return *ports != 0 ? set_baud(s, item) : CONFIG_REFUSE(s, "baud rate %.20s without a port before it", item);
    }
    if (!console_port(item, &s->config->console_port)) {
        return CONFIG_REFUSE(s, "bad value '%.40s': none of com1 com2 com3 com4 uart:ADDR none", item);
    }
    s->config->console_none = false;
    return ++*ports == 1 || CONFIG_REFUSE(s, "more than one serial port is not in this version");
}

bool config_set_console(const struct config_setting *s)
{
    char item[24];
    const char *next = s->value;
    u32 ports = 0;

    do {
        size_t len = 0;
        for (; *next != '\0' && *next != ',' && len + 1 < sizeof(item); next++) {
            item[len++] = *next;
        }
        item[len] = '\0';
        if (*next != '\0' && *next != ',') {
            return config_refuse_value(s, "none of com1 com2 com3 com4 uart:ADDR none");
        }
        if (!set_console_item(s, item, &ports)) {
            return false;
        }
    } while (*next++ == ',');
    return true;
}
