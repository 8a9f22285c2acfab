/* A conversion is parsed into a struct spec, rendered into digits or a string, then padded into the bounded output. */
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

struct out {
    char *buf;
    size_t size;
    size_t len; /* of the whole text, stored or not */
};

enum length { LENGTH_INT, LENGTH_CHAR, LENGTH_SHORT, LENGTH_LONG, LENGTH_SIZE };

struct spec {
    bool left, zero, alternate;
    size_t width;
    bool has_precision;
    size_t precision;
    enum length length;
    char conversion;
};

#define FMT_PAD_MAX 4096U /* of width and precision: keeps an absurd request bounded */
#define DIGITS_MAX 24U    /* enough for 64 bits in decimal */

static void put(struct out *out, char c)
{
    if (out->len + 1 < out->size) {
        out->buf[out->len] = c;
    }
    out->len++;
}

static void put_repeated(struct out *out, char c, size_t count)
{
    while (count-- != 0) {
        put(out, c);
    }
}

static void put_text(struct out *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        put(out, text[i]);
    }
}

/* Digits of value, most significant last. Returns how many; none for 0. */
static size_t render_digits(char digits[DIGITS_MAX], u64 value, unsigned base, bool upper)
{
    const char *alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t count = 0;

    for (; value != 0; value /= base) {
        digits[count++] = alphabet[value % base];
    }
    return count;
}

static void put_number(struct out *out, const struct spec *spec, const char *prefix, u64 value, unsigned base)
{
    char digits[DIGITS_MAX];
    size_t count = render_digits(digits, value, base, spec->conversion == 'X');
    size_t prefix_len = strlen(prefix);
    size_t zeros = spec->has_precision ? MIN(spec->precision, (size_t)FMT_PAD_MAX) : 1;
    size_t used;

    zeros = zeros > count ? zeros - count : 0;
    used = prefix_len + zeros + count;
    if (spec->zero && !spec->left && !spec->has_precision && spec->width > used) {
        zeros += spec->width - used;
        used = spec->width;
    }
    if (!spec->left && spec->width > used) {
        put_repeated(out, ' ', spec->width - used);
    }
    put_text(out, prefix, prefix_len);
    put_repeated(out, '0', zeros);
    while (count != 0) {
        put(out, digits[--count]);
    }
    if (spec->left && spec->width > used) {
        put_repeated(out, ' ', spec->width - used);
    }
}

static void put_string(struct out *out, const struct spec *spec, const char *text)
{
    size_t len;

    if (text == NULL) {
        text = "(null)";
    }
    len = spec->has_precision ? strnlen(text, spec->precision) : strlen(text);
    if (!spec->left && spec->width > len) {
        put_repeated(out, ' ', spec->width - len);
    }
    put_text(out, text, len);
    if (spec->left && spec->width > len) {
        put_repeated(out, ' ', spec->width - len);
    }
}

static u64 truncate_unsigned(u64 value, enum length length)
{
    switch (length) {
    case LENGTH_CHAR:
        return (u8)value;
    case LENGTH_SHORT:
        return (u16)value;
    case LENGTH_INT:
        return (u32)value;
    case LENGTH_LONG:
    case LENGTH_SIZE:
        break;
    }
    return value;
}

