#include "kernel/init/line_edit.h"
#include "kernel/lib/string.h"

#define CTRL(letter) ((letter) & 0x1F)
#define KEY_BACKSPACE 8
#define KEY_TAB 9
#define KEY_ESCAPE 27
#define KEY_DELETE 127

/* Keys with sequences of their own (ECMA-48, as xterm and the VT220 send them). */
enum { SEQUENCE_NONE, SEQUENCE_BEGUN, SEQUENCE_CSI, SEQUENCE_SS3 };
#define NUMBER_HOME 1U
#define NUMBER_DELETE 3U
#define NUMBER_END 4U
#define NUMBER_HOME_RXVT 7U
#define NUMBER_END_RXVT 8U

/* --- the terminal ----------------------------------------------------------------------------------------------------- */

static void show_many(const struct line_edit *edit, char c, u32 count)
{
    while (count-- != 0) {
        edit->show(&c, 1);
    }
}

static void show_text(const struct line_edit *edit, const char *text)
{
    edit->show(text, strlen(text));
}

/* What stands from the cursor on has changed; it had cleared characters more than now. */
static void show_tail(const struct line_edit *edit, u32 cleared)
{
    edit->show(edit->line + edit->at, edit->len - edit->at);
    show_many(edit, ' ', cleared);
    show_many(edit, '\b', edit->len - edit->at + cleared);
}

static void move_to(struct line_edit *edit, u32 at)
{
    if (at > edit->len) {
        return;
    }
    if (at < edit->at) {
        show_many(edit, '\b', edit->at - at);
    } else {
        edit->show(edit->line + edit->at, at - edit->at);
    }
    edit->at = at;
}

/* --- changes ------------------------------------------------------------------------------------------------------------ */

/* Take away the characters from `from` to `to`; the cursor goes there. */
static void cut(struct line_edit *edit, u32 from, u32 to)
{
    move_to(edit, from);
    memmove(edit->line + from, edit->line + to, edit->len - to);
    edit->len -= to - from;
    show_tail(edit, to - from);
}

static void insert(struct line_edit *edit, const char *text, size_t len)
{
    if (len > LINE_MAX - 1 - edit->len) {
        edit->too_long = true;
        return;
    }
    memmove(edit->line + edit->at + len, edit->line + edit->at, edit->len - edit->at);
    memcpy(edit->line + edit->at, text, len);
    edit->len += (u32)len;
    edit->show(text, len);
    edit->at += (u32)len;
    if (edit->at != edit->len) {
        show_tail(edit, 0);
    }
}

static u32 word_start(const struct line_edit *edit)
{
    u32 at = edit->at;

    while (at != 0 && edit->line[at - 1] == ' ') {
        at--;
    }
    while (at != 0 && edit->line[at - 1] != ' ') {
        at--;
    }
    return at;
}

static void replace(struct line_edit *edit, const char *text)
{
    cut(edit, 0, edit->len);
    insert(edit, text, strlen(text));
}

/* --- history ------------------------------------------------------------------------------------------------------------ */

static void remember(struct line_edit *edit)
{
    const char *last = edit->history[(edit->history_count - 1) % LINE_HISTORY];

    if (edit->len == 0 || edit->too_long || (edit->history_count != 0 && strcmp(last, edit->line) == 0)) {
        return;
    }
    memcpy(edit->history[edit->history_count++ % LINE_HISTORY], edit->line, edit->len + 1);
}

static void recall(struct line_edit *edit, bool older)
{
    u32 oldest = edit->history_count > LINE_HISTORY ? edit->history_count - LINE_HISTORY : 0;

    if (older ? edit->history_at == oldest : edit->history_at == edit->history_count) {
        return;
    }
    edit->history_at += older ? ~0U : 1U;
    replace(edit, edit->history_at < edit->history_count ? edit->history[edit->history_at % LINE_HISTORY] : "");
}

/* --- completion ------------------------------------------------------------------------------------------------------- */

/* The word that the cursor stands behind, and what may become of it. */
struct completion {
    u32 word;
    const char *text;
    u32 len;
    const char *first; /* candidate */
    u32 common;        /* length that all candidates share */
    u32 count;
};

static u32 word_number(const struct line_edit *edit, u32 start)
{
    u32 count = 0;

    for (u32 i = 0; i < start; i++) {
        count += edit->line[i] != ' ' && (i == 0 || edit->line[i - 1] == ' ') ? 1U : 0U;
    }
    return count;
}

static bool matches(const struct completion *c, const char *candidate)
{
    return strncmp(candidate, c->text, c->len) == 0;
}

static void find_candidates(const struct line_edit *edit, struct completion *c)
{
    const char *candidate;

    for (u32 i = 0; (candidate = edit->candidate(edit->line, c->word, i)) != NULL; i++) {
        if (!matches(c, candidate)) {
            continue;
        }
        if (c->count++ == 0) {
            c->first = candidate;
            c->common = (u32)strlen(candidate);
        }
        u32 same = 0;
        while (same < c->common && candidate[same] == c->first[same]) {
            same++;
        }
        c->common = same;
    }
}

