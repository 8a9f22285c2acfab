/* The monitor: a command line on the console while guests run. line_edit.c is its editor, monitor.c
 * its task, monitor_commands.c the table of commands. */
#pragma once
#include "kernel/lib/types.h"

#define MONITOR_ARGS_MAX 6U

struct monitor_args {
    u32 count;                          /* words, the command's own included */
    const char *word[MONITOR_ARGS_MAX];
    bool json;                          /* --json was among them */
};

struct monitor_command {
    const char *name;
    const char *usage; /* also what the editor completes: NAME, COMMAND, --json */
    const char *help;
    u32 min_args, max_args; /* after the name */
    void (*run)(const struct monitor_args *args);
};
extern const struct monitor_command monitor_commands[];
extern const u32 monitor_command_count;

/* Take the console's `m`. Boot CPU, before the VMs start. */
void monitor_init(void);

/* Print to the monitor. Any CPU, task context. Lines end in \n. A command prints a kilobyte or two itself, no more. */
void monitor_print(const char *format, ...) PRINTF_LIKE(1, 2);

/* A command whose answer comes from another CPU calls begin before it returns; the prompt comes after end. */
void monitor_begin(void);
void monitor_end(void);

/* A long answer: after the command has returned, item(0), item(1), ... print one item each, a kilobyte at most, each when the line
 * has room for it, until one returns false: there is no such item, and it has printed the answer's end. The prompt comes then.
 * Between two items everything else runs: VMs may have died. Ctrl-C goes to the end at once. */
#define MONITOR_LIST_END UINT64_MAX
void monitor_list(bool (*item)(u64 index, bool json));

/* --- for the commands' own files ------------------------------------------------------------------------------------ */

/* A line "error: ...", or, where the command was given --json, {"error":"..."}. */
void monitor_error(const char *format, ...) PRINTF_LIKE(1, 2);

/* The command of that name, or NULL. */
const struct monitor_command *monitor_find_command(const char *name, size_t len);
void monitor_complain_unknown(const char *word);
/* The one of names that is nearly the word, or NULL. */
const char *monitor_hint(const char *word, const char *const *names, u32 count);

struct vm;
/* The living VM of that name, or NULL after a complaint. */
struct vm *monitor_find_live(const char *name);
/* "ok", or the error's text; both in the form that was asked for. */
void monitor_answer(int rc);
/* The VM of that name; false after a complaint. */
bool monitor_find_vm(const char *name, u32 *id);
/* Exits of all its vCPUs; vm may be NULL. */
u64 monitor_exits_of(const struct vm *vm);
void monitor_run_vms(const struct monitor_args *args);
void monitor_run_vm(const struct monitor_args *args);
void monitor_run_exits(const struct monitor_args *args);
void monitor_run_trace(const struct monitor_args *args);
void monitor_run_frames(const struct monitor_args *args);
void monitor_run_cpus(const struct monitor_args *args);
void monitor_run_audit(const struct monitor_args *args);
void monitor_run_regs(const struct monitor_args *args);
void monitor_run_walk(const struct monitor_args *args);
void monitor_run_move(const struct monitor_args *args);
void monitor_run_mem(const struct monitor_args *args);
