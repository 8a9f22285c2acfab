#include "kernel/init/monitor.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/console.h"
#include "kernel/init/manager.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"

#define PROMPT "mote> "
#define INPUT_MAX 1024U /* typed ahead, a power of two */
#define HISTORY 8U
#define KEY_CTRL_C 3
#define KEY_BACKSPACE 8
#define KEY_TAB 9
#define KEY_CTRL_U 21
#define KEY_ESCAPE 27
#define KEY_DELETE 127

static struct {
    struct console_port port;
    struct task task;
    bool open;     /* has been entered */
    bool prompt_due; /* once all answers are there */
    u32 pending;   /* answers still to come from other CPUs; atomic */
    u8 input[INPUT_MAX];
    u32 head, tail; /* free-running; head is the input interrupt's, tail the task's */
    char line[MONITOR_LINE_MAX];
    u32 len;
    bool too_long;
    u8 escape; /* bytes of an arrow key seen */
    char history[HISTORY][MONITOR_LINE_MAX];
    u32 history_count, history_at;
} monitor;

void monitor_print(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)fmt_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\n') {
            console_put(&monitor.port, '\r');
        }
        console_put(&monitor.port, (u8)*c);
    }
}

void monitor_begin(void)
{
    (void)__atomic_fetch_add(&monitor.pending, 1, __ATOMIC_SEQ_CST);
}

void monitor_end(void)
{
    (void)__atomic_fetch_sub(&monitor.pending, 1, __ATOMIC_SEQ_CST);
    sched_wake(&monitor.task);
}

/* --- commands ----------------------------------------------------------------------------------------------------------- */

static bool split(char *line, struct monitor_args *args)
{
    memset(args, 0, sizeof(*args));
    for (char *c = line; *c != '\0';) {
        while (*c == ' ') {
            *c++ = '\0';
        }
        if (*c == '\0') {
            break;
        }
        const char *word = c;
        while (*c != '\0' && *c != ' ') {
            c++;
        }
        if (*c == ' ') {
            *c++ = '\0';
        }
        if (strcmp(word, "--json") == 0) {
            args->json = true;
        } else if (args->count == MONITOR_ARGS_MAX) {
            return false;
        } else {
            args->word[args->count++] = word;
        }
    }
    return true;
}

static const struct monitor_command *find(const char *name)
{
    for (u32 i = 0; i < monitor_command_count; i++) {
        if (strcmp(monitor_commands[i].name, name) == 0) {
            return &monitor_commands[i];
        }
    }
    return NULL;
}

void monitor_execute(char *line)
{
    struct monitor_args args;

    if (!split(line, &args)) {
        monitor_print("error: more than %u words\n", MONITOR_ARGS_MAX);
        return;
    }
    if (args.count == 0) {
        return;
    }
    const struct monitor_command *command = find(args.word[0]);
    if (command == NULL) {
        monitor_print("error: no command '%.32s'; try help\n", args.word[0]);
    } else if (args.count - 1 < command->min_args || args.count - 1 > command->max_args) {
        monitor_print("error: usage: %s\n", command->usage);
    } else {
        command->run(&args);
    }
}

/* --- the line ------------------------------------------------------------------------------------------------------------- */

static void erase_line(void)
{
    while (monitor.len != 0) {
        monitor.len--;
        monitor_print("\b \b");
    }
}

static void show_line(const char *text)
{
    erase_line();
    monitor.len = (u32)strnlen(text, MONITOR_LINE_MAX - 1);
    memcpy(monitor.line, text, monitor.len);
    monitor.line[monitor.len] = '\0';
    monitor_print("%s", monitor.line);
}

static void recall(int step)
{
    u32 oldest = monitor.history_count > HISTORY ? monitor.history_count - HISTORY : 0;

    if (step < 0 && monitor.history_at > oldest) {
        monitor.history_at--;
    } else if (step > 0 && monitor.history_at < monitor.history_count) {
        monitor.history_at++;
    }
    show_line(monitor.history_at < monitor.history_count ? monitor.history[monitor.history_at % HISTORY] : "");
}

/* Complete the command's name as far as it is unique. */
static void complete(void)
{
    const char *only = NULL;
    u32 matches = 0;

    monitor.line[monitor.len] = '\0';
    for (u32 i = 0; i < monitor_command_count; i++) {
        if (strncmp(monitor_commands[i].name, monitor.line, monitor.len) == 0) {
            only = monitor_commands[i].name;
            matches++;
        }
    }
    if (matches == 1 && strlen(only) > monitor.len) {
        show_line(only);
    }
}

