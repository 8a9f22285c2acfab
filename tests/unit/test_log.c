/* The real log (tests/unit/host.c has a stand-in, hence other names): levels, sanitising, length, replay. */
/* units: kernel/lib/fmt.c */
#include "tests/unit/host.h"
#include <stdio.h>
#include <string.h>

#define log_line own_log_line
#include "kernel/base/log.c" /* NOLINT(bugprone-suspicious-include): under test with another name */

struct memory_sink {
    struct log_sink sink;
    char text[65536];
    size_t len;
};

static void keep(struct log_sink *sink, const char *text, size_t len)
{
    struct memory_sink *memory = CONTAINER_OF(sink, struct memory_sink, sink);

    assert_true(memory->len + len < sizeof(memory->text));
    memcpy(memory->text + memory->len, text, len);
    memory->len += len;
    memory->text[memory->len] = '\0';
}

static struct memory_sink first, second;

static int reset(void **state)
{
    (void)state;
    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    first.sink.write = keep;
    second.sink.write = keep;
    sinks = NULL;
    ring_head = 0;
    log_set_level(LOG_INFO);
    log_add_sink(&first.sink);
    return 0;
}

static void test_levels(void **state)
{
    (void)state;
    log_debug("no");
    log_info("i=%d", 1);
    log_warn("w");
    log_event("ev=start");
    assert_string_equal(first.text, "MOTE: log=info i=1\nMOTE: log=warn w\nMOTE: ev=start\n");
    log_set_level(LOG_EVENT);
    log_warn("no");
    log_event("yes");
    assert_non_null(strstr(first.text, "MOTE: yes\n"));
    assert_null(strstr(first.text, "no"));
}

static void test_sanitise(void **state)
{
    (void)state;
    log_event("a\x1B[2Jb\nc\x80%s", "\r");
    assert_string_equal(first.text, "MOTE: a?[2Jb?c??\n");
}

static void test_long_line(void **state)
{
    static char text[5000];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    log_event("%s", text);
    assert_int_equal(first.len, 1000);
    assert_int_equal(first.text[999], '\n');
    assert_int_equal(first.text[998], 'x');
}

static void test_replay(void **state)
{
    (void)state;
    log_event("one");
    log_event("two");
    log_add_sink(&second.sink);
    assert_string_equal(second.text, first.text);
    log_event("three");
    assert_string_equal(second.text, first.text);
    log_remove_sink(&second.sink);
    log_event("four");
    assert_null(strstr(second.text, "four"));
    assert_non_null(strstr(first.text, "four"));
}

/* More than the ring holds: the newest lines come, whole. */
static void test_replay_wrapped(void **state)
{
    char last[64];
    (void)state;

    for (int i = 0; i < 2000; i++) {
        log_event("line %d", i);
    }
    log_add_sink(&second.sink);
    assert_true(second.len <= RING_SIZE && second.len > RING_SIZE - 64);
    assert_memory_equal(second.text, "MOTE: line ", 11);
    (void)snprintf(last, sizeof(last), "MOTE: line %d\n", 1999);
    assert_string_equal(second.text + second.len - strlen(last), last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_levels, reset),    cmocka_unit_test_setup(test_sanitise, reset),
        cmocka_unit_test_setup(test_long_line, reset), cmocka_unit_test_setup(test_replay, reset),
        cmocka_unit_test_setup(test_replay_wrapped, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
