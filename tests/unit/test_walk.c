/* units: vcpu/x86_64/walk.c vcpu/x86_64/linear.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c tests/unit/emu_guest.c */
/* The guest page walk on tables built here: every paging mode, page size, right and reserved bit. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/emu_guest.h"
#include "vcpu/x86_64/x86.h"
#include <string.h>

#define W X86_ACCESS_WRITE
#define U X86_ACCESS_USER
#define F X86_ACCESS_FETCH
#define ALL (PTE_P | PTE_RW | PTE_US)
#define T(n) (0x10000ULL + 0x1000 * (n)) /* table pages */

static void write_entry(unsigned bytes, u64 table, u64 index, u64 value)
{
    memcpy(guest.ram + table + index * bytes, &value, bytes);
}

static u64 read_entry(unsigned bytes, u64 table, u64 index)
{
    u64 value = 0;

    memcpy(&value, guest.ram + table + index * bytes, bytes);
    return value;
}

/* Expect gpa and page size. */
static void walks(u64 va, u32 access, u64 gpa, u64 page_size)
{
    struct x86_walk_result out = {.gpa = {1}};

    assert_int_equal(x86_walk(&guest.v, GVA(va), access, false, &out), 0);
    assert_int_equal(out.gpa.v, gpa);
    assert_int_equal(out.page_size, page_size);
}

static void faults(u64 va, u32 access, u32 error)
{
    struct x86_walk_result out = {.gpa = {1}};

    assert_int_equal(x86_walk(&guest.v, GVA(va), access, true, &out), -E_FAULT);
    assert_int_equal(out.fault_error, error);
    assert_int_equal(out.gpa.v, 1);
}

static void set_paging(u64 cr0, u64 cr4, u64 efer)
{
    guest.v.arch.cr0 = CR0_PE | CR0_PG | cr0;
    guest.v.arch.cr4 = cr4;
    guest.v.arch.efer = efer;
    guest.v.arch.cr3 = T(0);
}

static void no_paging_is_identity(void **state)
{
    (void)state;
    guest_reset_protected();
    walks(0xFEE00123, W | U | F, 0xFEE00123, 4096);
    walks(0x1FEE00123ULL, 0, 0xFEE00123, 4096);
}

static void two_level(void **state)
{
    (void)state;
    guest_reset_protected();
    set_paging(CR0_WP, CR4_PSE, 0);
    write_entry(4, T(0), 0x80, T(1) | ALL);
    write_entry(4, T(1), 0x23, 0x7654000 | ALL);
    write_entry(4, T(0), 0x81, 0xC0000000 | (0x12ULL << 13) | ALL | PTE_PS);
    write_entry(4, T(0), 0x82, 0xC0000000 | BIT(21) | ALL | PTE_PS);
    write_entry(4, T(0), 0x83, 0xC0000000 | BIT(20) | ALL | PTE_PS); /* address bit 39 */
    walks(0x20023ABC, W | U, 0x7654ABC, 4096);
    walks(0x20723456, W, 0x12C0323456ULL, MIB(4));
    faults(0x20823456, W, PF_ERROR_P | PF_ERROR_WR | PF_ERROR_RSVD);
    walks(0x20C00000, 0, 0x80C0000000ULL, MIB(4));
    guest.phys_bits = 36;
    faults(0x20C00000, 0, PF_ERROR_P | PF_ERROR_RSVD);
    faults(0x30000000, F, 0); /* no NX, no SMEP: the code does not tell fetches */
    guest.v.arch.cr4 = 0;     /* without PSE the entry is a table */
    write_entry(4, T(0), 0x84, T(1) | ALL | PTE_PS);
    walks(0x21023ABC, 0, 0x7654ABC, 4096);
}

