/* The monitor's line editor: cursor, history, completion. It draws with backspaces and characters only, so that any terminal,
 * a log and another port's line in between do it no harm. Pure: output and candidates come through functions. */
#pragma once
#include "kernel/lib/types.h"

#define LINE_MAX 256U /* with the final NUL */
#define LINE_HISTORY 16U

struct line_edit {
    const char *prompt;
    /* Show text on the terminal. */
    void (*show)(const char *text, size_t len);
    /* The index-th word that may stand as word number `word` (0 = first) of line; NULL behind the last. May be NULL. */
    const char *(*candidate)(const char *line, u32 word, u32 index);

    /* the editor's own */
    char line[LINE_MAX];
    u32 len, at;   /* characters; the cursor's place among them */
    bool too_long; /* a character did not fit */
    bool after_cr; /* a line feed now belongs to the carriage return before */
    u8 escape;     /* bytes of a key's sequence seen */
    u8 number;     /* in it */
    char history[LINE_HISTORY][LINE_MAX];
    u32 history_count, history_at; /* free-running; history_at = history_count: the line being typed */
};

/* Begin a new line: show the prompt. */
void line_edit_begin(struct line_edit *edit);

/* One key. Returns whether it ended the line, which then stands in edit->line and in the history (not when empty, a repetition
 * or too long); line_edit_begin() comes next.
 * Keys: Enter; arrows and Ctrl-B Ctrl-F Ctrl-P Ctrl-N; Home, End, Ctrl-A, Ctrl-E; Backspace, Delete, Ctrl-D; Ctrl-U (to the
 * left), Ctrl-K (to the right), Ctrl-W (a word), Ctrl-C (all); Tab. Other control bytes and bytes that are not ASCII do nothing. */
bool line_edit_key(struct line_edit *edit, u8 byte);
