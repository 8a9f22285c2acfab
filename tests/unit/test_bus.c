/* units: vm/bus.c */
#include "tests/unit/host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/lib/errno.h"
#include "vm/bus.h"

/* A device of 16 bytes that also keeps a record of its accesses. */
struct device {
    u8 bytes[16];
    char log[256];
};

static void serve(void *opaque, u64 offset, u8 size, bool write, u64 *value)
{
    struct device *device = opaque;
    char line[32];

    assert_true(offset + size <= sizeof(device->bytes));
    (void)snprintf(line, sizeof(line), "%c%u@%u ", write ? 'w' : 'r', size, (unsigned)offset);
    (void)strcat(device->log, line);
    if (write) {
        assert_true(size == 8 || *value >> (8 * size) == 0);
        memcpy(&device->bytes[offset], value, size);
    } else {
        *value = 0xDEADBEEFDEADBEEFULL; /* bits above size are ignored */
        memcpy(value, &device->bytes[offset], size);
    }
}

static struct bus bus;
static struct device first, second;

static int add(u64 base, u64 len, u8 width, void *device)
{
    return bus_add(&bus, &(struct bus_range){base, len, width, serve, device});
}

static int start(void **context)
{
    (void)context;
    memset(&bus, 0, sizeof(bus));
    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    for (u8 i = 0; i < 16; i++) {
        first.bytes[i] = (u8)(0x10 + i);
        second.bytes[i] = (u8)(0x20 + i);
    }
    return 0;
}

static u64 in(u64 addr, u8 size, bool claimed)
{
    u64 value = 0x5555555555555555ULL;

    assert_int_equal(bus_access(&bus, addr, size, false, &value), claimed);
    return value;
}

static void out(u64 addr, u8 size, u64 value, bool claimed)
{
    u64 copy = value;

    assert_int_equal(bus_access(&bus, addr, size, true, &copy), claimed);
    assert_int_equal(copy, value);
}

static void test_add(void **context)
{
    (void)context;
    assert_int_equal(add(0x100, 0, 1, &first), -E_INVAL);
    assert_int_equal(add(0x100, 4, 0, &first), -E_INVAL);
    assert_int_equal(add(0x100, 4, 3, &first), -E_INVAL);
    assert_int_equal(add(0x100, 4, 16, &first), -E_INVAL);
    assert_int_equal(add(~0ULL, 2, 1, &first), -E_INVAL);
    assert_int_equal(bus_add(&bus, &(struct bus_range){0, 1, 1, NULL, NULL}), -E_INVAL);
    assert_int_equal(add(0x100, 16, 1, &first), 0);
    assert_int_equal(add(0x100, 1, 1, &first), -E_OVERLAP);
    assert_int_equal(add(0x10F, 1, 1, &first), -E_OVERLAP);
    assert_int_equal(add(0xFF, 2, 1, &first), -E_OVERLAP);
    assert_int_equal(add(0, ~0ULL, 1, &first), -E_OVERLAP);
    assert_int_equal(add(0x110, 16, 1, &first), 0);
    assert_int_equal(add(0xF0, 16, 1, &first), 0);
    assert_int_equal(add(~0ULL, 1, 1, &first), 0);
    assert_int_equal(add(0, 1, 1, &first), 0);
    while (bus.count < BUS_RANGES_MAX) {
        assert_int_equal(add(0x100000 - bus.count * 2ULL, 1, 1, &first), 0);
    }
    assert_int_equal(add(0x900000, 1, 1, &first), -E_NOMEM);
    for (u32 i = 1; i < bus.count; i++) {
        assert_true(bus.ranges[i - 1].base < bus.ranges[i].base);
    }
}

static void test_unclaimed(void **context)
{
    (void)context;
    assert_int_equal(in(0x80, 1, false), 0xFF);
    assert_int_equal(in(0x80, 2, false), 0xFFFF);
    assert_int_equal(in(0x80, 4, false), 0xFFFFFFFF);
    assert_int_equal(in(0x80, 8, false), ~0ULL);
    assert_int_equal(in(~0ULL, 8, false), ~0ULL);
    out(0x80, 4, 0x12345678, false);
}

