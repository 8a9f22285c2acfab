/* The multiboot2 information parser: well-formed blocks of both firmware kinds, and every way in which one can be bad. */
/* units: boot/mb2.c boot/mb2_map.c */
#include "tests/unit/host.h"
#include <stdlib.h>
#include <string.h>
#include "boot/mb2.h"
#include "boot/mb2_tags.h"
#include "kernel/lib/errno.h"

static struct boot_info info;

/* A block under construction; parsed from a heap copy of exactly its size, so that ASan sees any read beyond it. */
struct block {
    u8 bytes[65536] ALIGNED(8);
    size_t len;
};
static struct block block;

static void put(const void *data, size_t len)
{
    memcpy(block.bytes + block.len, data, len);
    block.len += len;
}

static void put32(u32 value)
{
    put(&value, sizeof(value));
}

static void put64(u64 value)
{
    put(&value, sizeof(value));
}

static void start(void)
{
    memset(&block, 0, sizeof(block));
    block.len = 8;
}

static size_t tag_begin(u32 type)
{
    size_t at = block.len;
    put32(type);
    put32(0);
    return at;
}

static void tag_end(size_t at)
{
    u32 size = (u32)(block.len - at);
    memcpy(block.bytes + at + 4, &size, sizeof(size));
    block.len = ALIGN_UP(block.len, (size_t)8);
}

static int parse_size(size_t size)
{
    u8 *copy = malloc(size + 1); /* + 1: malloc(0) may be NULL */
    memcpy(copy, block.bytes, size);
    u8 *exact = realloc(copy, size != 0 ? size : 1);
    int error = mb2_parse(exact, size, &info);

    for (u32 i = 0; i < info.module_count; i++) { /* strings point into the block: read them while it lives */
        assert_true(strlen(info.modules[i].cmdline) < size);
    }
    free(exact);
    return error;
}

static int finish(void)
{
    u32 total;
    tag_end(tag_begin(MB2_TAG_END));
    total = (u32)block.len;
    memcpy(block.bytes, &total, sizeof(total));
    assert_int_equal(mb2_total_size(block.bytes), block.len);
    return parse_size(block.len);
}

static void put_module(u32 base, u32 end, const char *string, size_t len)
{
    size_t at = tag_begin(MB2_TAG_MODULE);
    put32(base);
    put32(end);
    put(string, len);
    tag_end(at);
}

static void put_e820(u64 base, u64 len, u32 type)
{
    put64(base);
    put64(len);
    put32(type);
    put32(0);
}

static void put_efi(u32 type, u64 base, u64 pages)
{
    put32(type);
    put32(0);
    put64(base);
    put64(0);
    put64(pages);
    put64(0);
    put64(0); /* descriptors are 48 bytes on real firmware, not 40 */
}

static void expect_region(u32 index, u64 base, u64 end, enum boot_region_type type)
{
    assert_true(index < info.region_count);
    assert_int_equal(info.regions[index].base, base);
    assert_int_equal(info.regions[index].base + info.regions[index].len, end);
    assert_int_equal(info.regions[index].type, type);
}

static size_t e820_begin(u32 entry_size)
{
    size_t at = tag_begin(MB2_TAG_MMAP);
    put32(entry_size);
    put32(0);
    return at;
}

static void test_empty(void **state)
{
    (void)state;
    start();
    assert_int_equal(finish(), 0);
    assert_int_equal(info.module_count + info.region_count + info.rsdp_len, 0);
    assert_string_equal(info.cmdline, "");
    assert_int_equal(info.framebuffer.type, BOOT_FB_NONE);
    assert_int_equal(parse_size(0), -E_TRUNC);
    assert_int_equal(parse_size(8), -E_TRUNC);
    assert_int_equal(parse_size(15), -E_TRUNC);
}

