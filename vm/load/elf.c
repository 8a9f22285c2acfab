/* ELF32 and ELF64 executables: bytes to a load plan. Every number in the file is checked before it is used. */
#include "vm/load/elf.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "vm/load/elf_format.h"

/* A program header of either class. */
struct segment_header {
    u32 type;
    u64 offset, vaddr, paddr, filesz, memsz;
};

/* What the two classes' file headers have in common. */
struct file_header {
    u64 entry, phoff, shoff;
    u32 phentsize, phnum, shentsize, shnum, shstrndx;
    u16 machine;
    bool elf64;
};

bool elf_sniff(const struct image *image)
{
    const u8 *id = image->data;

    return image->size >= sizeof(struct elf32_header) && memcmp(id, ELF_MAGIC, ELF_MAGIC_LEN) == 0 &&
           (id[ELF_ID_CLASS] == ELF_CLASS_32 || id[ELF_ID_CLASS] == ELF_CLASS_64) && id[ELF_ID_DATA] == ELF_DATA_LSB;
}

#define COMMON_FIELDS(h)                                                                                               \
    .entry = (h).e_entry, .phoff = (h).e_phoff, .shoff = (h).e_shoff, .phentsize = (h).e_phentsize,                    \
    .phnum = (h).e_phnum, .shentsize = (h).e_shentsize, .shnum = (h).e_shnum, .shstrndx = (h).e_shstrndx,              \
    .machine = (h).e_machine

static bool read_header(const struct image *image, struct file_header *out)
{
    struct elf32_header h32;
    struct elf64_header h64;

    if (!elf_sniff(image)) {
        return false;
    }
    if (image->data[ELF_ID_CLASS] == ELF_CLASS_32) {
        memcpy(&h32, image->data, sizeof(h32));
        *out = (struct file_header){COMMON_FIELDS(h32), .elf64 = false};
        return true;
    }
    if (image->size < sizeof(h64)) {
        return false;
    }
    memcpy(&h64, image->data, sizeof(h64));
    *out = (struct file_header){COMMON_FIELDS(h64), .elf64 = true};
    return true;
}

#define SEGMENT_FIELDS(s)                                                                                              \
    .type = (s).p_type, .offset = (s).p_offset, .vaddr = (s).p_vaddr, .paddr = (s).p_paddr, .filesz = (s).p_filesz,    \
    .memsz = (s).p_memsz

/* The caller has checked that the header lies inside the file. */
static struct segment_header read_segment(const struct image *image, const struct file_header *file, u32 index)
{
    const u8 *at = image->data + file->phoff + (u64)index * file->phentsize;
    struct elf32_segment seg32;
    struct elf64_segment seg64;

    if (file->elf64) {
        memcpy(&seg64, at, sizeof(seg64));
        return (struct segment_header){SEGMENT_FIELDS(seg64)};
    }
    memcpy(&seg32, at, sizeof(seg32));
    return (struct segment_header){SEGMENT_FIELDS(seg32)};
}

static int check_header(const struct image *image, const struct file_header *file, char *why)
{
    u32 wanted = file->elf64 ? sizeof(struct elf64_segment) : sizeof(struct elf32_segment);

    if (file->phnum == 0) {
        return load_fail(why, -E_FORMAT, "ELF file without program headers: nothing to load");
    }
    if (file->phentsize != wanted) {
        return load_fail(why, -E_FORMAT, "ELF program headers of %u bytes, not %u", file->phentsize, wanted);
    }
    if (!range_contains(0, image->size, file->phoff, (u64)file->phnum * file->phentsize)) {
        return load_fail(why, -E_TRUNC, "ELF file is truncated: %u program headers at 0x%llx, module has %llu bytes",
                         file->phnum, (unsigned long long)file->phoff, (unsigned long long)image->size);
    }
    return 0;
}

static int check_overlap(const struct load_plan *plan, u32 index, const struct segment_header *s, char *why)
{
    for (u32 i = 0; i < plan->count; i++) {
        if (ranges_overlap(plan->segments[i].gpa, plan->segments[i].size_mem, s->paddr, s->memsz)) {
            return load_fail(why, -E_OVERLAP, "segment %u [0x%llx,0x%llx) overlaps an earlier one at 0x%llx", index,
                             (unsigned long long)s->paddr, (unsigned long long)(s->paddr + s->memsz),
                             (unsigned long long)plan->segments[i].gpa);
        }
    }
    return 0;
}

