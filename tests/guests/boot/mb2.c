/* The multiboot 2 information block, line by line. Own definitions, so that an error in Mote's shows. */
#include "tests/guests/boot/report.h"

struct tag {
    u32 type, size;
};

struct mmap {
    u64 base, len;
    u32 type, reserved;
};

static u32 word(const struct tag *tag, u32 index)
{
    return ((const u32 *)(tag + 1))[index];
}

static void report_map(struct facts *f, const struct tag *tag)
{
    u32 entry_size = word(tag, 0);

    check(entry_size >= sizeof(struct mmap) && word(tag, 1) == 0, "mmap-entry", "size=%u version=%u", entry_size,
          word(tag, 1));
    for (u32 at = (u32)tag + 16; entry_size != 0 && at + entry_size <= (u32)tag + tag->size; at += entry_size) {
        const struct mmap *m = (const struct mmap *)at;
        fact_map(f, m->base, m->len, m->type);
    }
}

static void report_rsdp(const struct tag *tag)
{
    const char *wanted = "RSD PTR ";
    bool same = true;

    for (u32 i = 0; i < 8; i++) {
        same = same && ((const char *)(tag + 1))[i] == wanted[i];
    }
    print("mb2: rsdp tag=%u size=%u\n", tag->type, tag->size);
    check(same, "rsdp", "size=%u", tag->size);
}

static void report_tag(struct facts *f, const struct tag *tag)
{
    switch (tag->type) {
    case 1:
        f->cmdline = (const char *)(tag + 1);
        break;
    case 2:
        print("mb2: loader=%s\n", (const char *)(tag + 1));
        break;
    case 3:
        fact_module(f, word(tag, 0), word(tag, 1), (const char *)(tag + 2));
        break;
    case 4:
        f->mem_lower = word(tag, 0);
        f->mem_upper = word(tag, 1);
        break;
    case 6:
        report_map(f, tag);
        break;
    case 9:
        print("mb2: sections num=%u size=%u shndx=%u\n", word(tag, 0), word(tag, 1), word(tag, 2));
        check(tag->size == 20 + word(tag, 0) * word(tag, 1), "sections", "tag=%u", tag->size);
        break;
    case 14:
    case 15:
        report_rsdp(tag);
        break;
    case 21:
        print("mb2: load-base=%x\n", word(tag, 0));
        check(word(tag, 0) == (u32)kernel_start, "load-base", "%x", word(tag, 0));
        break;
    default:
        print("mb2: tag type=%u size=%u\n", tag->type, tag->size);
    }
}

void report_mb2(u32 address)
{
    u32 total = *(const u32 *)address, at = address + 8, seen = 0;
    struct facts f = {.tag = "mb2", .info = address, .info_len = total, .cmdline = ""};
    const struct tag *tag = (const struct tag *)at;

    print("mb2: total_size=%x\n", total);
    check(address % 8 == 0, "info-aligned", "%x", address);
    for (; tag->type != 0 && tag->size >= sizeof(*tag) && at < address + total; tag = (const struct tag *)at) {
        seen |= 1U << (tag->type & 31);
        report_tag(&f, tag);
        at += (tag->size + 7) & ~7U;
    }
    check(tag->type == 0 && tag->size == 8 && at + 8 == address + total, "end-tag", "%x", at);
    check((seen & 0x56) == 0x56, "tags", "%x", seen); /* command line, name, memory, map */
    check_facts(&f);
}