static void test_cmdline(void **state)
{
    static char longest[BOOT_CMDLINE_MAX + 10];
    size_t at;
    (void)state;

    start();
    at = tag_begin(MB2_TAG_CMDLINE);
    put("a=b c", 6);
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_string_equal(info.cmdline, "a=b c");

    start();
    at = tag_begin(MB2_TAG_CMDLINE);
    put("xyz", 3); /* no NUL inside the tag */
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_string_equal(info.cmdline, "xyz");

    start();
    memset(longest, 'q', sizeof(longest));
    at = tag_begin(MB2_TAG_CMDLINE);
    put(longest, sizeof(longest));
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_int_equal(strlen(info.cmdline), BOOT_CMDLINE_MAX - 1);
}

static void test_modules(void **state)
{
    (void)state;
    start();
    put_module(0x100000, 0x200000, "kernel vm=a", 12);
    put_module(0x300000, 0x2FFFFF, "backwards", 10);
    put_module(0x400000, 0x400000, "", 1);
    put_module(0x500000, 0x500001, "open end", 8);
    put_module(0x600000, 0x600002, "", 0);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.module_count, 4);
    assert_int_equal(info.modules_dropped, 1);
    assert_int_equal(info.modules[0].base.v, 0x100000);
    assert_int_equal(info.modules[0].len, 0x100000);
    assert_int_equal(info.modules[1].len, 0);
    assert_int_equal(info.modules[2].len, 1);
}

static void test_module_limit(void **state)
{
    (void)state;
    start();
    for (u32 i = 0; i < BOOT_MODULES_MAX + 3; i++) {
        put_module(i * 4096, i * 4096 + 1, "m", 2);
    }
    assert_int_equal(finish(), 0);
    assert_int_equal(info.module_count, BOOT_MODULES_MAX);
    assert_int_equal(info.modules_dropped, 3);
}

static void test_e820(void **state)
{
    size_t at;
    (void)state;

    start();
    at = e820_begin(24);
    put_e820(0x100000, 0x700000, 1); /* unsorted */
    put_e820(0, 0x9F000, 1);
    put_e820(0x9F000, 0x1000, 2);
    put_e820(0x800000, 0x1000, 3);
    put_e820(0x801000, 0x1000, 4); /* NVS joins reclaimable */
    put_e820(0x900000, 0, 1);      /* empty */
    put_e820(0xA00000, 0x1000, 77); /* unknown type */
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.region_count, 5);
    expect_region(0, 0, 0x9F000, BOOT_REGION_RAM);
    expect_region(1, 0x9F000, 0xA0000, BOOT_REGION_RESERVED);
    expect_region(2, 0x100000, 0x800000, BOOT_REGION_RAM);
    expect_region(3, 0x800000, 0x802000, BOOT_REGION_RECLAIMABLE);
    expect_region(4, 0xA00000, 0xA01000, BOOT_REGION_RESERVED);
}

static void test_e820_overlap(void **state)
{
    size_t at;
    (void)state;

    start();
    at = e820_begin(24);
    put_e820(0x1000, 0x9000, 1);
    put_e820(0x3000, 0x1000, 2);                      /* a hole punched into RAM */
    put_e820(0x3800, 0x1000, 3);                      /* weaker than reserved, stronger than RAM */
    put_e820(0x9000, 0x3000, 1);                      /* overlaps and extends */
    put_e820(0x1000, 0x9000, 1);                      /* twice the same */
    put_e820(0xFFFFFFFFFFFFF000, 0x100000, 1);        /* wraps: clipped */
    put_e820(0x8000000000000000, 0x8000000000000000, 2); /* up to the very end */
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.region_count, 5);
    expect_region(0, 0x1000, 0x3000, BOOT_REGION_RAM);
    expect_region(1, 0x3000, 0x4000, BOOT_REGION_RESERVED);
    expect_region(2, 0x4000, 0x4800, BOOT_REGION_RECLAIMABLE);
    expect_region(3, 0x4800, 0xC000, BOOT_REGION_RAM);
    expect_region(4, 0x8000000000000000, ~0ULL, BOOT_REGION_RESERVED);
}

