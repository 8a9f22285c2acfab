/* The parts of the configuration parser: words, values, and the one table of keys. Private to vm/config*.c, the
 * generator of the reference, and the monitor for its hints. Pure. */
#pragma once
#include "kernel/lib/fmt.h"
#include "vm/config.h"

#define CONFIG_WORD_MAX 256U

/* One word of a line, quotes and escapes removed. */
struct config_word {
    char text[CONFIG_WORD_MAX];
    bool quoted;   /* some part of it stood in quotes: never a role, a path or "--" */
    bool cut;      /* longer than CONFIG_WORD_MAX - 1 */
    bool unclosed; /* the line ended inside a quote */
};

/* Take the next word from *line and move *line behind it; false when only blanks are left. Quotes (' or ") may open and
 * close anywhere in a word, because GRUB moves them around it; a backslash escapes ' " and itself. */
bool config_next_word(const char **line, struct config_word *word);

/* Whole-text value parsers: true and *out written, or false. Decimal or 0x hexadecimal; a size may end in K, M, G or T;
 * a time must end in ms or s (plain 0 is allowed); a share is "50%"; a CPU set is "2-3,6". */
bool config_parse_number(const char *text, u64 *out);
bool config_parse_size(const char *text, u64 *out);
bool config_parse_time(const char *text, u64 *out_ns);
bool config_parse_percent(const char *text, u64 *out);
bool config_parse_bool(const char *text, bool *out);
bool config_parse_cpus(const char *text, struct cpuset *out);
/* The index of text in names[0..count), or count. */
u32 config_choose(const char *text, const char *const *names, u32 count);

/* How many single-character edits lead from a to b (both cut at 31 characters). */
u32 config_distance(const char *a, const char *b);
/* The nearest of names[0..count) to text; NULL when count is 0. */
const char *config_nearest(const char *text, const char *const *names, u32 count);

/* The state of one config_parse(). */
struct config_parser {
    struct mote_config *out;
    config_report report;
    void *ctx;
    int module;                /* the line being read; -1: the hypervisor line */
    struct vm_config *vm;      /* the VM that the line is about, or NULL */
    struct vm_config *current; /* the last kernel line's VM: initrd and module lines join it */
    struct config_source text; /* the module with the role config; no bytes: there is none, or it is unreadable */
    int text_module;           /* its number, or -1 */
    u32 lines;                 /* VMs with a line of their own; the copies follow them */
    u32 text_line;             /* of the text that is being read; 0: none of it */
};

/* Report an error, count it, and mark p->vm bad when it is about one. */
void config_complain(const struct config_parser *p, const char *key, const char *why);
/* That no VM has this name, and which name is near. */
void config_complain_no_vm(const struct config_parser *p, const char *key, const char *name);
/* Split "key=value" in place; NULL when the word has no '='. */
const char *config_split(char *text);
/* Is the word whole? Complains when not. */
bool config_check_word(const struct config_parser *p, struct config_word *word);
/* Do what key=value says to p->vm or to the configuration, or complain. scope: CONFIG_SCOPE_* of the place. */
void config_apply(const struct config_parser *p, const char *key, const char *value, u32 scope);
/* The VM of that name, or NULL. */
struct vm_config *config_find_vm(struct mote_config *config, const char *name);

/* The text module is read several times: for strict=, for the other keys above the first section, for the section of the
 * VM that begins (p->vm), and in the end for what is wrong with the sections themselves. */
enum config_text_pass { CONFIG_TEXT_STRICT, CONFIG_TEXT_KEYS, CONFIG_TEXT_VM, CONFIG_TEXT_SECTIONS };
void config_text_read(struct config_parser *p, enum config_text_pass pass);

/* Where a key may stand. */
#define CONFIG_SCOPE_VM BIT32(0)   /* a kernel line; with "vm.NAME." in front also the hypervisor line */
#define CONFIG_SCOPE_MOTE BIT32(1) /* the hypervisor line */

/* One key=value to be applied. */
struct config_setting {
    const char *value;
    struct mote_config *config;
    struct vm_config *vm; /* NULL for hypervisor keys */
    char *why;            /* CONFIG_WHY_MAX bytes, for a refusal */
};

/* Say why, as printf does, and be false. */
#define CONFIG_REFUSE(setting, ...) ((void)fmt_snprintf((setting)->why, CONFIG_WHY_MAX, __VA_ARGS__), false)
/* The same for a value that is not what was wanted. */
bool config_refuse_value(const struct config_setting *setting, const char *wanted);

/* A setter of a file of its own: struct config_key.set. The default of console is COM1 at the highest rate. */
#define CONFIG_CONSOLE_BAUD 115200U
bool config_set_console(const struct config_setting *setting);
bool config_set_uart(const struct config_setting *setting);
/* Copy the next item of a list with commas, cut to size - 1 characters; *at is then at the comma or the end. Returns its whole
 * length. */
size_t config_list_item(const char **at, char *item, size_t size);

/* The I/O port of "com1".."com4" or "uart:ADDR"; false: neither. config_name_port() is the way back. */
bool config_parse_port(const char *item, u16 *port);
/* The key gdb=, and what can only be said once every line was read: a port is one VM's, and no console. */
bool config_set_gdb(const struct config_setting *setting);
void config_check_gdb(struct config_parser *p);

struct config_key {
    const char *name;
    u32 scope;
    bool (*set)(const struct config_setting *setting); /* NULL: known, but not in this version */
    const char *default_text;
    const char *help;
};

extern const struct config_key config_keys[];
extern const u32 config_key_count;

/* The key of that name in one of the scopes; NULL when there is none. */
const struct config_key *config_find_key(const char *name, u32 scope);
/* The available key in the scopes that is nearest to name. */
const char *config_nearest_key(const char *name, u32 scope);
/* Append a copy of vms[index] named NAME-number. false, and why (CONFIG_WHY_MAX bytes) says it: no room, or no such name. */
bool config_add_copy(struct mote_config *config, u32 index, u32 number, char *why);
/* May a VM have this name? 1 to 31 letters, digits, '.', '-', '_'; a letter or digit first. */
bool config_name_valid(const char *name);
