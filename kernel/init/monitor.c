#include "kernel/init/monitor.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/console.h"
#include "kernel/init/line_edit.h"
#include "kernel/init/manager.h"
#include "kernel/init/monitor_parse.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"
#include "vm/config_internal.h"

#define PROMPT "mote> "
#define JSON "--json"
#define COMMANDS_MAX 64U
#define INPUT_MAX 4096U /* typed ahead, a power of two */
#define CHOICES_MAX 4U  /* such as on|off|show */
#define KEY_INTERRUPT 3U /* Ctrl-C */
#define TYPO_MAX 2U     /* edits that make another word a hint */

static struct {
    struct console_port port;
    struct console_turn turn;
    struct task task;
    bool prompt_due; /* once all answers are there */
    bool json;       /* the command that runs was given --json */
    u32 pending;   /* answers still to come from other CPUs; atomic */
    bool (*item)(u64 index, bool json); /* prints the next part of a long answer, or NULL; */
    u64 index;                          /* which is this one */
    u32 interrupts; /* Ctrl-C in the input: the user does not want the rest of it; atomic */
    u8 input[INPUT_MAX];
    u32 head, tail; /* free-running; head is the input interrupt's, tail the task's */
    struct line_edit edit;
} monitor;

static void show(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        console_put(&monitor.port, (u8)text[i]);
    }
}

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

/* Into a JSON string: what is typed is printable, but may hold these. */
static void escape_json(const char *text, char *out, size_t size)
{
    size_t len = 0;

    for (; *text != '\0' && len + 2 < size; text++) {
        if (*text == '"' || *text == '\\') {
            out[len++] = '\\';
        }
        out[len++] = *text;
    }
    out[len] = '\0';
}

void monitor_error(const char *format, ...)
{
    char text[200], escaped[2 * sizeof(text)];
    va_list args;

    va_start(args, format);
    (void)fmt_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (monitor.json) {
        escape_json(text, escaped, sizeof(escaped));
        monitor_print("{\"error\":\"%s\"}\n", escaped);
    } else {
        monitor_print("error: %s\n", text);
    }
}