static void test_e820_entry_size(void **state)
{
    size_t at;
    (void)state;

    start();
    at = e820_begin(32);
    put_e820(0, 0x1000, 1);
    put64(0);
    put_e820(0x1000, 0x1000, 1);
    put64(0);
    put32(0); /* a piece of an entry */
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.region_count, 1);
    expect_region(0, 0, 0x2000, BOOT_REGION_RAM);

    for (u32 bad = 0; bad < 20; bad++) { /* 0 would divide by zero or never advance */
        start();
        at = e820_begin(bad);
        put_e820(0, 0x1000, 1);
        tag_end(at);
        assert_int_equal(finish(), 0);
        assert_int_equal(info.region_count, 0);
    }
}

static void test_region_limits(void **state)
{
    size_t at;
    (void)state;

    start();
    at = e820_begin(24);
    for (u64 i = 0; i < MB2_MAP_ENTRIES_MAX + 5; i++) {
        put_e820(i * 0x2000, 0x1000, 1);
    }
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.region_count, BOOT_REGIONS_MAX);
    assert_int_equal(info.regions_dropped, MB2_MAP_ENTRIES_MAX - BOOT_REGIONS_MAX + 5);
    for (u32 i = 1; i < info.region_count; i++) {
        assert_true(info.regions[i].base >= info.regions[i - 1].base + info.regions[i - 1].len);
    }
}

static void put_both_maps(bool boot_services)
{
    size_t at;

    start();
    at = e820_begin(24);
    put_e820(0, 0x1000, 1);
    tag_end(at);
    at = tag_begin(MB2_TAG_EFI_MMAP);
    put32(48);
    put32(1);
    put_efi(7, 0x100000, 0x100);
    put_efi(4, 0x200000, 1);
    put_efi(5, 0x201000, 1);
    put_efi(9, 0x202000, 1);
    put_efi(7, 0x300000, ~0ULL); /* pages * 4096 overflows */
    tag_end(at);
    if (boot_services) {
        tag_end(tag_begin(MB2_TAG_EFI_BOOT_SERVICES));
    }
    assert_int_equal(finish(), 0);
    assert_true(info.efi);
}

static void test_efi_map(void **state)
{
    (void)state;
    put_both_maps(false);
    assert_int_equal(info.region_count, 4);
    expect_region(0, 0x100000, 0x201000, BOOT_REGION_RAM);
    expect_region(1, 0x201000, 0x202000, BOOT_REGION_RESERVED);
    expect_region(2, 0x202000, 0x203000, BOOT_REGION_RECLAIMABLE);
    expect_region(3, 0x300000, ~0ULL, BOOT_REGION_RAM);
    put_both_maps(true);
    assert_int_equal(info.region_count, 1);
    expect_region(0, 0, 0x1000, BOOT_REGION_RAM);
}

static void put_rsdp(u32 type, u8 fill, size_t len)
{
    u8 bytes[64];
    size_t at = tag_begin(type);

    memset(bytes, fill, sizeof(bytes));
    put(bytes, len);
    tag_end(at);
}

static void test_rsdp(void **state)
{
    (void)state;
    for (int new_first = 0; new_first < 2; new_first++) {
        start();
        put_rsdp(new_first ? MB2_TAG_RSDP_NEW : MB2_TAG_RSDP_OLD, new_first ? 2 : 1, new_first ? 36 : 20);
        put_rsdp(new_first ? MB2_TAG_RSDP_OLD : MB2_TAG_RSDP_NEW, new_first ? 1 : 2, new_first ? 20 : 36);
        assert_int_equal(finish(), 0);
        assert_int_equal(info.rsdp_len, 36);
        assert_int_equal(info.rsdp[0], 2);
    }
    start();
    put_rsdp(MB2_TAG_RSDP_OLD, 1, 20);
    put_rsdp(MB2_TAG_RSDP_NEW, 2, 35);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.rsdp_len, 20);
    start();
    put_rsdp(MB2_TAG_RSDP_OLD, 1, 19);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.rsdp_len, 0);
}