static void pae(void **state)
{
    (void)state;
    guest_reset_protected();
    set_paging(CR0_WP, CR4_PAE, EFER_NXE);
    guest.v.arch.cr3 = T(0) | 0x20; /* 32-byte aligned */
    write_entry(8, T(0) + 0x20, 3, T(1) | PTE_P);
    write_entry(8, T(1), 5, T(2) | ALL);
    write_entry(8, T(2), 7, 0x8123456000ULL | ALL | PTE_XD);
    write_entry(8, T(1), 6, 0x40000000 | ALL | PTE_PS);
    walks(0xC0A07123, W | U, 0x8123456123ULL, 4096);
    write_entry(8, T(0) + 0x20, 3, T(1) | PTE_P | BIT(5)); /* as QEMU leaves it */
    walks(0xC0D23456, U | F, 0x40123456, MIB(2));
    faults(0xC0A07123, F, PF_ERROR_P | PF_ERROR_ID);
    faults(0x80000000, W, PF_ERROR_WR);
    write_entry(8, T(0) + 0x20, 2, T(1) | PTE_P | PTE_RW); /* reserved in a PDPTE */
    faults(0x80000000, W, PF_ERROR_P | PF_ERROR_WR | PF_ERROR_RSVD);
    write_entry(8, T(1), 6, 0x40002000 | ALL | PTE_PS);
    faults(0xC0D23456, 0, PF_ERROR_P | PF_ERROR_RSVD);
    write_entry(8, T(1), 6, 0x40000000 | ALL | PTE_PS | BIT(52)); /* reserved outside long mode */
    faults(0xC0D23456, 0, PF_ERROR_P | PF_ERROR_RSVD);
    guest.v.arch.efer = 0;
    faults(0xC0A07123, 0, PF_ERROR_P | PF_ERROR_RSVD); /* XD without NXE */
}

static void build_long(unsigned levels)
{
    guest_reset_long();
    guest.v.arch.cr3 = T(0);
    guest.v.arch.cr4 = CR4_PAE | (levels == 5 ? CR4_LA57 : 0);
    for (unsigned i = 0; i + 1 < levels; i++) {
        write_entry(8, T(i), 1, T(i + 1) | ALL);
    }
    write_entry(8, T(levels - 1), 1, 0x1234567000ULL | ALL);
    write_entry(8, T(levels - 2), 2, 0x40000000 | ALL | PTE_PS);
    write_entry(8, T(levels - 3), 2, 0x80000000 | ALL | PTE_PS);
}

#define VA4 (BIT(39) | BIT(30) | BIT(21) | BIT(12))

static void four_level(void **state)
{
    (void)state;
    build_long(4);
    walks(VA4 | 0x321, W | U | F, 0x1234567321ULL, 4096);
    walks(BIT(39) | BIT(30) | BIT(22) | 0x54321, W | U, 0x40054321, MIB(2));
    walks(BIT(39) | BIT(31) | 0x7654321, U, 0x87654321, GIB(1));
    faults(VA4 | BIT(47), 0, 0); /* not canonical */
    faults(BIT(63) | VA4, W, PF_ERROR_WR);
    write_entry(8, T(0), 1, T(1) | ALL | PTE_PS); /* reserved in a PML4E */
    faults(VA4, 0, PF_ERROR_P | PF_ERROR_RSVD);
    write_entry(8, T(0), 1, T(1) | ALL | BIT(58)); /* ignored in long mode */
    walks(VA4, 0, 0x1234567000ULL, 4096);
    write_entry(8, T(3), 1, BIT(40) | ALL); /* beyond the physical width of 40 */
    faults(VA4, 0, PF_ERROR_P | PF_ERROR_RSVD);
    write_entry(8, T(1), 2, 0x80002000 | ALL | PTE_PS);
    faults(BIT(39) | BIT(31), 0, PF_ERROR_P | PF_ERROR_RSVD);
}

static void five_level(void **state)
{
    (void)state;
    build_long(5);
    walks(BIT(48) | VA4 | 0x321, W | U | F, 0x1234567321ULL, 4096);
    walks(BIT(48) | BIT(39) | BIT(31) | 5, 0, 0x80000005, GIB(1));
    faults(BIT(56), 0, 0);
    faults(BIT(47), 0, 0);
}

/* Rights are the product of all levels: take each right away on each level alone. */
static void rights_of_every_level(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 4; level++) {
        build_long(4);
        u64 old = read_entry(8, T(level), 1);
        write_entry(8, T(level), 1, old & ~PTE_RW);
        faults(VA4, W, PF_ERROR_P | PF_ERROR_WR);
        faults(VA4, W | U, PF_ERROR_P | PF_ERROR_WR | PF_ERROR_US);
        walks(VA4, U, 0x1234567000ULL, 4096);
        guest.v.arch.cr0 &= ~CR0_WP;
        walks(VA4, W, 0x1234567000ULL, 4096);
        faults(VA4, W | U, PF_ERROR_P | PF_ERROR_WR | PF_ERROR_US);
        write_entry(8, T(level), 1, old & ~PTE_US);
        faults(VA4, U, PF_ERROR_P | PF_ERROR_US);
        walks(VA4, W, 0x1234567000ULL, 4096);
        write_entry(8, T(level), 1, old | PTE_XD);
        faults(VA4, F, PF_ERROR_P | PF_ERROR_ID);
        walks(VA4, W, 0x1234567000ULL, 4096);
        write_entry(8, T(level), 1, old & ~PTE_P);
        faults(VA4, F | U, PF_ERROR_US | PF_ERROR_ID);
    }
}