void monitor_answer(int rc)
{
    if (rc == 0) {
        monitor_print(monitor.json ? "{\"ok\":true}\n" : "ok\n");
    } else {
        monitor_error("%s", errno_text(rc));
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

void monitor_list(bool (*item)(u64 index, bool json))
{
    monitor.item = item;
    monitor.index = 0;
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
        if (strcmp(word, JSON) == 0) {
            args->json = true;
        } else if (args->count == MONITOR_ARGS_MAX) {
            return false;
        } else {
            args->word[args->count++] = word;
        }
    }
    return true;
}

const struct monitor_command *monitor_find_command(const char *name, size_t len)
{
    for (u32 i = 0; i < monitor_command_count; i++) {
        if (strlen(monitor_commands[i].name) == len && strncmp(monitor_commands[i].name, name, len) == 0) {
            return &monitor_commands[i];
        }
    }
    return NULL;
}

const char *monitor_hint(const char *word, const char *const *names, u32 count)
{
    const char *nearest = config_nearest(word, names, count);

    u32 edits = nearest != NULL ? config_distance(word, nearest) : ~0U;

    return edits <= TYPO_MAX && 2 * edits <= strlen(word) ? nearest : NULL; /* half of the word is right */
}

void monitor_complain_unknown(const char *word)
{
    const char *names[COMMANDS_MAX];

    for (u32 i = 0; i < monitor_command_count; i++) {
        names[i] = monitor_commands[i].name;
    }
    const char *hint = monitor_hint(word, names, monitor_command_count);
    if (hint != NULL) {
        monitor_error("no command '%.32s', did you mean %s?", word, hint);
    } else {
        monitor_error("no command '%.32s'; try help", word);
    }
}

/* Does the command's usage speak of that word? */
static bool takes(const struct monitor_command *command, const char *word)
{
    for (const char *at = command->usage; *at != '\0'; at++) {
        if (strncmp(at, word, strlen(word)) == 0) {
            return true;
        }
    }
    return false;
}

static void execute(char *line)
{
    struct monitor_args args;

    bool fits = split(line, &args);
    monitor.json = args.json;
    if (!fits) {
        monitor_error("more than %u words", MONITOR_ARGS_MAX);
        return;
    }
    if (args.count == 0) {
        return;
    }
    const struct monitor_command *command = monitor_find_command(args.word[0], strlen(args.word[0]));
    if (command == NULL) {
        monitor_complain_unknown(args.word[0]);
    } else if (args.count - 1 < command->min_args || args.count - 1 > command->max_args ||
               (args.json && !takes(command, JSON))) {
        monitor_error("usage: %s", command->usage);
    } else {
        command->run(&args);
    }
}

/* --- the line ------------------------------------------------------------------------------------------------------------- */

static const char *vm_name(u32 index)
{
    return index < manager_count() ? manager_get(index).config->name : NULL;
}

static const char *command_name(u32 index)
{
    return index < monitor_command_count ? monitor_commands[index].name : NULL;
}

/* For the editor: command names, then what the command's usage asks for. */
static const char *candidate(const char *line, u32 word, u32 index)
{
    static char choices[CHOICES_MAX][MONITOR_CHOICE_MAX];

    while (*line == ' ') {
        line++;
    }
    const char *blank = strchr(line, ' ');
    const struct monitor_command *command = blank != NULL ? monitor_find_command(line, (size_t)(blank - line)) : NULL;
    if (word == 0) {
        return command_name(index);
    }
    if (command == NULL) {
        return NULL;
    }
    if (takes(command, JSON) && index-- == 0) {
        return JSON;
    }
    if (index < CHOICES_MAX && monitor_choice(command->usage, word, index, choices[index])) {
        return choices[index];
    }
    if (word != 1) {
        return NULL;
    }
    return takes(command, "COMMAND") ? command_name(index) : takes(command, "NAME") ? vm_name(index) : NULL;
}

static void type(u8 byte)
{
    if (!line_edit_key(&monitor.edit, byte)) {
        return;
    }
    if (monitor.edit.too_long) {
        monitor.json = false;
        monitor_error("a line has at most %u characters", LINE_MAX - 1);
    } else {
        execute(monitor.edit.line);
    }
    monitor.prompt_due = true;
}

/* --- task and console ------------------------------------------------------------------------------------------------- */

static void list_on(void)
{
    bool interrupted = __atomic_load_n(&monitor.interrupts, __ATOMIC_RELAXED) != 0;
    u64 index = interrupted ? MONITOR_LIST_END : monitor.index++;

    if (!monitor.item(index, monitor.json)) {
        monitor.item = NULL;
    }
}

/* Do one small thing; false: there is none. */
static bool go_on(void)
{
    if (monitor.item != NULL) {
        list_on();
    } else if (monitor.prompt_due) {
        monitor.prompt_due = false;
        line_edit_begin(&monitor.edit);
    } else if (monitor.tail != __atomic_load_n(&monitor.head, __ATOMIC_ACQUIRE)) {
        u8 byte = monitor.input[monitor.tail % INPUT_MAX];
        __atomic_store_n(&monitor.tail, monitor.tail + 1, __ATOMIC_RELEASE);
        (void)__atomic_fetch_sub(&monitor.interrupts, byte == KEY_INTERRUPT ? 1U : 0U, __ATOMIC_RELAXED);
        type(byte);
    } else {
        return false;
    }
    return true;
}

/* monitor_end(), room() and receive() wake it. */
static enum task_verdict run(struct task *task, u64 slice_end_ns)
{
    (void)task;
    (void)slice_end_ns;
    while (__atomic_load_n(&monitor.pending, __ATOMIC_SEQ_CST) == 0 && console_turn(&monitor.turn) && go_on()) {
        if (READ_ONCE(percpu()->resched)) {
            return TASK_AGAIN;
        }
    }
    return TASK_BLOCK;
}

static void granted(struct console_turn *turn)
{
    (void)turn;
    sched_wake(&monitor.task);
}

/* Input interrupt: what does not fit is lost, as on any full line. */
static void receive(struct console_port *port, u8 byte)
{
    (void)port;
    if (monitor.head - __atomic_load_n(&monitor.tail, __ATOMIC_ACQUIRE) < INPUT_MAX) {
        (void)__atomic_fetch_add(&monitor.interrupts, byte == KEY_INTERRUPT ? 1U : 0U, __ATOMIC_RELAXED);
        monitor.input[monitor.head % INPUT_MAX] = byte;
        __atomic_store_n(&monitor.head, monitor.head + 1, __ATOMIC_RELEASE);
    }
    sched_wake(&monitor.task);
}

static void enter(void)
{
    console_set_focus(&monitor.port);
    monitor_print("monitor: help lists the commands; leave with the escape key and n or 1..9\n");
    monitor.prompt_due = true;
    sched_wake(&monitor.task);
}

/* Who has left the monitor wants on-idle= again. */
static bool keep(void)
{
    return console_has_focus(&monitor.port);
}

void monitor_init(void)
{
    memcpy(monitor.port.name, "mote", sizeof("mote"));
    monitor.port.bare = true;
    monitor.port.receive = receive;
    monitor.turn.granted = granted;
    monitor.edit.prompt = PROMPT;
    monitor.edit.show = show;
    monitor.edit.candidate = candidate;
    ASSERT(monitor_command_count <= COMMANDS_MAX);
    monitor.task.name = "monitor";
    monitor.task.run = run;
    monitor.task.service = true;
    cpuset_add(&monitor.task.affinity, 0);
    ASSERT(sched_add(&monitor.task) == 0);
    console_set_monitor(enter);
    manager_set_keep(keep);
}
