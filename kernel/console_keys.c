/* Console input: the escape key and its commands; everything else goes to the focus. */
#include "kernel/base/log.h"
#include "kernel/console.h"

#define ESCAPE_DEFAULT 0x1DU /* Ctrl-] */
#define ESCAPE_MAX 31U
#define CONTROL_TO_LETTER 0x40U

static u8 escape_key = ESCAPE_DEFAULT; /* 0: there is none */
static bool escaped; /* the last byte was the escape key; only the input interrupt touches it */
static void (*quit_handler)(void);
static void (*monitor_handler)(void);

void console_set_escape(u8 key)
{
    if (key <= ESCAPE_MAX) {
        escape_key = key;
    }
}

void console_set_quit(void (*quit)(void))
{
    quit_handler = quit;
}

void console_set_monitor(void (*enter)(void))
{
    monitor_handler = enter;
}

static void print_help(void)
{
    char letter = (char)(escape_key + CONTROL_TO_LETTER);

    log_event("console escape=^%c h=help n=next-vm 1..9=that-vm q=quit m=monitor ^%c=send-the-key",
              letter, letter);
}

static void report_focus(const char *name)
{
    if (name != NULL) {
        log_event("console focus=%s", name);
    } else {
        log_event("console focus=none");
    }
}

static void command(u8 key)
{
    if (key == escape_key) {
        console_send(key);
    } else if (key >= '1' && key <= '9') {
        report_focus(console_focus_index((u32)(key - '1')));
    } else if (key == 'n') {
        report_focus(console_focus_next());
    } else if (key == 'm' && monitor_handler != NULL) {
        monitor_handler();
    } else if (key == 'q' && quit_handler != NULL) {
        quit_handler();
    } else {
        print_help();
    }
}

void console_input(u8 byte)
{
    if (escaped) {
        escaped = false;
        command(byte);
    } else if (byte == escape_key && escape_key != 0) {
        escaped = true;
    } else {
        console_send(byte);
    }
}