static void smep_and_smap(void **state)
{
    (void)state;
    build_long(4);
    guest.v.arch.efer &= ~EFER_NXE;
    walks(VA4, F, 0x1234567000ULL, 4096);
    guest.v.arch.cr4 |= CR4_SMEP;
    faults(VA4, F, PF_ERROR_P | PF_ERROR_ID);
    walks(VA4, F | U, 0x1234567000ULL, 4096);
    guest.v.arch.cr4 |= CR4_SMAP;
    faults(VA4, 0, PF_ERROR_P);
    faults(VA4, W, PF_ERROR_P | PF_ERROR_WR);
    walks(VA4, W | U, 0x1234567000ULL, 4096);
    guest.v.arch.rflags |= RFLAGS_AC;
    walks(VA4, W, 0x1234567000ULL, 4096);
    guest.v.arch.cpl = 3; /* implicit access by the processor while user code runs */
    faults(VA4, 0, PF_ERROR_P);
    u64 old = read_entry(8, T(3), 1);
    write_entry(8, T(3), 1, old & ~PTE_US);
    walks(VA4, W | F, 0x1234567000ULL, 4096);
}

static void accessed_and_dirty(void **state)
{
    struct x86_walk_result out;

    (void)state;
    build_long(4);
    assert_int_equal(x86_walk(&guest.v, GVA(VA4), W, false, &out), 0);
    assert_int_equal(read_entry(8, T(3), 1) & (PTE_A | PTE_D), 0);
    assert_int_equal(x86_walk(&guest.v, GVA(VA4), 0, true, &out), 0);
    for (unsigned level = 0; level < 4; level++) {
        assert_int_equal(read_entry(8, T(level), 1) & (PTE_A | PTE_D), PTE_A);
    }
    assert_int_equal(x86_walk(&guest.v, GVA(VA4), W, true, &out), 0);
    for (unsigned level = 0; level < 4; level++) {
        assert_int_equal(read_entry(8, T(level), 1) & PTE_D, level == 3 ? PTE_D : 0);
    }
    guest_reset_protected(); /* PAE: PDPTEs have no accessed bit */
    set_paging(0, CR4_PAE, 0);
    write_entry(8, T(0), 0, T(1) | PTE_P);
    write_entry(8, T(1), 0, ALL | PTE_PS);
    assert_int_equal(x86_walk(&guest.v, GVA(0x1000), W, true, &out), 0);
    assert_int_equal(read_entry(8, T(0), 0), T(1) | PTE_P);
    assert_int_equal(read_entry(8, T(1), 0), ALL | PTE_PS | PTE_A | PTE_D);
    set_paging(0, CR4_PSE, 0); /* two-level: entries of four bytes */
    write_entry(4, T(0), 0, T(1) | ALL);
    write_entry(4, T(0), 1, 0xABCD1234);
    write_entry(4, T(1), 0, 0x5000 | ALL);
    assert_int_equal(x86_walk(&guest.v, GVA(0), W, true, &out), 0);
    assert_int_equal(read_entry(4, T(0), 1), 0xABCD1234);
    assert_int_equal(read_entry(4, T(1), 0), 0x5000 | ALL | PTE_A | PTE_D);
}

/* Another CPU gives the page's entry a new value between the walk and its marks. */
#define MOVED (0x7654321000ULL | ALL)
static void move_page(void)
{
    guest.before_replace = NULL;
    write_entry(8, T(3), 1, MOVED);
}

