/* GDB's remote protocol: framing and commands against a machine of the test's own. */
/* units: vm/gdb/wire.c vm/gdb/command.c vm/gdb/access.c */
#include "tests/unit/host.h"
#include "tests/unit/gdb_target.h"
#include <stdio.h>
#include <stdlib.h>

static struct gdb_wire wire;
static struct gdb_reply reply;
static struct gdb gdb;

/* The last thing that feeding the bytes reports, GDB_NOTHING aside. */
static enum gdb_input feed(const char *bytes, size_t len)
{
    enum gdb_input last = GDB_NOTHING;

    for (size_t i = 0; i < len; i++) {
        enum gdb_input input = gdb_wire_take(&wire, (u8)bytes[i]);
        last = input != GDB_NOTHING ? input : last;
    }
    return last;
}

static enum gdb_input feed_text(const char *text)
{
    return feed(text, strlen(text));
}

/* "$text#sum" */
static const char *framed(const char *text, size_t len)
{
    static char out[2 * GDB_PACKET_MAX];
    u8 sum = 0;

    out[0] = '$';
    memcpy(out + 1, text, len);
    for (size_t i = 0; i < len; i++) {
        sum = (u8)(sum + (u8)text[i]);
    }
    (void)snprintf(out + 1 + len, 4, "#%02x", sum);
    return out;
}

static int begin(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof(wire));
    memset(&fake, 0, sizeof(fake));
    memset(&gdb, 0, sizeof(gdb));
    gdb.target = &fake_target;
    gdb_attach(&gdb);
    return 0;
}

static void whole_packets(void **state)
{
    (void)state;
    assert_int_equal(feed_text("+"), GDB_ACK);
    assert_int_equal(feed_text("-"), GDB_NAK);
    assert_int_equal(feed_text("\x03"), GDB_BREAK);
    assert_int_equal(feed_text("noise #00"), GDB_NOTHING);
    assert_int_equal(feed_text("$g#67"), GDB_PACKET);
    assert_string_equal(wire.packet, "g");
    assert_int_equal(feed_text("$#00"), GDB_PACKET);
    assert_int_equal(wire.len, 0);
    assert_int_equal(feed_text("$qC#B4"), GDB_PACKET); /* capitals in the checksum */
    const char escaped[] = "X1,2:}\x03}\x5d\x03";      /* '#', '}', and an interrupt character that is data */
    assert_int_equal(feed(framed(escaped, sizeof(escaped) - 1), sizeof(escaped) - 1 + GDB_FRAME), GDB_PACKET);
    assert_memory_equal(wire.packet, "X1,2:#}\x03", 8);
    assert_int_equal(wire.len, 8);
}

static void broken_packets(void **state)
{
    (void)state;
    assert_int_equal(feed_text("$g#68"), GDB_BROKEN);
    assert_int_equal(feed_text("$g#6"), GDB_NOTHING);
    assert_int_equal(feed_text("x"), GDB_BROKEN);
    assert_int_equal(feed_text("$g#zz"), GDB_BROKEN);
    assert_int_equal(feed_text("$g}#e4"), GDB_BROKEN); /* an escape of nothing */
    assert_int_equal(feed_text("$m100000,4$g#67"), GDB_PACKET); /* the end of the first was lost */
    assert_string_equal(wire.packet, "g");
    assert_int_equal(feed_text("$$$$$g#67"), GDB_PACKET);
}

static void long_packets(void **state)
{
    static char text[GDB_PACKET_MAX + 100];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(feed(framed(text, GDB_PACKET_MAX), GDB_PACKET_MAX + GDB_FRAME), GDB_PACKET);
    assert_int_equal(wire.len, GDB_PACKET_MAX);
    assert_int_equal(feed(framed(text, GDB_PACKET_MAX + 1), GDB_PACKET_MAX + 1 + GDB_FRAME), GDB_TOO_LONG);
    for (u32 i = 0; i < 100000; i++) { /* without an end */
        assert_int_equal(feed_text(i == 0 ? "$" : "a"), GDB_NOTHING);
    }
    assert_int_equal(feed_text("$g#67"), GDB_PACKET);
}

