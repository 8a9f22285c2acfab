/* GDB's remote protocol on arbitrary bytes: what the line gives, and each as a packet that came whole. */
/* units: vm/gdb/wire.c vm/gdb/command.c vm/gdb/access.c */
#include "tests/unit/host.h"
#include "tests/unit/gdb_target.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void execute(struct gdb *gdb, const char *packet, u32 len)
{
    static struct gdb_reply reply, stop;
    enum gdb_outcome outcome = gdb_command(gdb, packet, len, &reply);
    bool goes = false;

    for (u32 i = 0; i < fake_target.threads; i++) {
        goes = goes || gdb->actions[i] != GDB_STAY;
    }
    if (reply.len < GDB_FRAME || reply.len > sizeof(reply.text) || reply.text[0] != '$' || reply.text[reply.len - 3] != '#' ||
        gdb->general == 0 || gdb->general > fake_target.threads || gdb->control > fake_target.threads ||
        (outcome == GDB_RESUME && !goes)) {
        abort();
    }
    gdb_reply_begin(&stop);
    gdb_tell_stop(gdb, &stop);
    gdb_reply_end(&stop);
    if (stop.len < GDB_FRAME || stop.len > sizeof(stop.text)) {
        abort();
    }
    for (u32 i = 1; i < reply.len - 3; i++) { /* nothing that would end the packet */
        if (reply.text[i] == '$' || reply.text[i] == '#') {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gdb_wire wire;
    struct gdb gdb = {.target = &fake_target};

    memset(&wire, 0, sizeof(wire));
    gdb_attach(&gdb);
    gdb.stop = size != 0 ? (enum gdb_stop)(data[0] % 3) : GDB_STOP_ASKED;
    gdb.stop_type = size != 0 ? (enum gdb_point)(data[0] / 3 % GDB_POINTS) : GDB_POINT_MEMORY;
    for (size_t i = 0; i < size; i++) {
        if (gdb_wire_take(&wire, data[i]) == GDB_PACKET) {
            execute(&gdb, wire.packet, wire.len);
        }
    }
    if (size <= GDB_PACKET_MAX) {
        memcpy(wire.packet, data, size);
        wire.packet[size] = '\0';
        execute(&gdb, wire.packet, (u32)size);
    }
    return 0;
}