static void a_change_under_the_walk_is_not_undone(void **state)
{
    struct x86_walk_result out;

    (void)state;
    build_long(4);
    guest.before_replace = move_page;
    assert_int_equal(x86_walk(&guest.v, GVA(VA4), W, true, &out), 0);
    assert_int_equal(read_entry(8, T(3), 1), MOVED | PTE_A | PTE_D);
    assert_int_equal(out.gpa.v, 0x7654321000ULL);
}

static void table_outside_ram(void **state)
{
    (void)state;
    build_long(4);
    write_entry(8, T(1), 1, 0x7F00000000ULL | ALL);
    faults(VA4, W, PF_ERROR_WR);
    guest.v.arch.cr3 = 0xFFFFF000;
    faults(VA4, 0, 0);
}

static void linear_memory_crosses_pages(void **state)
{
    u8 in[16], out[16] = "fifteen letters";

    (void)state;
    guest_reset_long();
    guest_map(0x400000, 0x30000, ALL);
    guest_map(0x401000, 0x20000, ALL);
    assert_int_equal(x86_write_linear(&guest.v, GVA(0x400FFB), out, sizeof(out), 0), 0);
    assert_memory_equal(guest.ram + 0x30FFB, "fifte", 5);
    assert_memory_equal(guest.ram + 0x20000, "en letters", 10);
    assert_int_equal(x86_read_linear(&guest.v, GVA(0x400FFB), in, sizeof(in), U), 0);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(x86_read_linear(&guest.v, GVA(0x401FFB), in, sizeof(in), 0), -E_FAULT);
    gpa_t gpa;
    assert_int_equal(vcpu_translate(&guest.v, GVA(0x401234), &gpa), 0);
    assert_int_equal(gpa.v, 0x20234);
    guest.v.arch.cr4 |= CR4_SMAP;
    assert_int_equal(vcpu_translate(&guest.v, GVA(0x401234), &gpa), 0);
    assert_int_equal(vcpu_translate(&guest.v, GVA(0x500000), &gpa), -E_FAULT);
    assert_int_equal(vcpu_translate(&guest.v, GVA(GIB(4) + 0x401234), &gpa), -E_FAULT);
    guest_reset_protected();
    assert_int_equal(vcpu_translate(&guest.v, GVA(0x401234), &gpa), 0);
    assert_int_equal(gpa.v, 0x401234);
    assert_int_equal(vcpu_translate(&guest.v, GVA(GIB(4) + 0x401234), &gpa), -E_RANGE);
    guest.v.arch.efer = EFER_LME; /* alone it changes nothing */
    assert_int_equal(vcpu_translate(&guest.v, GVA(GIB(4)), &gpa), -E_RANGE);
}

static void fetch_stops_where_memory_stops(void **state)
{
    u8 bytes[15];

    (void)state;
    guest_reset_long();
    guest_map(0x400000, 0x30000, PTE_P);
    memcpy(guest.ram + 0x30FFD, "\x0F\x01\xD1", 3);
    guest.v.arch.rip = 0x400FFD;
    assert_int_equal(x86_fetch_insn(&guest.v, bytes), 3);
    assert_int_equal(x86_insn_len(&guest.v), 3);
    guest.v.arch.rip = 0x400FFF; /* D1 wants a ModRM */
    assert_int_equal(x86_insn_len(&guest.v), 0);
    guest.v.arch.rip = 0x500000;
    assert_int_equal(x86_fetch_insn(&guest.v, bytes), 0);
    guest.v.arch.rip = 0x400FFD;
    guest.v.arch.cpl = 3;
    assert_int_equal(x86_fetch_insn(&guest.v, bytes), 0);
    guest_reset_real();
    guest.v.arch.seg[X86_CS].base = 0x20000;
    guest.v.arch.rip = 0x100;
    memcpy(guest.ram + 0x20100, "\x66\xB8\x01\x02\x03\x04", 6);
    assert_int_equal(x86_insn_len(&guest.v), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_paging_is_identity),
        cmocka_unit_test(two_level),
        cmocka_unit_test(pae),
        cmocka_unit_test(four_level),
        cmocka_unit_test(five_level),
        cmocka_unit_test(rights_of_every_level),
        cmocka_unit_test(smep_and_smap),
        cmocka_unit_test(accessed_and_dirty),
        cmocka_unit_test(a_change_under_the_walk_is_not_undone),
        cmocka_unit_test(table_outside_ram),
        cmocka_unit_test(linear_memory_crosses_pages),
        cmocka_unit_test(fetch_stops_where_memory_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
