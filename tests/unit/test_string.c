/* kernel/lib/string.c under other names, against the C library's functions. */
/* units: kernel/lib/errno.c */
#include "tests/unit/host.h"
#include <string.h>

#define memcpy own_memcpy
#define memmove own_memmove
#define memset own_memset
#define memcmp own_memcmp
#define memchr own_memchr
#define strlen own_strlen
#define strnlen own_strnlen
#define strcmp own_strcmp
#define strncmp own_strncmp
#define strchr own_strchr
#include "kernel/lib/string.c" /* NOLINT(bugprone-suspicious-include): under test with other names */
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define SPAN 640U

static u8 own[SPAN], want[SPAN];

static void fill(void)
{
    for (u32 i = 0; i < SPAN; i++) {
        own[i] = want[i] = (u8)(i * 7 + 1);
    }
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

/* Every source, destination and length in a small span: overlaps in both directions, all alignments. */
static void test_memmove(void **state)
{
    (void)state;
    for (size_t from = 0; from < 24; from++) {
        for (size_t to = 0; to < 24; to++) {
            for (size_t len = 0; len <= 300; len += len < 40 ? 1 : 65) {
                fill();
                assert_ptr_equal(own_memmove(own + to, own + from, len), own + to);
                memmove(want + to, want + from, len);
                assert_memory_equal(own, want, SPAN);
            }
        }
    }
}

static void test_memcpy_memset(void **state)
{
    (void)state;
    for (size_t at = 0; at < 9; at++) {
        for (size_t len = 0; len <= 300; len++) {
            fill();
            assert_ptr_equal(own_memcpy(own + at, own + 320, len), own + at);
            memcpy(want + at, want + 320, len);
            assert_memory_equal(own, want, SPAN);
            assert_ptr_equal(own_memset(own + at, 0x1A5, len), own + at);
            memset(want + at, 0x1A5, len);
            assert_memory_equal(own, want, SPAN);
        }
    }
}

static void test_compare(void **state)
{
    static const char *const words[] = {"", "a", "ab", "abc", "abd", "b", "\x80", "a\xFF"};
    (void)state;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(words); j++) {
            assert_int_equal(sign(own_strcmp(words[i], words[j])), sign(strcmp(words[i], words[j])));
            for (size_t len = 0; len < 5; len++) {
                assert_int_equal(sign(own_strncmp(words[i], words[j], len)), sign(strncmp(words[i], words[j], len)));
            }
        }
    }
    assert_int_equal(own_memcmp("a\0b", "a\0c", 3), -1);
    assert_int_equal(own_memcmp("\x80", "\x7F", 1), 1);
    assert_int_equal(own_memcmp("x", "y", 0), 0);
}

static void test_search(void **state)
{
    static const char text[] = "hello";
    (void)state;
    assert_int_equal(own_strlen(text), 5);
    assert_int_equal(own_strnlen(text, 3), 3);
    assert_int_equal(own_strnlen(text, 9), 5);
    assert_ptr_equal(own_strchr(text, 'l'), text + 2);
    assert_ptr_equal(own_strchr(text, '\0'), text + 5);
    assert_null(own_strchr(text, 'z'));
    assert_ptr_equal(own_memchr(text, 'o', 5), text + 4);
    assert_null(own_memchr(text, 'o', 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memmove),
        cmocka_unit_test(test_memcpy_memset),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