static void put_framebuffer(u8 type, bool colours)
{
    const u8 head[4] = {32, type, 0, 0};
    const u8 fields[6] = {16, 8, 8, 7, 1, 6};
    size_t at = tag_begin(MB2_TAG_FRAMEBUFFER);

    put64(0xC0000000);
    put32(3200);
    put32(800);
    put32(600);
    put(head, sizeof(head));
    if (colours) {
        put(fields, sizeof(fields));
    }
    tag_end(at);
}

static void test_framebuffer(void **state)
{
    (void)state;
    start();
    put_framebuffer(1, true);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.framebuffer.type, BOOT_FB_RGB);
    assert_int_equal(info.framebuffer.base.v, 0xC0000000);
    assert_int_equal(info.framebuffer.pitch, 3200);
    assert_int_equal(info.framebuffer.width, 800);
    assert_int_equal(info.framebuffer.height, 600);
    assert_int_equal(info.framebuffer.bpp, 32);
    assert_int_equal(info.framebuffer.red_pos, 16);
    assert_int_equal(info.framebuffer.green_size, 7);
    assert_int_equal(info.framebuffer.blue_size, 6);
    start();
    put_framebuffer(1, false); /* RGB without its colour fields */
    assert_int_equal(finish(), 0);
    assert_int_equal(info.framebuffer.type, BOOT_FB_NONE);
    start();
    put_framebuffer(2, false);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.framebuffer.type, BOOT_FB_TEXT);
}

static void test_system_table(void **state)
{
    size_t at;
    (void)state;

    start();
    at = tag_begin(MB2_TAG_EFI64_SYSTEM_TABLE);
    put64(0x123456789A);
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_true(info.efi);
    assert_int_equal(info.efi_system_table, 0x123456789A);
    start();
    at = tag_begin(MB2_TAG_EFI64_SYSTEM_TABLE);
    put32(1); /* too short */
    tag_end(at);
    assert_int_equal(finish(), 0);
    assert_int_equal(info.efi_system_table, 0);
}

static void test_bad_tag_sizes(void **state)
{
    static const u32 sizes[] = {0, 1, 7, 1000, 0x7FFFFFFF, 0xFFFFFFF8, 0xFFFFFFFF};
    (void)state;

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        start();
        put_module(0x1000, 0x2000, "kept", 5);
        size_t at = tag_begin(MB2_TAG_CMDLINE);
        tag_end(at);
        memcpy(block.bytes + at + 4, &sizes[i], sizeof(sizes[i]));
        assert_int_equal(finish(), -E_TRUNC);
        assert_int_equal(info.module_count, 1);
    }
}

/* Every tag cut at every length: nothing is read beyond the end (ASan), and it is noticed. */
static void test_truncation(void **state)
{
    (void)state;
    put_both_maps(false);
    put_rsdp(MB2_TAG_RSDP_NEW, 2, 36);
    put_framebuffer(1, true);
    put_module(0x1000, 0x2000, "tail", 5);
    for (size_t size = 0; size < block.len; size++) {
        (void)parse_size(size);
    }
    assert_int_equal(parse_size(block.len - 1), 0); /* the end tag of put_both_maps() stands in the middle */
}

static void test_huge_claim(void **state)
{
    u32 claim[2] = {0xFFFFFFFF, 0};
    (void)state;
    assert_int_equal(mb2_total_size(claim), MB2_INFO_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),         cmocka_unit_test(test_cmdline),
        cmocka_unit_test(test_modules),       cmocka_unit_test(test_module_limit),
        cmocka_unit_test(test_e820),          cmocka_unit_test(test_e820_overlap),
        cmocka_unit_test(test_e820_entry_size), cmocka_unit_test(test_region_limits),
        cmocka_unit_test(test_efi_map),       cmocka_unit_test(test_rsdp),
        cmocka_unit_test(test_framebuffer),   cmocka_unit_test(test_system_table),
        cmocka_unit_test(test_bad_tag_sizes), cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_huge_claim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
