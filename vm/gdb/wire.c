#include "vm/gdb/wire.h"
#include "kernel/lib/letter.h"
#include "kernel/lib/string.h"

enum { BETWEEN, INSIDE, SUM_HIGH, SUM_LOW };

#define INTERRUPT 0x03
#define ESCAPE '}'
#define ESCAPE_FLIP 0x20
#define NIBBLE 4U
#define LOW 0xFU
#define NUMBER_DIGITS 16U

bool gdb_number(const char **at, u64 *value)
{
    u64 sum = 0;
    u32 digits = 0;

    for (int digit = letter_digit(**at); digit >= 0; digit = letter_digit(**at)) {
        if (++digits > NUMBER_DIGITS) {
            return false;
        }
        sum = sum << NIBBLE | (u64)digit;
        (*at)++;
    }
    *value = sum;
    return digits != 0;
}

bool gdb_bytes(const char *text, u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = letter_digit(text[2 * i]), low = high >= 0 ? letter_digit(text[2 * i + 1]) : -1;
        if (low < 0) {
            return false;
        }
        bytes[i] = (u8)((u32)high << NIBBLE | (u32)low);
    }
    return true;
}

/* --- in ------------------------------------------------------------------------------------------------------------- */

static void begin(struct gdb_wire *wire)
{
    wire->state = INSIDE;
    wire->escaped = false;
    wire->sum = 0;
    wire->len = 0;
}

static enum gdb_input take_between(struct gdb_wire *wire, u8 byte)
{
    switch (byte) {
    case '$': begin(wire); return GDB_NOTHING;
    case '+': return GDB_ACK;
    case '-': return GDB_NAK;
    case INTERRUPT: return GDB_BREAK;
    default: return GDB_NOTHING;
    }
}

/* A '$' inside can only mean that the end of the packet before was lost. */
static enum gdb_input take_inside(struct gdb_wire *wire, u8 byte)
{
    if (byte == '$') {
        begin(wire);
        return GDB_NOTHING;
    }
    if (byte == '#') {
        wire->state = SUM_HIGH;
        return GDB_NOTHING;
    }
    wire->sum = (u8)(wire->sum + byte);
    if (byte == ESCAPE && !wire->escaped) {
        wire->escaped = true;
        return GDB_NOTHING;
    }
    if (wire->len < GDB_PACKET_MAX) {
        wire->packet[wire->len] = (char)(wire->escaped ? byte ^ ESCAPE_FLIP : byte);
    }
    wire->len += wire->len <= GDB_PACKET_MAX; /* one above the most: too long */
    wire->escaped = false;
    return GDB_NOTHING;
}

static enum gdb_input finish(struct gdb_wire *wire, int low)
{
    wire->state = BETWEEN;
    if (low < 0 || (u8)(wire->told | (u8)low) != wire->sum || wire->escaped) {
        return GDB_BROKEN;
    }
    if (wire->len > GDB_PACKET_MAX) {
        return GDB_TOO_LONG;
    }
    wire->packet[wire->len] = '\0';
    return GDB_PACKET;
}

enum gdb_input gdb_wire_take(struct gdb_wire *wire, u8 byte)
{
    int digit = letter_digit((char)byte);

    if (wire->state == BETWEEN) {
        return take_between(wire, byte);
    }
    if (wire->state == INSIDE) {
        return take_inside(wire, byte);
    }
    if (wire->state == SUM_LOW) {
        return finish(wire, digit);
    }
    wire->state = digit < 0 ? BETWEEN : SUM_LOW;
    wire->told = (u8)((u32)digit << NIBBLE);
    return digit < 0 ? GDB_BROKEN : GDB_NOTHING;
}

/* --- out ------------------------------------------------------------------------------------------------------------ */

static const char digits[] = "0123456789abcdef";

void gdb_reply_begin(struct gdb_reply *reply)
{
    reply->full = false;
    reply->text[0] = '$';
    reply->len = 1;
}

u32 gdb_reply_room(const struct gdb_reply *reply)
{
    return reply->full ? 0 : GDB_PACKET_MAX + 1 - reply->len;
}

static void add(struct gdb_reply *reply, char c)
{
    if (gdb_reply_room(reply) == 0) {
        reply->full = true;
        return;
    }
    reply->text[reply->len++] = c;
}

void gdb_reply_text(struct gdb_reply *reply, const char *text)
{
    for (; *text != '\0'; text++) {
        add(reply, *text);
    }
}

void gdb_reply_number(struct gdb_reply *reply, u64 value)
{
    u32 shift = NIBBLE * (NUMBER_DIGITS - 1);

    while (shift != 0 && value >> shift == 0) {
        shift -= NIBBLE;
    }
    for (;; shift -= NIBBLE) {
        add(reply, digits[value >> shift & LOW]);
        if (shift == 0) {
            return;
        }
    }
}

void gdb_reply_hex(struct gdb_reply *reply, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        add(reply, digits[bytes[i] >> NIBBLE]);
        add(reply, digits[bytes[i] & LOW]);
    }
}

void gdb_reply_data(struct gdb_reply *reply, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("#$}*", bytes[i]) != NULL) { /* the NUL, too: harmless */
            add(reply, ESCAPE);
            add(reply, (char)(bytes[i] ^ ESCAPE_FLIP));
        } else {
            add(reply, bytes[i]);
        }
    }
}

void gdb_reply_end(struct gdb_reply *reply)
{
    u8 sum = 0;

    if (reply->full) {
        gdb_reply_begin(reply);
        gdb_reply_text(reply, GDB_ERROR_TOO_LONG);
    }
    for (u32 i = 1; i < reply->len; i++) {
        sum = (u8)(sum + (u8)reply->text[i]);
    }
    reply->text[reply->len++] = '#';
    reply->text[reply->len++] = digits[sum >> NIBBLE];
    reply->text[reply->len++] = digits[sum & LOW];
}
