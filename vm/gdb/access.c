/* Registers, memory and breakpoints, as packets have them. */
#include "vm/gdb/command_parts.h"
#include "kernel/lib/letter.h"
#include "kernel/lib/string.h"

#define CHUNK 256U

bool gdb_skip(const char **at, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(*at, word, len) != 0) {
        return false;
    }
    *at += len;
    return true;
}

void gdb_answer(struct gdb_reply *reply, bool ok, const char *error)
{
    gdb_reply_text(reply, ok ? "OK" : error);
}

bool gdb_take_range(const char **at, u64 *address, u64 *len)
{
    return gdb_number(at, address) && gdb_skip(at, ",") && gdb_number(at, len);
}

/* --- registers ------------------------------------------------------------------------------------------------------ */

static void show_register(const struct gdb *gdb, u32 reg, struct gdb_reply *reply)
{
    u8 bytes[GDB_REGISTER_BYTES];
    u32 size = gdb->target->reg_size(reg);

    if (gdb->target->reg_read(gdb->ctx, reg, bytes)) {
        gdb_reply_hex(reply, bytes, size);
        return;
    }
    for (u32 i = 0; i < size; i++) {
        gdb_reply_text(reply, "xx");
    }
}

void gdb_read_registers(const struct gdb *gdb, struct gdb_reply *reply)
{
    for (u32 reg = 0; reg < gdb->target->registers; reg++) {
        show_register(gdb, reg, reply);
    }
}

/* Write what is new of it. */
static bool change_register(const struct gdb *gdb, u32 reg, const u8 *bytes)
{
    u8 now[GDB_REGISTER_BYTES];

    return !gdb->target->reg_read(gdb->ctx, reg, now) || memcmp(now, bytes, gdb->target->reg_size(reg)) == 0 ||
           gdb->target->reg_write(gdb->ctx, reg, bytes);
}

void gdb_write_registers(const struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    u8 bytes[GDB_REGISTER_BYTES];
    size_t wanted = 0;

    for (u32 reg = 0; reg < gdb->target->registers; reg++) {
        wanted += 2 * (size_t)gdb->target->reg_size(reg);
    }
    bool ok = strlen(at) == wanted;
    for (size_t i = 0; ok && i < wanted; i++) {
        ok = letter_digit(at[i]) >= 0;
    }
    if (!ok) {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    for (u32 reg = 0; reg < gdb->target->registers; reg++) {
        u32 size = gdb->target->reg_size(reg);
        (void)gdb_bytes(at, bytes, size); /* they are digits */
        ok = change_register(gdb, reg, bytes) && ok;
        at += 2 * (size_t)size;
    }
    gdb_answer(reply, ok, GDB_ERROR_MEMORY);
}

void gdb_read_register(const struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    u64 reg;

    if (!gdb_number(&at, &reg) || *at != '\0' || reg >= gdb->target->registers) {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    show_register(gdb, (u32)reg, reply);
}

void gdb_write_register(const struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    u8 bytes[GDB_REGISTER_BYTES];
    u64 reg;
    bool ok = gdb_number(&at, &reg) && gdb_skip(&at, "=") && reg < gdb->target->registers;
    u32 size = ok ? gdb->target->reg_size((u32)reg) : 0;

    ok = ok && strlen(at) == 2 * (size_t)size && gdb_bytes(at, bytes, size);
    if (!ok) {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    gdb_answer(reply, gdb->target->reg_write(gdb->ctx, (u32)reg, bytes), GDB_ERROR_MEMORY);
}

/* --- memory --------------------------------------------------------------------------------------------------------- */

void gdb_read_memory(const struct gdb *gdb, const char *at, struct gdb_reply *reply)
{
    u8 bytes[CHUNK];
    u64 address, len, done = 0;

    if (!gdb_take_range(&at, &address, &len) || *at != '\0') {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    len = MIN(len, (u64)gdb_reply_room(reply) / 2);
    while (done < len) {
        size_t wanted = MIN(len - done, (u64)CHUNK);
        size_t got = gdb->target->mem_read(gdb->ctx, address + done, bytes, wanted);
        gdb_reply_hex(reply, bytes, got);
        done += got;
        if (got != wanted) {
            break;
        }
    }
    if (done == 0 && len != 0) {
        gdb_reply_text(reply, GDB_ERROR_MEMORY);
    }
}

void gdb_write_memory(const struct gdb *gdb, const char *at, const char *end, bool binary, struct gdb_reply *reply)
{
    u8 bytes[CHUNK];
    u64 address, len;
    bool ok = gdb_take_range(&at, &address, &len) && gdb_skip(&at, ":") && len <= GDB_PACKET_MAX &&
              (u64)(end - at) == (binary ? len : 2 * len);

    for (u64 done = 0; ok && !binary && done < 2 * len; done++) {
        ok = letter_digit(at[done]) >= 0;
    }
    if (!ok) {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    for (u64 done = 0; ok && done < len; done += CHUNK) {
        size_t part = MIN(len - done, (u64)CHUNK);
        if (binary) {
            memcpy(bytes, at + done, part);
        } else {
            (void)gdb_bytes(at + 2 * done, bytes, part); /* they are digits */
        }
        ok = gdb->target->mem_write(gdb->ctx, address + done, bytes, part);
    }
    gdb_answer(reply, ok, GDB_ERROR_MEMORY);
}

void gdb_set_point(const struct gdb *gdb, const char *at, bool set, struct gdb_reply *reply)
{
    int type = letter_digit(*at);
    u64 address, len;

    if (type < 0 || type >= (int)GDB_POINTS || at[1] != ',') {
        return;
    }
    at += 2;
    if (!gdb_take_range(&at, &address, &len) || (len == 0 && type >= (int)GDB_POINT_WRITE)) {
        gdb_reply_text(reply, GDB_ERROR_FORMAT);
        return;
    }
    gdb_answer(reply, gdb->target->point(gdb->ctx, (enum gdb_point)type, address, len, set), GDB_ERROR_MEMORY);
}