/* Address and size as they were; a range's own access, and the hole beside it, are none of it. */
static void test_rest(void **context)
{
    char *log = second.log;

    (void)context;
    bus_set_rest(&bus, serve, &second);
    assert_int_equal(in(0x4, 4, false), 0x27262524);
    out(0x7, 1, 0x77, false);
    assert_int_equal(in(0x6, 2, false), 0x7726);
    assert_string_equal(log, "r4@4 w1@7 r2@6 ");
    assert_int_equal(add(8, 2, 2, &first), 0);
    *log = '\0';
    assert_int_equal(in(0x8, 2, true), 0x1110);
    assert_int_equal(in(0x7, 2, true), 0x10FF);
    assert_int_equal(in(0x6, 2, false), 0x7726);
    assert_string_equal(log, "r2@6 ");
}

static void test_widths(void **context)
{
    (void)context;
    assert_int_equal(add(0x100, 16, 1, &first), 0);
    assert_int_equal(add(0x110, 16, 4, &second), 0);
    assert_int_equal(in(0x103, 1, true), 0x13);
    assert_int_equal(in(0x100, 4, true), 0x13121110);
    assert_string_equal(first.log, "r1@3 r1@0 r1@1 r1@2 r1@3 ");
    assert_int_equal(in(0x114, 8, true), 0x2B2A292827262524ULL);
    assert_int_equal(in(0x11C, 2, true), 0x2D2C);
    out(0x110, 8, 0x8877665544332211ULL, true);
    assert_string_equal(second.log, "r4@4 r4@8 r2@12 w4@0 w4@4 ");
    assert_int_equal(second.bytes[7], 0x88);
    assert_int_equal(second.bytes[8], 0x28);
}

static void test_edges(void **context)
{
    (void)context;
    assert_int_equal(add(0x100, 7, 4, &first), 0);
    assert_int_equal(add(0x109, 16, 2, &second), 0);
    assert_int_equal(in(0xFE, 4, true), 0x1110FFFF);   /* enters */
    assert_int_equal(in(0x105, 4, true), 0xFFFF1615);  /* leaves */
    assert_int_equal(in(0x104, 8, true), 0x222120FFFF161514ULL); /* crosses a gap */
    assert_string_equal(first.log, "r2@0 r2@5 r2@4 r1@6 ");
    assert_string_equal(second.log, "r2@0 r1@2 ");
    out(0x106, 4, 0xAABBCCDD, true);
    assert_int_equal(first.bytes[6], 0xDD);
    assert_int_equal(second.bytes[0], 0xAA);
    assert_int_equal(second.bytes[1], 0x21);
}

/* Compare with a flat picture of the address space. */
static void test_random_against_model(void **context)
{
    static struct device devices[20];
    u8 model[1024];

    (void)context;
    srand(5);
    for (int round = 0; round < 200; round++) {
        memset(&bus, 0, sizeof(bus));
        memset(model, 0xFF, sizeof(model));
        for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
            u64 base = (u64)(rand() % 1000);
            u64 len = 1 + (u64)(rand() % 16);
            for (size_t j = 0; j < 16; j++) {
                devices[i].bytes[j] = (u8)rand();
            }
            if (add(base, len, (u8)(1U << (rand() % 4)), &devices[i]) == 0) {
                memcpy(&model[base], devices[i].bytes, len);
            }
        }
        for (int step = 0; step < 200; step++) {
            u8 size = (u8)(1U << (rand() % 4));
            u64 addr = (u64)rand() % (sizeof(model) - 8);
            u64 expected = 0;
            u64 value = 0;
            memcpy(&expected, &model[addr], size);
            (void)bus_access(&bus, addr, size, false, &value);
            assert_int_equal(value, expected);
            for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
                devices[i].log[0] = '\0';
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_add, start),
        cmocka_unit_test_setup(test_unclaimed, start),
        cmocka_unit_test_setup(test_rest, start),
        cmocka_unit_test_setup(test_widths, start),
        cmocka_unit_test_setup(test_edges, start),
        cmocka_unit_test_setup(test_random_against_model, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