static s64 truncate_signed(s64 value, enum length length)
{
    switch (length) {
    case LENGTH_CHAR:
        return (s8)value;
    case LENGTH_SHORT:
        return (s16)value;
    case LENGTH_INT:
        return (s32)value;
    case LENGTH_LONG:
    case LENGTH_SIZE:
        break;
    }
    return value;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *parse_count(const char *at, size_t *count)
{
    *count = 0;
    for (; is_digit(*at); at++) {
        *count = MIN(*count * 10 + (size_t)(*at - '0'), (size_t)FMT_PAD_MAX);
    }
    return at;
}

static const char *parse_flags(const char *at, struct spec *spec)
{
    for (;; at++) {
        if (*at == '-') {
            spec->left = true;
        } else if (*at == '0') {
            spec->zero = true;
        } else if (*at == '#') {
            spec->alternate = true;
        } else {
            return at;
        }
    }
}

static const char *parse_length(const char *at, struct spec *spec)
{
    if (at[0] == 'h') {
        spec->length = at[1] == 'h' ? LENGTH_CHAR : LENGTH_SHORT;
        return at + (at[1] == 'h' ? 2 : 1);
    }
    if (at[0] == 'l') {
        spec->length = LENGTH_LONG;
        return at + (at[1] == 'l' ? 2 : 1);
    }
    if (at[0] == 'z') {
        spec->length = LENGTH_SIZE;
        return at + 1;
    }
    return at;
}

/* A va_list inside a struct can be handed down by reference on every ABI. */
struct args {
    va_list list;
};

static void apply_star_width(struct spec *spec, int width)
{
    spec->left = spec->left || width < 0;
    spec->width = MIN((size_t)(width < 0 ? -(s64)width : (s64)width), (size_t)FMT_PAD_MAX);
}

static const char *parse_width(const char *at, struct spec *spec, struct args *args)
{
    if (*at == '*') {
        apply_star_width(spec, va_arg(args->list, int));
        at++;
    } else {
        at = parse_count(at, &spec->width);
    }
    if (*at != '.') {
        return at;
    }
    at++;
    if (*at != '*') {
        spec->has_precision = true;
        return parse_count(at, &spec->precision);
    }
    int precision = va_arg(args->list, int);
    spec->has_precision = precision >= 0; /* C17 7.21.6.1: a negative one counts as none */
    spec->precision = precision < 0 ? 0 : (size_t)precision;
    return at + 1;
}

static void put_signed(struct out *out, const struct spec *spec, struct args *args)
{
    bool wide = spec->length == LENGTH_LONG || spec->length == LENGTH_SIZE;
    s64 value = truncate_signed(wide ? va_arg(args->list, long) : va_arg(args->list, int), spec->length);

    put_number(out, spec, value < 0 ? "-" : "", value < 0 ? 0 - (u64)value : (u64)value, 10);
}

static void put_unsigned(struct out *out, const struct spec *spec, struct args *args, unsigned base)
{
    bool wide = spec->length == LENGTH_LONG || spec->length == LENGTH_SIZE;
    u64 value = truncate_unsigned(wide ? va_arg(args->list, unsigned long) : va_arg(args->list, unsigned), spec->length);
    const char *prefix = "";

    if (spec->alternate && value != 0 && base == 16) {
        prefix = spec->conversion == 'X' ? "0X" : "0x";
    }
    put_number(out, spec, prefix, value, base);
}

static void put_char(struct out *out, const struct spec *spec, char c)
{
    struct spec one = *spec;

    one.has_precision = false;
    if (!one.left && one.width > 1) {
        put_repeated(out, ' ', one.width - 1);
    }
    put(out, c);
    if (one.left && one.width > 1) {
        put_repeated(out, ' ', one.width - 1);
    }
}

static void put_conversion(struct out *out, const struct spec *spec, struct args *args)
{
    switch (spec->conversion) {
    case 'd':
    case 'i':
        put_signed(out, spec, args);
        break;
    case 'u':
        put_unsigned(out, spec, args, 10);
        break;
    case 'x':
    case 'X':
        put_unsigned(out, spec, args, 16);
        break;
    case 'p':
        put_number(out, spec, "0x", (u64)(uintptr_t)va_arg(args->list, void *), 16);
        break;
    case 'c':
        put_char(out, spec, (char)va_arg(args->list, int));
        break;
    case 's':
        put_string(out, spec, va_arg(args->list, const char *));
        break;
    default: /* %% and what we do not know: shown as it is */
        put(out, spec->conversion);
        break;
    }
}

static const char *format_one(struct out *out, const char *at, struct args *args)
{
    struct spec spec = {0};

    at = parse_flags(at, &spec);
    at = parse_width(at, &spec, args);
    at = parse_length(at, &spec);
    if (*at == '\0') {
        return at;
    }
    spec.conversion = *at;
    put_conversion(out, &spec, args);
    return at + 1;
}

int fmt_vsnprintf(char *buf, size_t size, const char *format, va_list args)
{
    struct out out = {buf, size, 0};
    struct args copy;

    va_copy(copy.list, args);
    while (*format != '\0') {
        if (*format == '%') {
            format = format_one(&out, format + 1, &copy);
        } else {
            put(&out, *format++);
        }
    }
    va_end(copy.list);
    if (size != 0) {
        buf[MIN(out.len, size - 1)] = '\0';
    }
    return (int)out.len;
}

int fmt_snprintf(char *buf, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = fmt_vsnprintf(buf, size, format, args);
    va_end(args);
    return len;
}
