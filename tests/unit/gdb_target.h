/* A machine for GDB's commands: three threads, four registers, a page of memory, two breakpoints. */
#pragma once
#include <stdlib.h>
#include <string.h>
#include "vm/gdb/command.h"

#define FAKE_MEMORY 4096U
#define FAKE_BASE 0x100000U

static struct {
    u8 memory[FAKE_MEMORY];
    u8 regs[4][GDB_REGISTER_BYTES];
    u64 breakpoints[2];
    enum gdb_point types[2];
    u32 breakpoint_count;
    u64 len; /* of the last that was set or taken out */
} fake;

static u32 fake_reg_size(u32 reg)
{
    static const u32 sizes[] = {8, 4, 16, 2};
    return sizes[reg];
}

static bool fake_reg_read(void *ctx, u32 reg, u8 *bytes)
{
    (void)ctx;
    memcpy(bytes, fake.regs[reg], fake_reg_size(reg));
    return reg != 3; /* cannot be told */
}

static bool fake_reg_write(void *ctx, u32 reg, const u8 *bytes)
{
    (void)ctx;
    if (reg != 1) { /* read-only */
        memcpy(fake.regs[reg], bytes, fake_reg_size(reg));
    }
    return reg != 1;
}

static size_t fake_mem_read(void *ctx, u64 address, u8 *bytes, size_t len)
{
    (void)ctx;
    if (address < FAKE_BASE || address >= FAKE_BASE + FAKE_MEMORY) {
        return 0;
    }
    size_t part = MIN(len, FAKE_BASE + FAKE_MEMORY - address);
    memcpy(bytes, fake.memory + (address - FAKE_BASE), part);
    return part;
}

static bool fake_mem_write(void *ctx, u64 address, const u8 *bytes, size_t len)
{
    (void)ctx;
    if (address < FAKE_BASE || address > FAKE_BASE + FAKE_MEMORY || len > FAKE_BASE + FAKE_MEMORY - address) {
        return false;
    }
    memcpy(fake.memory + (address - FAKE_BASE), bytes, len);
    return true;
}

static bool fake_point(void *ctx, enum gdb_point type, u64 address, u64 len, bool set)
{
    (void)ctx;
    if (type >= GDB_POINTS) {
        abort();
    }
    fake.len = len;
    if (!set) {
        return true;
    }
    if (fake.breakpoint_count == 2) {
        return false;
    }
    fake.types[fake.breakpoint_count] = type;
    fake.breakpoints[fake.breakpoint_count++] = address;
    return true;
}

static const char *fake_thread_text(void *ctx, u32 thread)
{
    (void)ctx;
    return thread == 1 ? "running" : "parked";
}

static const struct gdb_target fake_target = {
    .threads = 3,
    .registers = 4,
    .description = "<target>#$}*</target>",
    .reg_size = fake_reg_size,
    .reg_read = fake_reg_read,
    .reg_write = fake_reg_write,
    .mem_read = fake_mem_read,
    .mem_write = fake_mem_write,
    .point = fake_point,
    .thread_text = fake_thread_text,
};