static void end_line(void)
{
    char line[MONITOR_LINE_MAX];

    monitor.line[monitor.len] = '\0';
    monitor_print("\n");
    if (monitor.too_long) {
        monitor_print("error: a line has at most %u characters\n", MONITOR_LINE_MAX - 1);
    } else if (monitor.len != 0) {
        memcpy(monitor.history[monitor.history_count++ % HISTORY], monitor.line, monitor.len + 1);
        memcpy(line, monitor.line, monitor.len + 1);
        monitor_execute(line);
    }
    monitor.history_at = monitor.history_count;
    monitor.len = 0;
    monitor.too_long = false;
    monitor.prompt_due = true;
}

/* ESC [ A and ESC [ B are the arrows up and down. Returns whether the byte belonged to such a sequence. */
static bool arrow_key(u8 byte)
{
    if (monitor.escape == 0) {
        monitor.escape = byte == KEY_ESCAPE ? 1 : 0;
        return byte == KEY_ESCAPE;
    }
    if (monitor.escape == 1) {
        monitor.escape = byte == '[' ? 2 : 0;
        return true;
    }
    monitor.escape = 0;
    if (byte == 'A' || byte == 'B') {
        recall(byte == 'A' ? -1 : 1);
    }
    return true;
}

static void insert(u8 byte)
{
    if (byte < ' ' || byte > '~') {
        return;
    }
    if (monitor.len == MONITOR_LINE_MAX - 1) {
        monitor.too_long = true;
        return;
    }
    monitor.line[monitor.len++] = (char)byte;
    console_put(&monitor.port, byte);
}

static void type(u8 byte)
{
    if (arrow_key(byte)) {
        return;
    }
    switch (byte) {
    case '\r':
    case '\n':
        end_line();
        break;
    case KEY_BACKSPACE:
    case KEY_DELETE:
        if (monitor.len != 0) {
            monitor.len--;
            monitor_print("\b \b");
        }
        break;
    case KEY_CTRL_C:
    case KEY_CTRL_U:
        erase_line();
        monitor.too_long = false;
        break;
    case KEY_TAB:
        complete();
        break;
    default:
        insert(byte);
        break;
    }
}

/* --- task and console ------------------------------------------------------------------------------------------------- */

static enum task_verdict run(struct task *task, u64 slice_end_ns)
{
    (void)task;
    (void)slice_end_ns;
    for (;;) {
        if (__atomic_load_n(&monitor.pending, __ATOMIC_SEQ_CST) != 0) {
            return TASK_BLOCK; /* monitor_end() wakes us */
        }
        if (monitor.prompt_due) {
            monitor.prompt_due = false;
            monitor_print(PROMPT);
        }
        if (monitor.tail == __atomic_load_n(&monitor.head, __ATOMIC_ACQUIRE)) {
            return TASK_BLOCK;
        }
        type(monitor.input[monitor.tail % INPUT_MAX]);
        __atomic_store_n(&monitor.tail, monitor.tail + 1, __ATOMIC_RELEASE);
    }
}

/* Input interrupt: what does not fit is lost, as on any full line. */
static void receive(struct console_port *port, u8 byte)
{
    (void)port;
    if (monitor.head - __atomic_load_n(&monitor.tail, __ATOMIC_ACQUIRE) < INPUT_MAX) {
        monitor.input[monitor.head % INPUT_MAX] = byte;
        __atomic_store_n(&monitor.head, monitor.head + 1, __ATOMIC_RELEASE);
    }
    sched_wake(&monitor.task);
}

static void enter(void)
{
    console_set_focus(&monitor.port);
    monitor.open = true;
    monitor_print("monitor: help lists the commands; leave with the escape key and n or 1..9\n" PROMPT);
}

static bool keep(void)
{
    return monitor.open;
}

void monitor_init(void)
{
    memcpy(monitor.port.name, "mote", sizeof("mote"));
    monitor.port.bare = true;
    monitor.port.receive = receive;
    monitor.task.name = "monitor";
    monitor.task.run = run;
    monitor.task.service = true;
    cpuset_add(&monitor.task.affinity, 0);
    ASSERT(sched_add(&monitor.task) == 0);
    console_set_monitor(enter);
    manager_set_keep(keep);
}