/* Execute a command; its reply must be framed rightly. Returns what stands between. */
static char *ask_bytes(const char *command, size_t len, enum gdb_outcome wanted)
{
    static char text[GDB_PACKET_MAX + 1], packet[GDB_PACKET_MAX + 1];
    u8 sum = 0;

    memcpy(packet, command, len);
    packet[len] = '\0';
    assert_int_equal(gdb_command(&gdb, packet, (u32)len, &reply), wanted);
    assert_in_range(reply.len, GDB_FRAME, sizeof(reply.text));
    assert_int_equal(reply.text[0], '$');
    assert_int_equal(reply.text[reply.len - 3], '#');
    for (u32 i = 1; i < reply.len - 3; i++) {
        sum = (u8)(sum + (u8)reply.text[i]);
    }
    char told[3] = {reply.text[reply.len - 2], reply.text[reply.len - 1], '\0'};
    assert_int_equal(strtoul(told, NULL, 16), sum);
    memcpy(text, reply.text + 1, reply.len - GDB_FRAME);
    text[reply.len - GDB_FRAME] = '\0';
    return text;
}

static char *ask(const char *command)
{
    return ask_bytes(command, strlen(command), GDB_ANSWER);
}

static void registers(void **state)
{
    (void)state;
    assert_string_equal(ask("P0=0102030405060708"), "OK");
    assert_string_equal(ask("p0"), "0102030405060708");
    assert_string_equal(ask("P1=01020304"), GDB_ERROR_MEMORY);
    assert_string_equal(ask("p3"), "xxxx");
    assert_string_equal(ask("g"), "0102030405060708" "00000000" "00000000000000000000000000000000" "xxxx");
    assert_string_equal(ask("G1112131415161718" "00000000" "000102030405060708090a0b0c0d0e0f" "1234"), "OK");
    assert_string_equal(ask("G1112131415161718" "aaaaaaaa" "000102030405060708090a0b0c0d0e0f" "1234"), GDB_ERROR_MEMORY);
    assert_string_equal(ask("p0"), "1112131415161718");
    assert_string_equal(ask("p2"), "000102030405060708090a0b0c0d0e0f");
    static const char *const bad[] = {"p4", "p", "p0x", "pffffffffffffffff", "P0", "P0=", "P0=01", "P0=010203040506070g",
                                      "P4=00", "G", "G00", "G1112131415161718aaaaaaaa000102030405060708090a0b0c0d0e0f123g"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_string_equal(ask(bad[i]), GDB_ERROR_FORMAT);
    }
    assert_string_equal(ask("p0"), "1112131415161718"); /* nothing changed */
}

static void memory(void **state)
{
    char binary[] = "X100010,4:\0\x01#}";

    (void)state;
    assert_string_equal(ask("M100000,3:0aFF7e"), "OK");
    assert_string_equal(ask("m100000,4"), "0aff7e00");
    assert_string_equal(ask_bytes(binary, sizeof(binary) - 1, GDB_ANSWER), "OK");
    assert_string_equal(ask("m100010,4"), "0001237d");
    assert_string_equal(ask("X100000,0:"), "OK"); /* gdb asks so whether there is X */
    assert_string_equal(ask("m100000,0"), "");
    assert_string_equal(ask("m100ffe,10"), "0000"); /* as far as it goes */
    assert_string_equal(ask("m101000,1"), GDB_ERROR_MEMORY);
    assert_string_equal(ask("m0,1"), GDB_ERROR_MEMORY);
    assert_string_equal(ask("mffffffffffffffff,ffffffffffffffff"), GDB_ERROR_MEMORY);
    assert_int_equal(strlen(ask("m100000,ffffffff")), GDB_PACKET_MAX);
    assert_string_equal(ask("M100fff,2:0000"), GDB_ERROR_MEMORY);
    static const char *const bad[] = {"m", "m100000", "m100000,", "m,1", "m100000,1x", "m10000000000000000,1", "M100000,2:0a",
                                      "M100000,2:0a0g", "M100000,1:0a0a", "M100000,1", "X100000,3:ab", "Mffffffff,ffffffff:"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_string_equal(ask(bad[i]), GDB_ERROR_FORMAT);
    }
    assert_string_equal(ask("m100000,4"), "0aff7e00");
}

