/* The text screen and its font; the framebuffer's driver over memory of ours. */
/* units: drivers/framebuffer.c drivers/screen_text.c drivers/screen_font.c kernel/lib/ecma48.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "drivers/framebuffer.h"
#include "drivers/screen_font.h"
#include "drivers/screen_text.h"
#include "kernel/base/percpu.h"
#include "kernel/console.h"
#include "kernel/lib/errno.h"
#include "kernel/sched.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "mm/heap.h"
#include "mm/kmap.h"

/* --- what the driver calls --------------------------------------------------------------------------------------------- */

static struct console_device *console;
static struct task *painter;
static struct timer *timer;
static u64 now_ns, armed_ns;
static u32 wakes, now_step;
static bool panicked;
static u8 *memory;
static u64 memory_len;

void console_add_device(struct console_device *device) { console = device; }
int sched_add(struct task *task) { painter = task; return 0; }
void sched_wake(struct task *task) { assert_ptr_equal(task, painter); wakes++; }
u64 time_now_ns(void) { return now_ns += now_step; }
void timer_init(struct timer *t, void (*fire)(struct timer *), void *arg) { timer = t; t->fire = fire; t->arg = arg; }
void timer_arm(struct timer *t, u64 deadline_ns) { assert_ptr_equal(t, timer); armed_ns = deadline_ns; }
void *heap_alloc(size_t size) { return calloc(1, size); }
void heap_free(void *ptr) { free(ptr); }
bool panic_happened(void) { return panicked; }

volatile void *kmap_device(hpa_t pa, u64 len)
{
    (void)pa;
    memory_len = len;
    memory = malloc(len); /* of the exact size: the sanitizer sees a pixel beside it */
    memset(memory, 0x5A, len);
    return memory;
}

/* --- text ---------------------------------------------------------------------------------------------------------------- */

static u8 cells[5 * 3];
static struct screen_text text;

static void show(const char *bytes)
{
    for (; *bytes != '\0'; bytes++) {
        screen_text_put(&text, (u8)*bytes);
    }
}

/* The rows, one after the other. */
static void expect(const char *want)
{
    char got[sizeof(cells) + 1] = {0};

    for (u32 i = 0; i < sizeof(cells); i++) {
        got[i] = (char)screen_text_at(&text, i % 5, i / 5);
    }
    assert_string_equal(got, want);
}

static void text_like_a_terminal(void **state)
{
    (void)state;
    screen_text_init(&text, cells, 5, 3);
    expect("               ");
    show("ab\r\ncd");
    expect("ab   cd        ");
    show("\be\rf\tg");
    expect("ab   fe  g     ");
    show("h"); /* behind the last column: a new line */
    expect("ab   fe  gh    ");
    show("\n\n");
    expect("h              ");
    show("12345\n6"); /* a full line and a line feed: one line */
    expect("     123456    ");
    show("\r\b\x1b[31;1mx\x1b[0m\x1b(B\x1b" "7y\x07\x7f\xff");
    expect("     12345xy?  ");
}

static void any_bytes_stay_inside(void **state)
{
    (void)state;
    screen_text_init(&text, cells, 5, 3);
    srandom(1);
    for (u32 i = 0; i < 100000; i++) {
        screen_text_put(&text, (u8)random());
    }
    for (u32 i = 0; i < sizeof(cells); i++) {
        assert_in_range(screen_text_at(&text, i % 5, i / 5), ' ', '~');
    }
    u8 one;
    screen_text_init(&text, &one, 1, 1);
    for (u32 i = 0; i < 1000; i++) {
        screen_text_put(&text, (u8)random());
    }
}

static void glyphs_differ(void **state)
{
    (void)state;
    for (u8 a = ' '; a <= '~'; a++) {
        for (u8 b = (u8)(a + 1); b <= '~'; b++) {
            u32 same = 0;
            for (u32 y = 0; y < SCREEN_FONT_HEIGHT; y++) {
                same += screen_font_row(a, y) == screen_font_row(b, y);
            }
            assert_int_not_equal(same, SCREEN_FONT_HEIGHT);
        }
    }
    assert_int_equal(screen_font_row('T', 0), 0x7C); /* five pixels behind one */
    assert_int_equal(screen_font_row(200, 0), screen_font_row('?', 0));
}

/* --- the framebuffer ---------------------------------------------------------------------------------------------------- */

static const struct boot_framebuffer good = {
    .type = BOOT_FB_RGB, .base = {0xE0000000}, .pitch = 100, .width = 24, .height = 33, .bpp = 32,
    .red_pos = 16, .red_size = 8, .green_pos = 8, .green_size = 8, .blue_pos = 0, .blue_size = 8};

