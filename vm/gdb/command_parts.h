/* What gdb_command() is made of. Private to vm/gdb. at: behind the packet's letter; each adds the reply. */
#pragma once
#include "vm/gdb/command.h"

/* If *at begins with word, move behind it. */
bool gdb_skip(const char **at, const char *word);
/* "ADDR,LEN" */
bool gdb_take_range(const char **at, u64 *address, u64 *len);
/* "OK", or an error. */
void gdb_answer(struct gdb_reply *reply, bool ok, const char *error);

void gdb_read_registers(const struct gdb *gdb, struct gdb_reply *reply);
/* All of them, in the order of their numbers. Nothing changes unless all are digits; an error, too, when one that differs cannot be
 * written, and the others are. */
void gdb_write_registers(const struct gdb *gdb, const char *at, struct gdb_reply *reply);
void gdb_read_register(const struct gdb *gdb, const char *at, struct gdb_reply *reply);
void gdb_write_register(const struct gdb *gdb, const char *at, struct gdb_reply *reply);

/* As much as there is, and as fits: a reply may be shorter than what was asked for. */
void gdb_read_memory(const struct gdb *gdb, const char *at, struct gdb_reply *reply);
/* The bytes stand behind "ADDR,LEN:" up to end, as digits or as they are. */
void gdb_write_memory(const struct gdb *gdb, const char *at, const char *end, bool binary, struct gdb_reply *reply);
/* "TYPE,ADDR,KIND", what follows aside. An empty reply: no such type. */
void gdb_set_point(const struct gdb *gdb, const char *at, bool set, struct gdb_reply *reply);
