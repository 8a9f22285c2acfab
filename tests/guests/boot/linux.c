/* What a Linux kernel finds at its entry: registers, boot parameters line by line, and the identity mapping. Own
 * definitions, so that an error in Mote's shows. */
#include "tests/guests/boot/report.h"

#define EFLAGS_IF (1U << 9)
#define CR0_PE 1U
#define CR0_PG (1U << 31)
#define EFER_LMA (1U << 10)
#define BOOT_CS 0x10U
#define BOOT_DS 0x18U
#define PTE_P 1U
#define PTE_PS (1U << 7)
#define KERNEL_END (0x200000U + 0x40000U) /* load address + init_size */
#define INITRD_MAX 0x37FFFFFFU

/* In the order in which start_linux.asm stores them. */
struct entry_state {
    u32 ebx, ebp, esi, edi, bits, eflags, cr0, cr3, efer, unused, rsi_high, cs, ds, es, ss;
};

extern const struct entry_state entry_state;

static u32 read32(u32 address)
{
    return *(const volatile u32 *)address;
}

static u64 read64(u32 address)
{
    return *(const volatile u64 *)address;
}

/* Where the entry's page tables lead; all ones when nowhere. Tables lie below 4 GiB. */
static u64 walk(u32 cr3, u32 va)
{
    u64 entry = read64(cr3);

    if ((entry & PTE_P) == 0) {
        return ~0ULL;
    }
    entry = read64(((u32)entry & ~0xFFFU) + (va >> 30) * 8);
    if ((entry & PTE_P) == 0) {
        return ~0ULL;
    }
    if ((entry & PTE_PS) != 0) {
        return (entry & ~0x3FFFFFFFULL) | (va & 0x3FFFFFFF);
    }
    entry = read64(((u32)entry & ~0xFFFU) + (va >> 21 & 511) * 8);
    if ((entry & PTE_P) == 0) {
        return ~0ULL;
    }
    if ((entry & PTE_PS) != 0) {
        return (entry & ~0x1FFFFFULL) | (va & 0x1FFFFF);
    }
    entry = read64(((u32)entry & ~0xFFFU) + (va >> 12 & 511) * 8);
    return (entry & PTE_P) == 0 ? ~0ULL : (entry & ~0xFFFULL) | (va & 0xFFF);
}

static void check_mapped(const struct entry_state *s, u32 address, const char *name)
{
    if (s->bits == 64) {
        check((walk(s->cr3, address) & 0xFFFFFFFFFFFFFULL) == address, name, "%x", address);
    }
}

static void check_entry(const struct entry_state *s)
{
    print("entry: bits=%u ebx=%x ebp=%x esi=%x edi=%x eflags=%x cr0=%x cr3=%x efer=%x\n", s->bits, s->ebx, s->ebp, s->esi,
          s->edi, s->eflags, s->cr0, s->cr3, s->efer);
    check((s->eflags & EFLAGS_IF) == 0, "eflags", "%x", s->eflags);
    check((s->cs & 0xFFFF) == BOOT_CS, "cs", "%x", s->cs & 0xFFFF);
    check((s->ds & 0xFFFF) == BOOT_DS && (s->es & 0xFFFF) == BOOT_DS && (s->ss & 0xFFFF) == BOOT_DS, "ds-es-ss",
          "%x %x %x", s->ds & 0xFFFF, s->es & 0xFFFF, s->ss & 0xFFFF);
    if (s->bits == 64) {
        check((s->cr0 & CR0_PG) != 0 && (s->efer & EFER_LMA) != 0 && s->rsi_high == 0, "long-mode", "%x", s->efer);
    } else {
        check((s->cr0 & CR0_PE) != 0 && (s->cr0 & CR0_PG) == 0, "cr0", "%x", s->cr0);
        check((s->ebx | s->ebp | s->edi) == 0, "zero-registers", "%x %x %x", s->ebx, s->ebp, s->edi);
    }
}

static u64 report_e820(u32 params, u32 start, u32 end)
{
    u32 count = *(const u8 *)(params + 0x1E8);
    bool inside = false;
    u64 total = 0;

    for (u32 i = 0; i < count; i++) {
        u32 at = params + 0x2D0 + i * 20;
        u64 base = read64(at), len = read64(at + 8);
        u32 type = read32(at + 16);
        print("linux: e820 %X %X %u\n", base, len, type);
        inside = inside || (type == 1 && base <= start && base + len >= end);
        total += type == 1 ? len : 0;
    }
    check(count != 0 && count <= 128, "e820", "%u entries", count);
    check(inside, "e820-holds-kernel", "%x %x", start, end);
    return total;
}

static void report_initrd(const struct entry_state *s, u32 params)
{
    u32 start = read32(params + 0x218), size = read32(params + 0x21C), sum = 0;

    for (u32 i = 0; i < size; i++) {
        sum = sum * 31 + *(const u8 *)(start + i);
    }
    print("linux: initrd %x %x sum=%x\n", start, size, sum);
    if (size != 0) {
        check(start % PAGE == 0 && start >= KERNEL_END && start + size - 1 <= INITRD_MAX, "initrd", "%x", start);
        check_mapped(s, start, "initrd-mapped");
    }
}

void linux_main(void)
{
    const struct entry_state *s = &entry_state;
    u32 params = s->esi;

    check_entry(s);
    check(read32(params + 0x202) == 0x53726448, "HdrS", "%x", read32(params + 0x202));
    print("linux: version=%x loader=%x cmdline=%s\n", read32(params + 0x206) & 0xFFFF, read32(params + 0x210) & 0xFF,
          (const char *)read32(params + 0x228));
    check((read32(params + 0x210) & 0xFF) != 0, "loader-type", "%x", read32(params + 0x210) & 0xFF);
    check(read32(params + 0x214) == (u32)kernel_start, "code32-start", "%x", read32(params + 0x214));
    check((read32(params + 0x0C) >> 24) == 0, "no-screen", "%x", read32(params + 0x0C));
    check(params >= KERNEL_END || params + PAGE <= (u32)kernel_start, "params-off-kernel", "%x", params);
    check_mapped(s, params, "params-mapped");
    check_mapped(s, read32(params + 0x228), "cmdline-mapped");
    check_mapped(s, (u32)kernel_start, "kernel-mapped");
    check_mapped(s, 0xFFFFF000, "top-mapped");
    u64 ram = report_e820(params, (u32)kernel_start, KERNEL_END);
    print("linux: ram=%X\n", ram);
    report_initrd(s, params);
    u32 rsdp = read32(params + 0x70);
    print("linux: rsdp=%x\n", rsdp);
    if (rsdp != 0) {
        check(read64(rsdp) == 0x2052545020445352ULL, "rsdp", "%x", rsdp);
    }
    finish();
}