/* All candidates on a line of their own, then the command line again. */
static void show_candidates(const struct line_edit *edit, const struct completion *c)
{
    const char *candidate;

    show_text(edit, "\r\n");
    for (u32 i = 0; (candidate = edit->candidate(edit->line, c->word, i)) != NULL; i++) {
        if (matches(c, candidate)) {
            show_text(edit, candidate);
            show_text(edit, "  ");
        }
    }
    show_text(edit, "\r\n");
    show_text(edit, edit->prompt);
    edit->show(edit->line, edit->len);
    show_many(edit, '\b', edit->len - edit->at);
}

static void complete(struct line_edit *edit)
{
    u32 start = edit->at != 0 && edit->line[edit->at - 1] == ' ' ? edit->at : word_start(edit);
    struct completion c = {.word = word_number(edit, start), .text = edit->line + start, .len = edit->at - start};

    edit->line[edit->len] = '\0';
    if (edit->candidate != NULL) {
        find_candidates(edit, &c);
    }
    if (c.count == 0) {
        return;
    }
    if (c.count > 1 && c.common == c.len) {
        show_candidates(edit, &c);
        return;
    }
    insert(edit, c.first + c.len, c.common - c.len);
    if (c.count == 1 && edit->at == edit->len) {
        insert(edit, " ", 1);
    }
}

/* --- keys --------------------------------------------------------------------------------------------------------------- */

static void sequence_end(struct line_edit *edit, u8 byte)
{
    u32 number = edit->number;
    bool tilde = byte == '~';

    edit->escape = SEQUENCE_NONE;
    if (byte == 'A' || byte == 'B') {
        recall(edit, byte == 'A');
    } else if (byte == 'C') {
        move_to(edit, edit->at + 1);
    } else if (byte == 'D') {
        move_to(edit, edit->at - 1); /* of 0: out of range, nothing */
    } else if (byte == 'H' || (tilde && (number == NUMBER_HOME || number == NUMBER_HOME_RXVT))) {
        move_to(edit, 0);
    } else if (byte == 'F' || (tilde && (number == NUMBER_END || number == NUMBER_END_RXVT))) {
        move_to(edit, edit->len);
    } else if (tilde && number == NUMBER_DELETE && edit->at < edit->len) {
        cut(edit, edit->at, edit->at + 1);
    }
}

/* Does the byte belong to the sequence of a key? */
static bool in_sequence(struct line_edit *edit, u8 byte)
{
    switch (edit->escape) {
    case SEQUENCE_NONE:
        edit->escape = byte == KEY_ESCAPE ? SEQUENCE_BEGUN : SEQUENCE_NONE;
        return byte == KEY_ESCAPE;
    case SEQUENCE_BEGUN:
        edit->escape = byte == '[' ? SEQUENCE_CSI : byte == 'O' ? SEQUENCE_SS3 : SEQUENCE_NONE;
        edit->number = 0;
        return true;
    default:
        if (byte >= '0' && byte <= '9') {
            edit->number = (u8)(edit->number * 10U + byte - '0');
        } else if (byte >= '@' && byte <= '~') {
            sequence_end(edit, byte);
        } else if (byte < ' ') {
            edit->escape = SEQUENCE_NONE; /* cut off: the byte counts for itself */
            return false;
        }
        return true;
    }
}

static void edit_key(struct line_edit *edit, u8 byte)
{
    switch (byte) {
    case CTRL('A'):
        move_to(edit, 0);
        break;
    case CTRL('B'):
        move_to(edit, edit->at - 1);
        break;
    case CTRL('C'):
        cut(edit, 0, edit->len);
        edit->too_long = false;
        break;
    case CTRL('D'):
        cut(edit, edit->at, MIN(edit->at + 1, edit->len));
        break;
    case CTRL('E'):
        move_to(edit, edit->len);
        break;
    case CTRL('F'):
        move_to(edit, edit->at + 1);
        break;
    case CTRL('K'):
        cut(edit, edit->at, edit->len);
        break;
    case CTRL('N'):
    case CTRL('P'):
        recall(edit, byte == CTRL('P'));
        break;
    case CTRL('U'):
        cut(edit, 0, edit->at);
        edit->too_long = false;
        break;
    case CTRL('W'):
        cut(edit, word_start(edit), edit->at);
        break;
    case KEY_TAB:
        complete(edit);
        break;
    case KEY_BACKSPACE:
    case KEY_DELETE:
        cut(edit, edit->at - (edit->at != 0 ? 1U : 0U), edit->at);
        break;
    default:
        if (byte >= ' ' && byte < KEY_DELETE) {
            insert(edit, (const char *)&byte, 1);
        }
        break;
    }
}

void line_edit_begin(struct line_edit *edit)
{
    edit->len = 0;
    edit->at = 0;
    edit->too_long = false;
    edit->history_at = edit->history_count;
    show_text(edit, edit->prompt);
}

bool line_edit_key(struct line_edit *edit, u8 byte)
{
    bool after_cr = edit->after_cr;

    edit->after_cr = byte == '\r';
    if (byte == '\n' && after_cr) {
        return false;
    }
    if (in_sequence(edit, byte)) {
        return false;
    }
    if (byte != '\r' && byte != '\n') {
        edit_key(edit, byte);
        return false;
    }
    move_to(edit, edit->len);
    show_text(edit, "\r\n");
    edit->line[edit->len] = '\0';
    remember(edit);
    return true;
}
