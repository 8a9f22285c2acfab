#include "vm/gdb/command.h"
#include "kernel/lib/string.h"
#include "vm/gdb/command_parts.h"

#define SIGNAL_INT "T02"
#define SIGNAL_TRAP "T05"
#define ALL_THREADS (~0ULL) /* "-1" */

void gdb_attach(struct gdb *gdb)
{
    gdb->general = 1;
    gdb->control = 0;
    gdb->tells_software = false;
    gdb->tells_hardware = false;
    gdb->stop = GDB_STOP_ASKED;
    gdb->stop_thread = 1;
}

static void tell_point(const struct gdb *gdb, struct gdb_reply *reply)
{
    static const char *const names[GDB_POINTS] = {
        [GDB_POINT_MEMORY] = "swbreak:", [GDB_POINT_EXECUTE] = "hwbreak:", [GDB_POINT_WRITE] = "watch:",
        [GDB_POINT_READ] = "rwatch:",    [GDB_POINT_ACCESS] = "awatch:",
    };
    bool data = gdb->stop_type >= GDB_POINT_WRITE;

    if (!data && !(gdb->stop_type == GDB_POINT_MEMORY ? gdb->tells_software : gdb->tells_hardware)) {
        return;
    }
    gdb_reply_text(reply, names[gdb->stop_type]);
    if (data) {
        gdb_reply_number(reply, gdb->stop_address);
    }
    gdb_reply_text(reply, ";");
}

void gdb_tell_stop(const struct gdb *gdb, struct gdb_reply *reply)
{
    gdb_reply_text(reply, gdb->stop == GDB_STOP_ASKED ? SIGNAL_INT : SIGNAL_TRAP);
    gdb_reply_text(reply, "thread:");
    gdb_reply_number(reply, gdb->stop_thread);
    gdb_reply_text(reply, ";");
    if (gdb->stop == GDB_STOP_POINT) {
        tell_point(gdb, reply);
    }
}

/* --- parts of packets ----------------------------------------------------------------------------------------------- */

/* A thread: a number, or -1 for all. Those that do not exist are refused. */
static bool take_thread(const struct gdb *gdb, const char **at, u64 *thread)
{
    if (gdb_skip(at, "-1")) {
        *thread = ALL_THREADS;
        return true;
    }
    return gdb_number(at, thread) && *thread <= gdb->target->threads;
}

/* --- threads -------------------------------------------------------------------------------------------------------- */

