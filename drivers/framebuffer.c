#include "drivers/framebuffer.h"
#include "drivers/screen_font.h"
#include "drivers/screen_text.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/console.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "mm/heap.h"
#include "mm/kmap.h"

#define COLS_MAX 512U
#define ROWS_MAX 256U
#define BYTES_MAX 4U /* of a pixel */
#define BYTES_MIN 2U
#define WORD sizeof(u32) /* unit of writing */
#define LEVEL 0xAAU      /* of each colour, out of 255: the grey of a PC's text */
#define TEXT_ATTRIBUTE 0x0700U /* the same in text mode: light grey on black */
#define TEXT_CELL_BYTES 2U
#define PERIOD_NS (20 * NS_PER_MS)
#define REST 4U /* the time spent drawing, times this, is left to others */

static struct {
    struct console_device console;
    struct screen_text text;
    u8 *shown; /* cols * rows: what the screen shows now */
    volatile u8 *base;
    u32 pitch;
    u32 bytes;    /* of a pixel; 0: the screen holds characters */
    u32 fore;     /* pixel of a glyph, little-endian */
    bool dirty;   /* text has changed; writers set it after their change, the painter clears it before it looks */
    struct task task;
    bool started;
    struct timer timer;
    bool painting; /* the painter's: a pass has begun, */
    u32 row;       /* and this is its next row */
    u64 spent_ns; /* in this pass */
    u64 rest_until_ns;
} fb;

/* --- drawing -------------------------------------------------------------------------------------------------------------- */

static void draw_glyph(u8 character, u32 col, u32 row)
{
    u32 len = SCREEN_FONT_WIDTH * fb.bytes;
    volatile u8 *at = fb.base + (size_t)row * SCREEN_FONT_HEIGHT * fb.pitch + (size_t)col * len;

    for (u32 y = 0; y < SCREEN_FONT_HEIGHT; y++, at += fb.pitch) {
        u32 words[SCREEN_FONT_WIDTH * BYTES_MAX / WORD] = {0};
        u32 bits = screen_font_row(character, y);
        for (u32 x = 0; x < SCREEN_FONT_WIDTH; x++) {
            if ((bits & (BIT32(SCREEN_FONT_WIDTH - 1) >> x)) != 0) {
                memcpy((u8 *)words + (size_t)x * fb.bytes, &fb.fore, fb.bytes);
            }
        }
        volatile u32 *to = (volatile u32 *)at;
        for (u32 i = 0; i < len / WORD; i++) {
            to[i] = words[i];
        }
    }
}

static void draw_character(u8 character, u32 col, u32 row)
{
    volatile u16 *line = (volatile u16 *)(fb.base + (size_t)row * fb.pitch);

    line[col] = (u16)(TEXT_ATTRIBUTE | character);
}

/* Draw what has changed in a row. */
static void paint_row(u32 row)
{
    u8 *shown = fb.shown + (size_t)row * fb.text.cols;

    for (u32 col = 0; col < fb.text.cols; col++) {
        u8 character = screen_text_at(&fb.text, col, row);
        if (shown[col] == character) {
            continue;
        }
        shown[col] = character;
        if (fb.bytes != 0) {
            draw_glyph(character, col, row);
        } else {
            draw_character(character, col, row);
        }
    }
}

static void paint_all(void)
{
    for (u32 row = 0; row < fb.text.rows; row++) {
        paint_row(row);
    }
}

/* --- the task ------------------------------------------------------------------------------------------------------------- */

static void rested(struct timer *timer)
{
    (void)timer;
    sched_wake(&fb.task);
}

/* Rows until the slice ends; returns whether the screen is done. */
static bool paint_some(u64 slice_end_ns)
{
    u64 start = time_now_ns(), now = start;

    while (fb.row < fb.text.rows && now < slice_end_ns && !READ_ONCE(percpu()->resched)) {
        paint_row(fb.row++);
        now = time_now_ns();
    }
    fb.spent_ns += now - start;
    return fb.row == fb.text.rows;
}

static enum task_verdict paint(struct task *task, u64 slice_end_ns)
{
    u64 now = time_now_ns();