static void breakpoints(void **state)
{
    (void)state;
    assert_string_equal(ask("Z0,100010,1"), "OK");
    assert_string_equal(ask("Z0,100020,1"), "OK");
    assert_string_equal(ask("Z0,100030,1"), GDB_ERROR_MEMORY); /* no room */
    assert_string_equal(ask("z0,100010,1"), "OK");
    assert_int_equal(fake.breakpoints[1], 0x100020);
    assert_string_equal(ask("Z0,100010"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("Z5,100010,1"), "");
    assert_string_equal(ask("Z10,100010,1"), "");
    assert_string_equal(ask("Z"), "");
    assert_int_equal(fake.breakpoint_count, 2);
}

static void watchpoints(void **state)
{
    (void)state;
    assert_string_equal(ask("Z1,100010,1;X2,0102"), "OK"); /* conditions are not for us: gdb looks, too */
    assert_int_equal(fake.types[0], GDB_POINT_EXECUTE);
    assert_string_equal(ask("Z4,100020,c"), "OK");
    assert_int_equal(fake.types[1], GDB_POINT_ACCESS);
    assert_int_equal(fake.len, 12);
    assert_string_equal(ask("Z2,100030,1"), GDB_ERROR_MEMORY); /* no room */
    assert_string_equal(ask("z4,100020,8"), "OK");
    assert_int_equal(fake.len, 8);
    assert_string_equal(ask("Z2,100030,0"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("Z3,,4"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("Z3"), "");
}

static void threads(void **state)
{
    (void)state;
    assert_string_equal(ask("qfThreadInfo"), "m1,2,3");
    assert_string_equal(ask("qsThreadInfo"), "l");
    assert_string_equal(ask("qC"), "QC1");
    assert_string_equal(ask("Hg3"), "OK");
    assert_string_equal(ask("qC"), "QC3");
    assert_string_equal(ask("Hg0"), "OK");
    assert_string_equal(ask("qC"), "QC1");
    assert_string_equal(ask("Hc-1"), "OK");
    assert_string_equal(ask("Hg4"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("Hx1"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("H"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("T3"), "OK");
    assert_string_equal(ask("T4"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("T0"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("qThreadExtraInfo,2"), "7061726b6564");
    assert_string_equal(ask("qThreadExtraInfo,0"), GDB_ERROR_FORMAT);
}

static void questions(void **state)
{
    (void)state;
    gdb.general = 2;
    gdb.stop = GDB_STOP_STEP;
    assert_string_equal(ask_bytes("qSupported:multiprocess+;swbreak+;vContSupported+", strlen("qSupported:multiprocess+;swbreak+;vContSupported+"),
                                  GDB_ATTACHED),
                        "PacketSize=1000;qXfer:features:read+;swbreak+;hwbreak+;vContSupported+");
    assert_true(gdb.tells_software && !gdb.tells_hardware);
    assert_int_equal(gdb.general, 1); /* nothing is left of the one before */
    assert_int_equal(gdb.stop, GDB_STOP_ASKED);
    assert_non_null(strstr(ask_bytes("qSupported", 10, GDB_ATTACHED), "PacketSize"));
    assert_false(gdb.tells_software);
    assert_string_equal(ask("qXfer:features:read:target.xml:0,8"), "m<target>");
    assert_string_equal(ask("qXfer:features:read:target.xml:8,fff"), "l}\x03}\x04}\x5d}\x0a</target>");
    assert_string_equal(ask("qXfer:features:read:target.xml:15,10"), "l");
    assert_string_equal(ask("qXfer:features:read:target.xml:16,10"), GDB_ERROR_FORMAT);
    assert_string_equal(ask("qXfer:features:read:other.xml:0,10"), "");
    assert_string_equal(ask("qAttached"), "1");
    assert_string_equal(ask("vMustReplyEmpty"), "");
    assert_string_equal(ask("qRcmd,00"), "");
    assert_string_equal(ask(""), "");
    assert_string_equal(ask("!"), "");
}

static void goes(const char *command, u8 first, u8 second, u8 third)
{
    (void)ask_bytes(command, strlen(command), GDB_RESUME);
    assert_int_equal(gdb.actions[0], first);
    assert_int_equal(gdb.actions[1], second);
    assert_int_equal(gdb.actions[2], third);
}

static void going_on(void **state)
{
    (void)state;
    assert_string_equal(ask("vCont?"), "vCont;c;C;s;S");
    goes("vCont;c", GDB_GO, GDB_GO, GDB_GO);
    goes("vCont;s:2", GDB_STAY, GDB_STEP, GDB_STAY);
    goes("vCont;s:2;c", GDB_GO, GDB_STEP, GDB_GO);
    goes("vCont;C05:1;S05:3", GDB_GO, GDB_STAY, GDB_STEP);
    goes("vCont;c:-1;s:1", GDB_GO, GDB_GO, GDB_GO); /* the first that fits counts */
    goes("c", GDB_GO, GDB_GO, GDB_GO);
    goes("C05", GDB_GO, GDB_GO, GDB_GO);
    goes("s", GDB_STEP, GDB_STAY, GDB_STAY);
    assert_string_equal(ask("Hc2"), "OK");
    goes("s", GDB_STAY, GDB_STEP, GDB_STAY);
    static const char *const bad[] = {"vCont", "vCont;", "vCont;x", "vCont;s:4", "vCont;c1", "vCont;C", "vCont;c;", "c100000",
                                      "sx", "C", "vContc"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_string_equal(ask(bad[i]), GDB_ERROR_FORMAT);
    }
    (void)ask_bytes("D", 1, GDB_DETACH);
    (void)ask_bytes("k", 1, GDB_KILL);
    assert_string_equal(ask_bytes("vKill;1", 7, GDB_KILL), "OK");
}

static void stop_at(enum gdb_point type)
{
    gdb.stop = GDB_STOP_POINT;
    gdb.stop_thread = 3;
    gdb.stop_type = type;
    gdb.stop_address = 0x123456789abc;
}

static void stops(void **state)
{
    (void)state;
    assert_string_equal(ask("?"), "T02thread:1;");
    stop_at(GDB_POINT_MEMORY);
    assert_string_equal(ask("?"), "T05thread:3;");
    stop_at(GDB_POINT_EXECUTE);
    assert_string_equal(ask("?"), "T05thread:3;");
    (void)ask_bytes("qSupported:swbreak+;hwbreak+", 28, GDB_ATTACHED);
    stop_at(GDB_POINT_MEMORY);
    assert_string_equal(ask("?"), "T05thread:3;swbreak:;");
    stop_at(GDB_POINT_EXECUTE);
    assert_string_equal(ask("?"), "T05thread:3;hwbreak:;");
    stop_at(GDB_POINT_WRITE);
    assert_string_equal(ask("?"), "T05thread:3;watch:123456789abc;");
    stop_at(GDB_POINT_READ);
    assert_string_equal(ask("?"), "T05thread:3;rwatch:123456789abc;");
    stop_at(GDB_POINT_ACCESS);
    assert_string_equal(ask("?"), "T05thread:3;awatch:123456789abc;");
    gdb.stop = GDB_STOP_STEP;
    assert_string_equal(ask("?"), "T05thread:3;");
    gdb_reply_begin(&reply);
    for (u32 i = 0; i < GDB_PACKET_MAX; i++) {
        gdb_reply_text(&reply, "ab"); /* more than fits */
    }
    gdb_reply_end(&reply);
    assert_memory_equal(reply.text, "$" GDB_ERROR_TOO_LONG "#", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(whole_packets, begin), cmocka_unit_test_setup(broken_packets, begin),
        cmocka_unit_test_setup(long_packets, begin),  cmocka_unit_test_setup(registers, begin),
        cmocka_unit_test_setup(memory, begin),        cmocka_unit_test_setup(breakpoints, begin),
        cmocka_unit_test_setup(watchpoints, begin),
        cmocka_unit_test_setup(threads, begin),       cmocka_unit_test_setup(questions, begin),
        cmocka_unit_test_setup(going_on, begin),      cmocka_unit_test_setup(stops, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
