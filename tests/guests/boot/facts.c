/* What must hold of either multiboot's information. The command line may name numbers to be checked: modules=N, mem=N (MiB),
 * hexadecimal. */
#include "tests/guests/boot/report.h"

#define MAP_RAM 1U

static bool overlap(u32 a, u32 a_end, u32 b, u32 b_end)
{
    return a < b_end && b < a_end;
}

void fact_map(struct facts *f, u64 base, u64 len, u32 type)
{
    print("%s: mmap %X %X %u\n", f->tag, base, len, type);
    if (f->map_count < MAP_MAX) {
        f->map[f->map_count].base = base;
        f->map[f->map_count].len = len;
        f->map[f->map_count++].type = type;
    }
}

static bool in_ram(const struct facts *f, u32 start, u32 end)
{
    for (u32 i = 0; i < f->map_count; i++) {
        if (f->map[i].type == MAP_RAM && start >= f->map[i].base && end <= f->map[i].base + f->map[i].len) {
            return true;
        }
    }
    return false;
}

void fact_module(struct facts *f, u32 start, u32 end, const char *string)
{
    u32 sum = 0;

    for (const u8 *p = (const u8 *)start; p < (const u8 *)end; p++) {
        sum = sum * 31 + *p;
    }
    print("%s: module %x %x sum=%x %s\n", f->tag, start, end, sum, string);
    check(start % PAGE == 0 && end >= start, "module-aligned", "%x", start);
    check(!overlap(start, end, (u32)kernel_start, (u32)bss_end), "module-off-kernel", "%x", start);
    check(start >= f->previous_end, "module-order", "%x", start);
    f->modules++;
    f->previous_end = end;
}

static bool parse_hex(const char *cmdline, const char *key, u32 *out)
{
    for (const char *at = cmdline; *at != '\0'; at++) {
        const char *a = at, *b = key;
        while (*b != '\0' && *a == *b) {
            a++, b++;
        }
        if (*b != '\0' || (at != cmdline && at[-1] != ' ')) {
            continue;
        }
        *out = 0;
        for (; (*a >= '0' && *a <= '9') || (*a >= 'a' && *a <= 'f'); a++) {
            *out = *out * 16 + (u32)(*a <= '9' ? *a - '0' : *a - 'a' + 10);
        }
        return true;
    }
    return false;
}

static void check_map(const struct facts *f)
{
    bool sorted = true;
    u32 upper = 0;

    for (u32 i = 0; i < f->map_count; i++) {
        sorted = sorted && (i == 0 || f->map[i].base >= f->map[i - 1].base + f->map[i - 1].len);
        if (f->map[i].type == MAP_RAM && f->map[i].base == 0x100000) {
            upper = (u32)(f->map[i].len >> 10);
        }
    }
    check(f->map_count != 0, "map", "%u entries", f->map_count);
    check(sorted, "map-sorted", "%u entries", f->map_count);
    check(upper == f->mem_upper, "mem-upper", "%u %u", f->mem_upper, upper);
    check(f->map_count != 0 && f->mem_lower == (u32)(f->map[0].len >> 10), "mem-lower", "%u", f->mem_lower);
    check(in_ram(f, (u32)kernel_start, (u32)bss_end), "kernel-in-ram", "%x", (u32)kernel_start);
    check(in_ram(f, f->info, f->info + f->info_len), "info-in-ram", "%x", f->info);
}

void check_facts(const struct facts *f)
{
    u32 wanted;

    print("%s: cmdline=%s\n", f->tag, f->cmdline);
    print("%s: mem lower=%u upper=%u\n", f->tag, f->mem_lower, f->mem_upper);
    check_map(f);
    check(!overlap(f->info, f->info + f->info_len, (u32)kernel_start, (u32)bss_end), "info-off-kernel", "%x", f->info);
    if (parse_hex(f->cmdline, "modules=", &wanted)) {
        check(f->modules == wanted, "modules", "%u", f->modules);
    }
    if (parse_hex(f->cmdline, "mem=", &wanted)) {
        check(f->mem_upper == (wanted - 1) * 1024, "mem", "%u", f->mem_upper);
    }
}