    (void)task;
    if (!fb.painting && now < fb.rest_until_ns) {
        timer_arm(&fb.timer, fb.rest_until_ns);
        return TASK_BLOCK;
    }
    fb.painting = fb.painting || __atomic_exchange_n(&fb.dirty, false, __ATOMIC_ACQ_REL);
    if (!fb.painting) {
        return TASK_BLOCK;
    }
    if (paint_some(slice_end_ns)) {
        fb.painting = false;
        fb.rest_until_ns = time_now_ns() + MAX(PERIOD_NS, REST * fb.spent_ns);
        fb.row = 0;
        fb.spent_ns = 0;
    }
    return TASK_AGAIN;
}

void framebuffer_start(void)
{
    if (fb.base == NULL) {
        return;
    }
    timer_init(&fb.timer, rested, NULL);
    fb.task.name = "screen";
    fb.task.run = paint;
    fb.task.service = true;
    cpuset_add(&fb.task.affinity, 0);
    ASSERT(sched_add(&fb.task) == 0);
    fb.started = true;
}

/* --- the console ---------------------------------------------------------------------------------------------------------- */

static void fb_write(struct console_device *device, const char *text, size_t len)
{
    (void)device;
    for (size_t i = 0; i < len; i++) {
        screen_text_put(&fb.text, (u8)text[i]);
    }
    if (!__atomic_exchange_n(&fb.dirty, true, __ATOMIC_ACQ_REL) && fb.started && !panic_happened()) {
        sched_wake(&fb.task);
    }
}

static void fb_drain(struct console_device *device)
{
    (void)device;
    paint_all();
}

/* A colour's share of a grey pixel. */
static u32 shade(u8 pos, u8 size)
{
    return size == 0 || size > 8 || pos > 31 ? 0 : (LEVEL >> (8 - size)) << pos;
}

static int check(const struct boot_info *info)
{
    const struct boot_framebuffer *desc = &info->framebuffer;
    bool rgb = desc->type == BOOT_FB_RGB;
    u32 bytes = rgb ? (desc->bpp + 7U) / 8U : TEXT_CELL_BYTES;
    u64 len = (u64)desc->pitch * desc->height;

    if (desc->type == BOOT_FB_NONE) {
        return -E_NOENT;
    }
    if (bytes < BYTES_MIN || bytes > BYTES_MAX || (desc->base.v | desc->pitch) % WORD != 0) {
        return -E_NOSYS;
    }
    if (desc->width < SCREEN_FONT_WIDTH || desc->height < SCREEN_FONT_HEIGHT || (u64)desc->width * bytes > desc->pitch) {
        return -E_INVAL;
    }
    for (u32 i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        if (region->type == BOOT_REGION_RAM && ranges_overlap(region->base, region->len, desc->base.v, len)) {
            return -E_INVAL;
        }
    }
    fb.bytes = rgb ? bytes : 0;
    return 0;
}

int framebuffer_init(const struct boot_info *info)
{
    const struct boot_framebuffer *desc = &info->framebuffer;
    int error = check(info);

    if (error != 0) {
        return error;
    }
    bool rgb = fb.bytes != 0;
    u32 cols = MIN(rgb ? desc->width / SCREEN_FONT_WIDTH : desc->width, COLS_MAX);
    u32 rows = MIN(rgb ? desc->height / SCREEN_FONT_HEIGHT : desc->height, ROWS_MAX);
    u8 *cells = heap_alloc(2 * (size_t)cols * rows);
    fb.pitch = desc->pitch;
    fb.fore = shade(desc->red_pos, desc->red_size) | shade(desc->green_pos, desc->green_size) |
              shade(desc->blue_pos, desc->blue_size);
    fb.base = cells != NULL ? kmap_device(desc->base, (u64)desc->pitch * desc->height) : NULL;
    if (fb.base == NULL) {
        heap_free(cells);
        return -E_NOMEM;
    }
    screen_text_init(&fb.text, cells, cols, rows);
    fb.shown = cells + (size_t)cols * rows; /* zeros: nothing that a character could be, so all is drawn once */
    fb.console.name = "fb";
    fb.console.write = fb_write;
    fb.console.drain = fb_drain;
    console_add_device(&fb.console);
    return 0;
}
