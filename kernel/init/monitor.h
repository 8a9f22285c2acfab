/* The monitor: a command line on the console while guests run. monitor.c is the line editor and its task,
 * monitor_commands.c the table of commands. */
#pragma once
#include "kernel/lib/types.h"

#define MONITOR_LINE_MAX 256U
#define MONITOR_ARGS_MAX 6U

struct monitor_args {
    u32 count;                          /* words, the command's own included */
    const char *word[MONITOR_ARGS_MAX];
    bool json;                          /* --json was among them */
};

struct monitor_command {
    const char *name;
    const char *usage;
    const char *help;
    u32 min_args, max_args; /* after the name */
    void (*run)(const struct monitor_args *args);
};
extern const struct monitor_command monitor_commands[];
extern const u32 monitor_command_count;

/* Take the console's `m`. Boot CPU, before the VMs start. */
void monitor_init(void);

/* Print to the monitor. Any CPU, task context. Lines end in \n. */
void monitor_print(const char *format, ...) PRINTF_LIKE(1, 2);

/* A command whose answer comes from another CPU calls begin before it returns; the prompt comes after end. */
void monitor_begin(void);
void monitor_end(void);

/* Execute one line of text; also for tests. */
void monitor_execute(char *line);

/* --- for the commands' own files ------------------------------------------------------------------------------------ */

struct vm;
/* The living VM of that name, or NULL after a complaint. */
struct vm *monitor_find_live(const char *name);
/* "ok", or the error's text. */
void monitor_answer(int rc);
void monitor_run_regs(const struct monitor_args *args);
void monitor_run_walk(const struct monitor_args *args);
void monitor_run_move(const struct monitor_args *args);
void monitor_run_mem(const struct monitor_args *args);