static int init_with(struct boot_framebuffer desc)
{
    static struct boot_info info;

    info.framebuffer = desc;
    info.regions[0] = (struct boot_region){.base = 0, .len = GIB(1), .type = BOOT_REGION_RAM};
    info.region_count = 1;
    return framebuffer_init(&info);
}

#define WITH(field, number) ({ struct boot_framebuffer d = good; d.field = (number); d; })

static void descriptions_that_cannot_be(void **state)
{
    (void)state;
    assert_int_equal(init_with((struct boot_framebuffer){0}), -E_NOENT);
    assert_int_equal(init_with(WITH(bpp, 8)), -E_NOSYS);
    assert_int_equal(init_with(WITH(bpp, 48)), -E_NOSYS);
    assert_int_equal(init_with(WITH(pitch, 102)), -E_NOSYS);
    assert_int_equal(init_with(WITH(base.v, 0xE0000002)), -E_NOSYS);
    assert_int_equal(init_with(WITH(pitch, 92)), -E_INVAL);
    assert_int_equal(init_with(WITH(width, 7)), -E_INVAL);
    assert_int_equal(init_with(WITH(height, 15)), -E_INVAL);
    assert_int_equal(init_with(WITH(width, ~0U)), -E_INVAL);
    assert_int_equal(init_with(WITH(base.v, GIB(1) - 4)), -E_INVAL); /* in memory */
    assert_null(console);
}

static void run_painter(void)
{
    for (u32 i = 0; painter->run(painter, now_ns + 1000) == TASK_AGAIN; i++) {
        assert_true(i < 100);
    }
}

static u32 pixel(u32 x, u32 y)
{
    u32 value;

    memcpy(&value, memory + (size_t)y * good.pitch + (size_t)x * 4, 4);
    return value;
}

/* Is the character drawn in that cell? */
static bool drawn(u8 character, u32 col, u32 row)
{
    for (u32 y = 0; y < 16; y++) {
        for (u32 x = 0; x < 8; x++) {
            bool lit = (screen_font_row(character, y) & (0x80 >> x)) != 0;
            if (pixel(col * 8 + x, row * 16 + y) != (lit ? 0xAAAAAAU : 0)) {
                return false;
            }
        }
    }
    return true;
}

/* 24 by 33 pixels are three by two characters; the painter draws what changed, then rests four times as long. */
static void text_is_drawn_by_the_task(void **state)
{
    (void)state;
    now_step = 100;
    assert_int_equal(init_with(good), 0);
    assert_int_equal(memory_len, 100 * 33);
    console->write(console, "ab\r\ncd", 6);
    assert_int_equal(wakes, 0); /* no task yet */
    framebuffer_start();
    assert_int_equal(pixel(0, 0), 0x5A5A5A5A);
    run_painter();
    assert_true(drawn('a', 0, 0) && drawn('b', 1, 0) && drawn(' ', 2, 0) && drawn('c', 0, 1) && drawn('d', 1, 1));
    assert_int_equal(pixel(24, 0), 0x5A5A5A5A); /* beside the text */
    assert_int_equal(pixel(0, 32), 0x5A5A5A5A); /* below */

    console->write(console, "e", 1);
    console->write(console, "f", 1);
    assert_int_equal(wakes, 1); /* until it has looked, one is enough */
    u64 before = now_ns;
    run_painter();
    assert_true(drawn(' ', 2, 1)); /* it rests */
    assert_true(armed_ns >= before + 10 * NS_PER_MS);
    now_ns = armed_ns;
    timer->fire(timer);
    assert_int_equal(wakes, 2);
    memory[0] = 1; /* 'a' goes away: drawn over; the screen is never read */
    run_painter();
    assert_true(drawn('c', 0, 0) && drawn('d', 1, 0) && drawn('e', 2, 0) && drawn('f', 0, 1));

    panicked = true;
    console->write(console, "!", 1);
    assert_int_equal(wakes, 2); /* no lock is taken any more */
    console->drain(console);
    assert_true(drawn('!', 1, 1));
    host_percpu->resched = true; /* somebody else is wanted: nothing drawn, nothing lost */
    now_ns += GIB(1);
    assert_int_equal(painter->run(painter, now_ns + 1000), TASK_AGAIN);
    host_percpu->resched = false;
    run_painter();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_like_a_terminal),
        cmocka_unit_test(any_bytes_stay_inside),
        cmocka_unit_test(glyphs_differ),
        cmocka_unit_test(descriptions_that_cannot_be),
        cmocka_unit_test(text_is_drawn_by_the_task),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