static void choose_thread(struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    bool registers = gdb_skip(&at, "g"), running = !registers && gdb_skip(&at, "c");
    u64 thread;

    if ((!registers && !running) || !take_thread(gdb, &at, &thread) || *at != '\0') {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    if (running) {
        gdb->control = thread == ALL_THREADS ? 0 : (u32)thread;
    } else if (thread != ALL_THREADS && thread != 0) {
        gdb->general = (u32)thread;
    } else {
        gdb->general = gdb->stop_thread;
    }
    gdb_answer(reply, true, NULL);
}

static void is_alive(const struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    u64 thread;

    gdb_answer(reply, gdb_number(&at, &thread) && *at == '\0' && thread != 0 && thread <= gdb->target->threads, GDB_ERROR_FORMAT);
}

static void list_threads(const struct gdb *gdb, struct gdb_reply *reply)
{
    for (u32 thread = 1; thread <= gdb->target->threads; thread++) {
        gdb_reply_text(reply, thread == 1 ? "m" : ",");
        gdb_reply_number(reply, thread);
    }
}

static void describe_thread(const struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    u64 thread;

    if (!gdb_number(&at, &thread) || thread == 0 || thread > gdb->target->threads) {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    const char *text = gdb->target->thread_text(gdb->ctx, (u32)thread);
    gdb_reply_hex(reply, (const u8 *)text, strlen(text));
}

/* --- questions ------------------------------------------------------------------------------------------------------ */

/* The first thing that one says who has just connected, and only then. */
static void negotiate(struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    gdb_attach(gdb);
    for (; at != NULL; at = strchr(at, ';')) {
        at++; /* ':' the first time */
        gdb->tells_software = gdb->tells_software || strncmp(at, "swbreak+", strlen("swbreak+")) == 0;
        gdb->tells_hardware = gdb->tells_hardware || strncmp(at, "hwbreak+", strlen("hwbreak+")) == 0;
    }
    gdb_reply_text(reply, "PacketSize=");
    gdb_reply_number(reply, GDB_PACKET_MAX);
    gdb_reply_text(reply, ";qXfer:features:read+;swbreak+;hwbreak+;vContSupported+");
}

/* "OFFSET,LEN" of the description. */
static void read_description(const struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    const char *text = gdb->target->description;
    u64 size = strlen(text), offset, len;

    if (!gdb_take_range(&at, &offset, &len) || *at != '\0' || offset > size) {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    len = MIN(len, (u64)(gdb_reply_room(reply) - 1) / 2); /* each may have to be escaped */
    u64 part = MIN(len, size - offset);
    gdb_reply_text(reply, offset + part < size ? "m" : "l");
    gdb_reply_data(reply, text + offset, part);
}

/* An empty reply: not known. */
static enum gdb_outcome question(struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    if (gdb_skip(&at, "Supported")) {
        negotiate(gdb, *at == ':' ? at : NULL, reply);
        return GDB_ATTACHED;
    }
    if (gdb_skip(&at, "Xfer:features:read:target.xml:")) {
        read_description(gdb, at, reply);
    } else if (strcmp(at, "fThreadInfo") == 0) {
        list_threads(gdb, reply);
    } else if (strcmp(at, "sThreadInfo") == 0) {
        gdb_reply_text(reply, "l");
    } else if (gdb_skip(&at, "ThreadExtraInfo,")) {
        describe_thread(gdb, at, reply);
    } else if (strcmp(at, "C") == 0) {
        gdb_reply_text(reply, "QC");
        gdb_reply_number(reply, gdb->general);
    } else if (strncmp(at, "Attached", strlen("Attached")) == 0) {
        gdb_reply_text(reply, "1");
    }
    return GDB_ANSWER;
}

/* --- going on ------------------------------------------------------------------------------------------------------- */

static void act_on(struct gdb *gdb, u64 thread, enum gdb_action action, bool decided[GDB_THREADS_MAX])
{
    for (u32 i = 0; i < gdb->target->threads; i++) {
        if ((thread == ALL_THREADS || thread == 0 || thread == i + 1) && !decided[i]) {
            decided[i] = true;
            gdb->actions[i] = (u8)action;
        }
    }
}

/* One of vCont's actions: c, s, Csignal, Ssignal, each with ":THREAD" or for all that are left. Signals mean nothing to a VM. */
static bool take_action(struct gdb *gdb, const char **at, bool decided[GDB_THREADS_MAX])
{
    char verb = *(*at)++;
    bool step = verb == 's' || verb == 'S';
    u64 signal, thread = ALL_THREADS;

    if (verb != 'c' && verb != 's' && ((verb != 'C' && verb != 'S') || !gdb_number(at, &signal))) {
        return false;
    }
    if (gdb_skip(at, ":") && !take_thread(gdb, at, &thread)) {
        return false;
    }
    act_on(gdb, thread, step ? GDB_STEP : GDB_GO, decided);
    return true;
}

static bool anybody_goes(const struct gdb *gdb)
{
    for (u32 i = 0; i < gdb->target->threads; i++) {
        if (gdb->actions[i] != GDB_STAY) {
            return true;
        }
    }
    return false;
}

static enum gdb_outcome resume_each(struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    bool decided[GDB_THREADS_MAX] = {false};
    bool ok = *at == ';';

    memset(gdb->actions, GDB_STAY, sizeof(gdb->actions));
    while (ok && *at == ';') {
        at++;
        ok = take_action(gdb, &at, decided);
    }
    if (ok && *at == '\0' && anybody_goes(gdb)) {
        return GDB_RESUME;
    }
    gdb_reply_text(reply, GDB_ERROR_FORMAT);
    return GDB_ANSWER;
}

/* The old c, s, Csignal, Ssignal; their form with an address is refused, as gdb never uses it beside vCont. */
static enum gdb_outcome resume(struct gdb *gdb, const char *packet, struct gdb_reply *reply)
{
    bool decided[GDB_THREADS_MAX] = {false};
    bool step = packet[0] == 's' || packet[0] == 'S', signals = packet[0] == 'C' || packet[0] == 'S';
    const char *at = packet + 1;
    u64 signal;

    if ((signals && !gdb_number(&at, &signal)) || *at != '\0') {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return GDB_ANSWER;
    }
    memset(gdb->actions, GDB_STAY, sizeof(gdb->actions));
    act_on(gdb, step && gdb->control == 0 ? gdb->general : gdb->control, step ? GDB_STEP : GDB_GO, decided);
    return GDB_RESUME;
}

static enum gdb_outcome verbose(struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    if (strcmp(at, "Cont?") == 0) {
        gdb_reply_text(reply, "vCont;c;C;s;S");
    } else if (gdb_skip(&at, "Cont")) {
        return resume_each(gdb, at, reply);
    } else if (gdb_skip(&at, "Kill")) {
        gdb_reply_text(reply, "OK");
        return GDB_KILL;
    }
    return GDB_ANSWER;
}

static enum gdb_outcome execute(struct gdb *gdb, const char *packet, u32 len, struct gdb_reply *reply)
{
    const char *at = packet + 1, *end = packet + len;

    switch (packet[0]) {
    case '?': gdb_tell_stop(gdb, reply); break;
    case 'g': gdb_read_registers(gdb, reply); break;
    case 'G': gdb_write_registers(gdb, at, reply); break;
    case 'p': gdb_read_register(gdb, at, reply); break;
    case 'P': gdb_write_register(gdb, at, reply); break;
    case 'm': gdb_read_memory(gdb, at, reply); break;
    case 'M': gdb_write_memory(gdb, at, end, false, reply); break;
    case 'X': gdb_write_memory(gdb, at, end, true, reply); break;
    case 'Z': gdb_set_point(gdb, at, true, reply); break;
    case 'z': gdb_set_point(gdb, at, false, reply); break;
    case 'H': choose_thread(gdb, at, reply); break;
    case 'T': is_alive(gdb, at, reply); break;
    case 'q': return question(gdb, at, reply);
    case 'v': return verbose(gdb, at, reply);
    case 'c':
    case 's':
    case 'C':
    case 'S': return resume(gdb, packet, reply);
    case 'D': gdb_reply_text(reply, "OK"); return GDB_DETACH;
    case 'k': return GDB_KILL;
    default: break; /* an empty reply: not known */
    }
    return GDB_ANSWER;
}

enum gdb_outcome gdb_command(struct gdb *gdb, const char *packet, u32 len, struct gdb_reply *reply)
{
    gdb_reply_begin(reply);
    enum gdb_outcome outcome = execute(gdb, packet, len, reply);
    gdb_reply_end(reply);
    return outcome;
}
