/* units: mm/heap.c mm/frame.c mm/frame_init.c tests/unit/memory.c */
#include "tests/unit/host.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mm/frame.h"
#include "mm/heap.h"
#include "tests/unit/memory.h"

static int start(void **context)
{
    (void)context;
    memory_start(MIB(1), MIB(16));
    return 0;
}

static int check_clean(void **context)
{
    (void)context;
    assert_int_equal(heap_bytes_used(), 0);
    assert_int_equal(frame_count_owned(FRAME_OWNER_HEAP), 0);
    assert_int_equal(frame_get_stats().free, frame_get_stats().total);
    return 0;
}

static bool all_bytes(const u8 *ptr, u8 byte, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (ptr[i] != byte) {
            return false;
        }
    }
    return true;
}

static void test_sizes(void **context)
{
    (void)context;
    assert_null(heap_alloc(0));
    assert_null(heap_alloc(MIB(1) + 1));
    heap_free(NULL);
    for (size_t size = 1; size <= MIB(1); size += 1 + size / 7) {
        u8 *a = heap_alloc(size);
        u8 *b = heap_alloc(size);
        assert_non_null(a);
        assert_non_null(b);
        assert_true(IS_ALIGNED((uintptr_t)a, 16) && IS_ALIGNED((uintptr_t)b, 16));
        assert_true(all_bytes(a, 0, size) && all_bytes(b, 0, size));
        memset(a, 0x11, size);
        memset(b, 0x22, size);
        assert_true(all_bytes(a, 0x11, size) && all_bytes(b, 0x22, size));
        assert_true(heap_bytes_used() >= 2 * size);
        heap_free(a);
        u8 *c = heap_alloc(size); /* used memory comes back zeroed */
        assert_true(all_bytes(c, 0, size) && all_bytes(b, 0x22, size));
        heap_free(b);
        heap_free(c);
    }
    void *whole = heap_alloc(MIB(1));
    assert_non_null(whole);
    heap_free(whole);
}

static void test_exhaustion(void **context)
{
    (void)context;
    memory_hog(1);
    assert_null(heap_alloc(KIB(8)));
    u8 *first = heap_alloc(2000);
    assert_non_null(first);
    u8 *second = heap_alloc(2000);
    assert_non_null(second);
    assert_null(heap_alloc(2000));
    assert_null(heap_alloc(16));
    heap_free(first);
    first = heap_alloc(1999);
    assert_non_null(first);
    heap_free(second);
    heap_free(first);
    memory_unhog();
}

#define OBJECTS 500

static void test_random(void **context)
{
    static struct {
        u8 *ptr;
        size_t size;
        u8 mark;
    } objects[OBJECTS];

    (void)context;
    srand(99);
    memset(objects, 0, sizeof(objects));
    for (int step = 0; step < 100000; step++) {
        size_t i = (size_t)rand() % OBJECTS;
        if (objects[i].ptr != NULL) {
            assert_true(all_bytes(objects[i].ptr, objects[i].mark, objects[i].size));
            heap_free(objects[i].ptr);
            objects[i].ptr = NULL;
            continue;
        }
        size_t size = 1 + (size_t)rand() % (rand() % 20 == 0 ? 20000 : 700);
        objects[i].ptr = heap_alloc(size);
        objects[i].size = size;
        objects[i].mark = (u8)(1 + rand() % 255);
        if (objects[i].ptr != NULL) {
            assert_true(all_bytes(objects[i].ptr, 0, size));
            memset(objects[i].ptr, objects[i].mark, size);
        }
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        heap_free(objects[i].ptr);
    }
}

static void free_twice(u8 *ptr)
{
    heap_free(ptr);
    heap_free(ptr);
}

static void free_inside(u8 *ptr)
{
    heap_free(ptr + 16);
}

static void free_header(u8 *ptr)
{
    heap_free((void *)ALIGN_DOWN((uintptr_t)ptr, FRAME_SIZE));
}

/* Each misuse is a host bug that ends in a panic; here, in a child that aborts. */
static void test_misuse(void **context)
{
    static void (*const misuses[])(u8 *ptr) = {free_twice, free_inside, free_header};

    (void)context;
    u8 *neighbour = heap_alloc(100);
    for (size_t i = 0; i < ARRAY_SIZE(misuses); i++) {
        u8 *ptr = heap_alloc(100);
        int status;
        pid_t child = fork();
        if (child == 0) {
            (void)freopen("/dev/null", "w", stderr);
            (void)signal(SIGABRT, SIG_DFL);
            misuses[i](ptr);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        heap_free(ptr);
    }
    heap_free(neighbour);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, start, check_clean),
        cmocka_unit_test_setup_teardown(test_exhaustion, start, check_clean),
        cmocka_unit_test_setup_teardown(test_misuse, start, check_clean),
        cmocka_unit_test_setup_teardown(test_random, start, check_clean),
    };

    return cmocka_run_group_tests(tests, memory_reserve, memory_drop);
}