static int check_segment(const struct image *image, u32 index, const struct segment_header *s, char *why)
{
    if (s->filesz > s->memsz) {
        return load_fail(why, -E_FORMAT, "segment %u has %llu bytes in the file but %llu in memory", index,
                         (unsigned long long)s->filesz, (unsigned long long)s->memsz);
    }
    if (s->filesz != 0 && !range_contains(0, image->size, s->offset, s->filesz)) {
        return load_fail(why, -E_TRUNC, "ELF file is truncated: segment %u has %llu bytes at 0x%llx, module has %llu",
                         index, (unsigned long long)s->filesz, (unsigned long long)s->offset,
                         (unsigned long long)image->size);
    }
    if (s->paddr + s->memsz < s->paddr || s->vaddr + (s->memsz - 1) < s->vaddr) {
        return load_fail(why, -E_RANGE, "segment %u at 0x%llx wraps around the address space", index,
                         (unsigned long long)s->paddr);
    }
    return 0;
}

static int add_segment(const struct image *image, struct load_plan *plan, u32 index, const struct segment_header *s,
                       char *why)
{
    int error = check_segment(image, index, s, why);

    if (error == 0) {
        error = check_overlap(plan, index, s, why);
    }
    if (error != 0) {
        return error;
    }
    if (plan->count == LOAD_SEGMENTS_MAX) {
        return load_fail(why, -E_RANGE, "more than %u segments to load", LOAD_SEGMENTS_MAX);
    }
    u64 offset = s->filesz != 0 ? s->offset : 0;
    plan->segments[plan->count++] = (struct load_segment){offset, s->filesz, s->paddr, s->memsz};
    return 0;
}

/* Where the CPU starts: kernels linked high name a virtual entry, others a physical one. As in other loaders, a virtual
 * address inside a segment wins. */
static bool find_entry(u64 entry, const struct segment_header *s, bool virtual, u64 *out)
{
    u64 base = virtual ? s->vaddr : s->paddr;

    if (!range_contains(base, s->memsz, entry, 1)) {
        return false;
    }
    *out = s->paddr + (entry - base);
    return true;
}

static int set_entry(const struct image *image, const struct file_header *file, struct load_plan *plan, char *why)
{
    for (u32 turn = 0; turn < 2; turn++) {
        for (u32 i = 0; i < file->phnum; i++) {
            struct segment_header s = read_segment(image, file, i);
            if (s.type == ELF_SEGMENT_LOAD && s.memsz != 0 && find_entry(file->entry, &s, turn == 0, &plan->entry)) {
                return 0;
            }
        }
    }
    return load_fail(why, -E_FORMAT, "entry 0x%llx is in no segment", (unsigned long long)file->entry);
}

int elf_parse(const struct image *image, struct load_plan *plan, char *why)
{
    struct file_header file;

    if (!read_header(image, &file)) {
        return load_fail(why, -E_FORMAT, "no ELF file of this byte order");
    }
    int error = check_header(image, &file, why);
    if (error != 0) {
        return error;
    }
    memset(plan, 0, sizeof(*plan));
    plan->elf64 = file.elf64;
    plan->machine = file.machine;
    for (u32 i = 0; i < file.phnum && error == 0; i++) {
        struct segment_header s = read_segment(image, &file, i);
        if (s.type == ELF_SEGMENT_LOAD && s.memsz != 0) {
            error = add_segment(image, plan, i, &s, why);
        }
    }
    if (error == 0 && plan->count == 0) {
        error = load_fail(why, -E_FORMAT, "ELF file without a segment to load");
    }
    return error != 0 ? error : set_entry(image, &file, plan, why);
}

bool elf_find_sections(const struct image *image, struct elf_sections *out)
{
    struct file_header file;

    if (!read_header(image, &file) || file.shnum == 0) {
        return false;
    }
    u32 wanted = file.elf64 ? sizeof(struct elf64_section) : sizeof(struct elf32_section);
    u64 bytes = (u64)file.shnum * file.shentsize;
    if (file.shentsize != wanted || bytes > ELF_SECTIONS_BYTES_MAX ||
        !range_contains(0, image->size, file.shoff, bytes)) {
        return false;
    }
    *out = (struct elf_sections){file.shoff, file.shnum, file.shentsize, file.shstrndx, file.elf64};
    return true;
}
