/* The multiboot 1 information block, line by line. Own definitions, so that an error in Mote's shows. */
#include "tests/guests/boot/report.h"

#define FLAG_MEM 0x001U
#define FLAG_CMDLINE 0x004U
#define FLAG_MODS 0x008U
#define FLAG_ELF 0x020U
#define FLAG_MMAP 0x040U
#define FLAG_NAME 0x200U

struct info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, elf_num, elf_size, elf_addr, elf_shndx,
        mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
};

struct module {
    u32 start, end, string, reserved;
};

struct __attribute__((packed)) mmap {
    u32 size;
    u64 base, len;
    u32 type;
};

void report_mb1(u32 address)
{
    const struct info *info = (const struct info *)address;
    struct facts f = {.tag = "mb1", .info = address, .info_len = sizeof(*info), .cmdline = ""};
    const u32 wanted = FLAG_MEM | FLAG_CMDLINE | FLAG_MODS | FLAG_MMAP | FLAG_NAME;

    print("mb1: flags=%x\n", info->flags);
    check((info->flags & wanted) == wanted, "flags", "%x", info->flags);
    for (u32 at = info->mmap_addr; at < info->mmap_addr + info->mmap_length;) {
        const struct mmap *m = (const struct mmap *)at;
        fact_map(&f, m->base, m->len, m->type);
        at += m->size + 4;
    }
    print("mb1: loader=%s\n", (const char *)info->boot_loader_name);
    for (u32 i = 0; i < info->mods_count; i++) {
        const struct module *m = (const struct module *)info->mods_addr + i;
        fact_module(&f, m->start, m->end, (const char *)m->string);
    }
    if ((info->flags & FLAG_ELF) != 0) {
        print("mb1: sections num=%u size=%u shndx=%u\n", info->elf_num, info->elf_size, info->elf_shndx);
        check(info->elf_size == 40 || info->elf_size == 64, "sections", "%u", info->elf_size);
    }
    f.mem_lower = info->mem_lower;
    f.mem_upper = info->mem_upper;
    f.cmdline = (const char *)info->cmdline;
    check_facts(&f);
}
