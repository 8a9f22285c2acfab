/* The boot payloads: what their parts share. Built with -m32. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define MAP_MAX 32U
#define PAGE 4096U

extern u8 kernel_start[], data_end[], bss_end[];

/* %s, %u (u32 decimal), %x (u32 hexadecimal), %X (u64 hexadecimal). */
void print(const char *format, ...);
void check(bool ok, const char *name, const char *format, ...);
/* Print "DONE pass=N fail=M" and end the VM with code 0, or 1 when a check failed. */
void finish(void);

void report_mb1(u32 info);
void report_mb2(u32 info);

/* What both information blocks say, gathered before it is checked. */
struct facts {
    const char *tag; /* "mb1" or "mb2" */
    u32 info, info_len;
    u32 mem_lower, mem_upper;
    u32 modules, previous_end;
    const char *cmdline;
    struct {
        u64 base, len;
        u32 type;
    } map[MAP_MAX];
    u32 map_count;
};

void fact_map(struct facts *f, u64 base, u64 len, u32 type);
void fact_module(struct facts *f, u32 start, u32 end, const char *string);
void check_facts(const struct facts *f);
