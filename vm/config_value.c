/* Words and values of the configuration language. See vm/config_internal.h. */
#include "vm/config_internal.h"
#include "kernel/lib/letter.h"
#include "kernel/lib/string.h"

#define NAME_CUT 31U
#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void word_add(struct config_word *word, size_t *len, char c)
{
    if (*len + 1 < CONFIG_WORD_MAX) {
        word->text[(*len)++] = c;
    } else {
        word->cut = true;
    }
}

static bool is_escape(const char *s)
{
    return s[0] == '\\' && (s[1] == '\\' || s[1] == '\'' || s[1] == '"');
}

bool config_next_word(const char **line, struct config_word *word)
{
    const char *s = *line;
    char quote = '\0';
    size_t len = 0;

    while (is_blank(*s)) {
        s++;
    }
    *word = (struct config_word){.quoted = false};
    bool found = *s != '\0';
    for (; *s != '\0' && (quote != '\0' || !is_blank(*s)); s++) {
        if (is_escape(s)) {
            word_add(word, &len, *++s);
        } else if (*s == quote) {
            quote = '\0';
        } else if (quote == '\0' && (*s == '"' || *s == '\'')) {
            quote = *s;
            word->quoted = true;
        } else {
            word_add(word, &len, *s);
        }
    }
    word->unclosed = quote != '\0';
    *line = s;
    return found;
}

static u32 digit_value(char c)
{
    return (u32)letter_digit(c); /* none: more than any base */
}

/* Digits at *text, which moves behind them. False without a digit or when they do not fit. */
static bool take_number(const char **text, u64 *out)
{
    const char *s = *text;
    u32 base = 10;
    u64 value = 0;

    if (s[0] == '0' && letter_lower(s[1]) == 'x') {
        base = 16;
        s += 2;
    }
    if (digit_value(*s) >= base) {
        return false;
    }
    for (; digit_value(*s) < base; s++) {
        if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit_value(*s), &value)) {
            return false;
        }
    }
    *text = s;
    *out = value;
    return true;
}

bool config_parse_number(const char *text, u64 *out)
{
    u64 value;

    if (!take_number(&text, &value) || *text != '\0') {
        return false;
    }
    *out = value;
    return true;
}

static u32 size_shift(char suffix)
{
    switch (letter_lower(suffix)) {
    case 'k': return 10;
    case 'm': return 20;
    case 'g': return 30;
    case 't': return 40;
    default: return 0;
    }
}

bool config_parse_size(const char *text, u64 *out)
{
    u64 value;

    if (!take_number(&text, &value)) {
        return false;
    }
    u32 shift = *text != '\0' ? size_shift(*text) : 0;
    if (shift != 0) {
        text++;
    }
    if (*text != '\0' || value > (~0ULL >> shift)) {
        return false;
    }
    *out = value << shift;
    return true;
}

bool config_parse_time(const char *text, u64 *out_ns)
{
    u64 value, unit;

    if (!take_number(&text, &value)) {
        return false;
    }
    if (strcmp(text, "ms") == 0) {
        unit = NS_PER_MS;
    } else if (strcmp(text, "s") == 0) {
        unit = NS_PER_S;
    } else if (*text == '\0' && value == 0) {
        unit = 1;
    } else {
        return false;
    }
    return !__builtin_mul_overflow(value, unit, out_ns);
}

bool config_parse_percent(const char *text, u64 *out)
{
    return take_number(&text, out) && strcmp(text, "%") == 0;
}

u32 config_choose(const char *text, const char *const *names, u32 count)
{
    u32 i = 0;

    while (i < count && strcmp(text, names[i]) != 0) {
        i++;
    }
    return i;
}

bool config_parse_bool(const char *text, bool *out)
{
    static const char *const words[] = {"off", "on", "0", "1", "no", "yes", "false", "true"};
    u32 found = config_choose(text, words, ARRAY_SIZE(words));

    if (found == ARRAY_SIZE(words)) {
        return false;
    }
    *out = (found & 1) != 0;
    return true;
}

bool config_parse_cpus(const char *text, struct cpuset *out)
{
    struct cpuset set = {0};
    u64 first, last;

    do {
        if (!take_number(&text, &first)) {
            return false;
        }
        last = first;
        if (*text == '-') {
            text++;
            if (!take_number(&text, &last)) {
                return false;
            }
        }
        if (first > last || last >= CPU_MAX) {
            return false;
        }
        for (u64 cpu = first; cpu <= last; cpu++) {
            cpuset_add(&set, (u32)cpu);
        }
    } while (*text++ == ',');
    if (text[-1] != '\0') {
        return false;
    }
    *out = set;
    return true;
}

/* Levenshtein's distance, one row at a time; capitals are no mistake that makes another word likelier. */
u32 config_distance(const char *a, const char *b)
{
    u32 row[NAME_CUT + 1];
    u32 a_len = (u32)strnlen(a, NAME_CUT), b_len = (u32)strnlen(b, NAME_CUT);

    for (u32 j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (u32 i = 1; i <= a_len; i++) {
        u32 diagonal = row[0];
        row[0] = i;
        for (u32 j = 1; j <= b_len; j++) {
            u32 change = diagonal + (letter_lower(a[i - 1]) == letter_lower(b[j - 1]) ? 0U : 1U);
            u32 gap = MIN(row[j], row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = MIN(change, gap);
        }
    }
    return row[b_len];
}

const char *config_nearest(const char *text, const char *const *names, u32 count)
{
    const char *best = NULL;
    u32 best_distance = ~0U;

    for (u32 i = 0; i < count; i++) {
        u32 distance = config_distance(text, names[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}
