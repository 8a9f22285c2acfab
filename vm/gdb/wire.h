/* GDB's remote protocol on the wire: packets out of bytes, replies into bytes ("Debugging with GDB", appendix E.1). Pure;
 * fuzzed. Whatever comes, a packet that is reported is whole, its checksum right, and no longer than GDB_PACKET_MAX. */
#pragma once
#include "kernel/lib/types.h"

#define GDB_PACKET_MAX 4096U /* characters between '$' and '#', either way */
#define GDB_FRAME 4U         /* '$', '#' and the checksum */

enum gdb_input {
    GDB_NOTHING,  /* more bytes are needed */
    GDB_PACKET,   /* wire->packet, len characters */
    GDB_BROKEN,   /* a wrong checksum: ask for it again */
    GDB_TOO_LONG, /* right, but longer than we take */
    GDB_ACK, GDB_NAK,
    GDB_BREAK,    /* the interrupt character */
};

struct gdb_wire {
    u32 state; /* wire.c's */
    bool escaped;
    u8 sum, told;
    u32 len;
    char packet[GDB_PACKET_MAX + 1]; /* escapes undone; a NUL follows */
};

/* Take one byte. wire begins zeroed. */
enum gdb_input gdb_wire_take(struct gdb_wire *wire, u8 byte);

/* A reply as it goes out. What does not fit makes it an error reply. */
struct gdb_reply {
    bool full;
    u32 len;
    char text[GDB_PACKET_MAX + GDB_FRAME];
};

void gdb_reply_begin(struct gdb_reply *reply);
/* Frame it: nothing may be added behind. */
void gdb_reply_end(struct gdb_reply *reply);
/* Characters left. */
u32 gdb_reply_room(const struct gdb_reply *reply);
void gdb_reply_text(struct gdb_reply *reply, const char *text);
void gdb_reply_number(struct gdb_reply *reply, u64 value); /* hexadecimal */
void gdb_reply_hex(struct gdb_reply *reply, const u8 *bytes, size_t len); /* two digits each */
void gdb_reply_data(struct gdb_reply *reply, const char *bytes, size_t len); /* binary: escaped where needed */
#define GDB_ERROR_FORMAT "E01"   /* the request makes no sense */
#define GDB_ERROR_MEMORY "E0e"   /* there is no such memory, register or room for a breakpoint; or not such a value */
#define GDB_ERROR_TOO_LONG "E07"
#define GDB_ERROR_GONE "E03"     /* there is no VM */

/* A hexadecimal number at *at: moves *at behind it. false: no digit there, or more than 64 bits. */
bool gdb_number(const char **at, u64 *value);
/* len bytes as two digits each. false: other characters. text holds 2 * len. */
bool gdb_bytes(const char *text, u8 *bytes, size_t len);
