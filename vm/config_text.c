/* The text module with the role config, for long set-ups: keys of the hypervisor line, then sections "[vm NAME]" with the
 * keys of that VM's line; any number of keys on a line, '#' begins a comment. Module lines and the hypervisor line win. */
#include "kernel/lib/string.h"
#include "vm/config_internal.h"

#define TEXT_MAX KIB(64)
#define TEXT_LINE_MAX 512U
#define TEXT_ERRORS_MAX 20U
#define SECTION "[vm "
#define SECTION_LEN 4U

struct reader {
    struct config_parser *p;
    enum config_text_pass pass;
    bool wanted;     /* the section that is being read is one that this pass is about */
    u32 errors_before; /* of the whole configuration, when this pass began */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip_blanks(const char *text)
{
    while (is_blank(*text)) {
        text++;
    }
    return text;
}

/* Is the line "[vm NAME]", with at most a comment behind it? */
static bool section_name(const char *line, char name[VM_NAME_MAX])
{
    size_t len = 0;

    if (strncmp(line, SECTION, SECTION_LEN) != 0) {
        return false;
    }
    line = skip_blanks(line + SECTION_LEN);
    while (line[len] != '\0' && line[len] != ']' && !is_blank(line[len]) && len < VM_NAME_MAX - 1) {
        name[len] = line[len];
        len++;
    }
    name[len] = '\0';
    line = skip_blanks(line + len);
    if (*line != ']' || !config_name_valid(name)) {
        return false;
    }
    line = skip_blanks(line + 1);
    return *line == '\0' || *line == '#';
}

static void enter_section(struct reader *r, const char *line)
{
    struct config_parser *p = r->p;
    char name[VM_NAME_MAX];
    bool valid = section_name(line, name);

    r->wanted = r->pass == CONFIG_TEXT_VM && valid && strcmp(name, p->vm->name) == 0;
    if (r->pass != CONFIG_TEXT_SECTIONS) {
        return;
    }
    if (!valid) {
        config_complain(p, "config", "write a section as [vm NAME]");
    } else if (config_find_vm(p->out, name) == NULL) {
        config_complain_no_vm(p, "config", name);
    }
}

static void read_keys(struct reader *r, const char *line)
{
    struct config_parser *p = r->p;
    struct config_word word;

    while (config_next_word(&line, &word) && (word.quoted || word.text[0] != '#')) {
        bool strict = strncmp(word.text, "strict=", 7) == 0;
        if ((r->pass != CONFIG_TEXT_VM && strict != (r->pass == CONFIG_TEXT_STRICT)) || !config_check_word(p, &word)) {
            continue;
        }
        const char *value = config_split(word.text);
        if (strncmp(word.text, "vm.", 3) == 0) {
            config_complain(p, word.text, "in this file, write KEY=VALUE below [vm NAME]");
        } else if (strcmp(word.text, "vm") == 0) {
            config_complain(p, word.text, "a VM is named on its module line");
        } else {
            config_apply(p, word.text, value, r->pass == CONFIG_TEXT_VM ? CONFIG_SCOPE_VM : CONFIG_SCOPE_MOTE);
        }
    }
}

static void read_line(struct reader *r, const char *text, size_t len)
{
    char line[TEXT_LINE_MAX];

    if (len >= sizeof(line)) {
        if (r->pass == CONFIG_TEXT_SECTIONS) {
            config_complain(r->p, "config", "line longer than 511 characters");
        }
        return;
    }
    memcpy(line, text, len);
    for (line[len] = '\0'; len != 0 && is_blank(line[len - 1]); len--) {
        line[len - 1] = '\0';
    }
    const char *start = skip_blanks(line);
    if (*start == '[') {
        enter_section(r, start);
    } else if (r->wanted) {
        read_keys(r, start);
    }
}

/* Complains, once, when not. */
static bool readable(struct config_parser *p, enum config_text_pass pass)
{
    const struct config_source *text = &p->text;
    const char *why = text->size > TEXT_MAX ? "longer than 64K" : NULL;

    for (size_t i = 0; i < text->size && why == NULL; i++) {
        char c = text->bytes[i];
        if ((u8)c < ' ' && !is_blank(c) && c != '\n') {
            why = "not a text";
        }
    }
    if (why != NULL && pass == CONFIG_TEXT_SECTIONS) {
        config_complain(p, "config", why);
    }
    return why == NULL;
}

void config_text_read(struct config_parser *p, enum config_text_pass pass)
{
    struct reader r = {.p = p, .pass = pass, .errors_before = p->out->errors,
                       .wanted = pass == CONFIG_TEXT_STRICT || pass == CONFIG_TEXT_KEYS};
    int module = p->module;
    size_t at = 0;

    if (p->text_module < 0) {
        return;
    }
    p->module = p->text_module;
    p->vm = pass == CONFIG_TEXT_VM ? p->vm : NULL;
    bool sound = readable(p, pass);
    for (p->text_line = 1; sound && at < p->text.size; p->text_line++) {
        const char *start = p->text.bytes + at;
        size_t len = 0;
        while (at + len < p->text.size && start[len] != '\n') {
            len++;
        }
        read_line(&r, start, len);
        at += len + 1;
        if (p->out->errors - r.errors_before > TEXT_ERRORS_MAX) {
            config_complain(p, "config", "too many errors: the rest is not read");
            break;
        }
    }
    p->text_line = 0;
    p->module = module;
}
