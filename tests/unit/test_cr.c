/* units: tests/unit/x86_fake.c vcpu/x86_64/cr.c vcpu/x86_64/cpuid.c vcpu/x86_64/regs.c vcpu/x86_64/event.c */
/* Control registers by the tables of SDM 2.5 and 4.1: what is refused changes nothing; mode switches; XCR0. */
#include "tests/unit/host.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/x86_fake.h"
#include <string.h>

static struct vcpu_arch *const a = &fake_v.arch;

/* The write is refused and nothing moved. */
static void refused(int (*write)(struct vcpu *, u64), u64 value)
{
    struct vcpu_arch before = *a;

    if (write(&fake_v, value) != -E_GUEST) {
        fail_msg("%llx accepted", (unsigned long long)value);
    }
    assert_memory_equal(&before, a, sizeof(before));
}

static void accepted(int (*write)(struct vcpu *, u64), u64 value)
{
    if (write(&fake_v, value) != 0) {
        fail_msg("%llx refused", (unsigned long long)value);
    }
}

static void cr0_every_low_bit(void **state)
{
    (void)state;
    for (u32 i = 0; i < 64; i++) {
        u64 value = BIT(i);
        fake_start();
        if (i >= 32 || value == CR0_PG || value == CR0_NW) {
            refused(x86_cr0_write, value);
            continue;
        }
        accepted(x86_cr0_write, value);
        u64 defined = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_CD;
        assert_true(a->cr0 == ((value & defined) | CR0_ET)); /* others are ignored; ET is one */
    }
    fake_start();
    accepted(x86_cr0_write, CR0_CD | CR0_NW);
}

static void real_to_protected_to_pae_to_long(void **state)
{
    (void)state;
    accepted(x86_cr0_write, CR0_PE);
    accepted(x86_cr4_write, CR4_PAE);
    accepted(x86_efer_write, EFER_LME | EFER_NXE);
    assert_true((a->efer & EFER_LMA) == 0);
    accepted(x86_cr3_write, 0x1000);
    accepted(x86_cr0_write, CR0_PE | CR0_PG);
    assert_true((a->efer & EFER_LMA) != 0);
    assert_true(fake_log.flushes >= 2);
    refused(x86_cr4_write, 0);                    /* PAE cannot go in long mode */
    refused(x86_efer_write, EFER_NXE);            /* LME cannot change with paging on */
    accepted(x86_efer_write, EFER_LME | EFER_SCE); /* LMA is read-only: writing it as 0 changes nothing */
    assert_true(a->efer == (EFER_LME | EFER_LMA | EFER_SCE));
    a->seg[X86_CS].attr = 0xA09B;
    refused(x86_cr0_write, CR0_PE); /* not from 64-bit code */
    a->seg[X86_CS].attr = 0xC09B;
    accepted(x86_cr0_write, CR0_PE);
    assert_true((a->efer & EFER_LMA) == 0);
    accepted(x86_efer_write, 0);
}

static void long_mode_needs_pae_and_no_64bit_cs(void **state)
{
    (void)state;
    accepted(x86_efer_write, EFER_LME);
    refused(x86_cr0_write, CR0_PE | CR0_PG);
    accepted(x86_cr4_write, CR4_PAE);
    a->seg[X86_CS].attr = 0xA09B;
    refused(x86_cr0_write, CR0_PE | CR0_PG);
    a->seg[X86_CS].attr = 0xC09B;
    accepted(x86_cr0_write, CR0_PE | CR0_PG);
}

static void long_mode_and_a_16_bit_tss(void **state)
{
    (void)state;
    for (u32 intel = 0; intel < 2; intel++) {
        fake_host_vendor(intel ? "GenuineIntel" : "AuthenticAMD");
        fake_start();
        accepted(x86_efer_write, EFER_LME);
        accepted(x86_cr4_write, CR4_PAE);
        a->seg[X86_TR].attr = 0x83;
        (intel ? refused : accepted)(x86_cr0_write, CR0_PE | CR0_PG);
    }
    a->seg[X86_TR].attr = 0x8B;
    accepted(x86_cr0_write, CR0_PE | CR0_PG);
}

static void put_pdpte(u32 i, u64 value)
{
    memcpy(&fake_ram[0x2000 + 8 * i], &value, 8);
}

static void pae_loads_and_checks_pdptes(void **state)
{
    (void)state;
    accepted(x86_cr3_write, 0x2000);
    accepted(x86_cr4_write, CR4_PAE);
    put_pdpte(3, 0x3000 | PTE_P | PTE_RW); /* bits 2:1 are reserved */
    refused(x86_cr0_write, CR0_PE | CR0_PG);
    put_pdpte(3, BIT(40) | PTE_P); /* beyond the physical width */
    refused(x86_cr0_write, CR0_PE | CR0_PG);
    put_pdpte(3, BIT(40) | PTE_RW); /* not present: anything goes */
    put_pdpte(1, 0x3000 | PTE_P | PTE_PWT);
    accepted(x86_cr0_write, CR0_PE | CR0_PG);
    assert_true(a->pdpte[1] == (0x3000 | PTE_P | PTE_PWT));
    refused(x86_cr3_write, 0x100000); /* outside RAM */
    put_pdpte(0, 0x2000 | PTE_P | BIT(5)); /* AMD loads none of them before the walk */
    accepted(x86_cr4_write, CR4_PAE | CR4_PGE);
    accepted(x86_cr4_write, CR4_PAE);
    put_pdpte(0, 0x1E1);
    refused(x86_cr3_write, 0x2000);
    refused(x86_cr4_write, CR4_PAE | CR4_PGE);
    accepted(x86_cr4_write, CR4_PAE | CR4_DE); /* loads nothing */
    accepted(x86_cr4_write, CR4_DE);           /* PAE off: 32-bit paging has none */
}

static void cr4_every_bit(void **state)
{
    const u64 want = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR |
                     CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP;

    (void)state;
    assert_true(x86_cr4_allowed() == want); /* no VMXE, SMXE, LA57, PCIDE, PKE, CET */
    for (u32 i = 0; i < 64; i++) {
        fake_start();
        if ((want & BIT(i)) != 0) {
            accepted(x86_cr4_write, BIT(i));
            assert_true(a->cr4 == BIT(i));
        } else {
            refused(x86_cr4_write, BIT(i));
        }
    }
}

static void cr4_follows_cpuid(void **state)
{
    (void)state;
    fake_host.basic[7][0].ebx &= ~(BIT32(7) | BIT32(20));
    fake_host.basic[1][0].ecx &= ~BIT32(26);
    fake_start();
    refused(x86_cr4_write, CR4_SMEP);
    refused(x86_cr4_write, CR4_SMAP);
    refused(x86_cr4_write, CR4_OSXSAVE);
    accepted(x86_cr4_write, CR4_PGE);
}

static void flush_when_translations_change(void **state)
{
    (void)state;
    accepted(x86_cr4_write, CR4_DE);
    accepted(x86_cr0_write, CR0_PE | CR0_TS);
    accepted(x86_efer_write, EFER_SCE);
    assert_int_equal(fake_log.flushes, 0);
    accepted(x86_cr0_write, CR0_PE | CR0_WP);
    accepted(x86_cr4_write, CR4_DE | CR4_PGE);
    accepted(x86_efer_write, EFER_SCE | EFER_NXE);
    accepted(x86_cr3_write, 0x1000);
    assert_int_equal(fake_log.flushes, 4);
}

static void cr3_and_cr8(void **state)
{
    (void)state;
    accepted(x86_cr3_write, 0xFFFFFFFFFFULL);
    refused(x86_cr3_write, BIT(40));
    refused(x86_cr3_write, BIT(63)); /* means something with PCIDs only */
    for (u64 i = 0; i < 16; i++) {
        accepted(x86_cr8_write, i);
        assert_true(a->cr8 == i);
    }
    refused(x86_cr8_write, 16);
    refused(x86_cr8_write, ~0ULL);
}

static void efer_every_bit(void **state)
{
    (void)state;
    for (u32 i = 0; i < 64; i++) {
        bool ok = BIT(i) == EFER_SCE || BIT(i) == EFER_LME || BIT(i) == EFER_NXE || BIT(i) == EFER_LMA;
        fake_start();
        if (ok) {
            accepted(x86_efer_write, BIT(i));
            assert_true(a->efer == (BIT(i) == EFER_LMA ? 0 : BIT(i)));
        } else {
            refused(x86_efer_write, BIT(i));
        }
    }
}

/* All 256 values of the low byte: legal exactly by the rules of SDM Vol. 1 13.3. */
static void xcr0_all_combinations(void **state)
{
    (void)state;
    for (u64 value = 0; value < 0x10000; value++) {
        u64 zmm = value & 0xE0;
        bool legal = (value & 1) != 0 && (value & ~0xE7ULL) == 0 && ((value & 4) == 0 || (value & 2) != 0) &&
                     (zmm == 0 || (zmm == 0xE0 && (value & 4) != 0));
        int err = x86_xcr0_write(&fake_v, 0, value);
        assert_int_equal(err, legal ? 0 : -E_GUEST);
        assert_true(!legal || (a->xcr0 == value && fake_host.xcr0 == value));
    }
    assert_int_equal(x86_xcr0_write(&fake_v, 1, 1), -E_GUEST);
    assert_int_equal(x86_xcr0_write(&fake_v, 0, 7 | BIT(63)), -E_GUEST);
}

static void advance_truncates_by_mode(void **state)
{
    (void)state;
    a->rip = 0xFFFF;
    a->blocking = X86_BLOCK_STI | X86_BLOCK_MOVSS | X86_BLOCK_NMI;
    a->rflags |= RFLAGS_RF;
    x86_advance(&fake_v, 2); /* 16-bit code */
    assert_true(a->rip == 1);
    assert_int_equal(a->blocking, X86_BLOCK_NMI);
    assert_true((a->rflags & RFLAGS_RF) == 0);
    a->seg[X86_CS].attr = 0xC09B;
    a->rip = 0xFFFFFFFF;
    x86_advance(&fake_v, 3);
    assert_true(a->rip == 2);
    a->rip = 0xFFFF;
    x86_advance(&fake_v, 3);
    assert_true(a->rip == 0x10002);
    fake_long_mode();
    a->rip = 0xFFFFFFFF;
    x86_advance(&fake_v, 3);
    assert_true(a->rip == 0x100000002ULL);
}

/* An instruction that software executed owes the trap of TF as one that hardware executed does. */
static void advance_traps_when_stepping(void **state)
{
    (void)state;
    x86_advance(&fake_v, 2);
    assert_false(a->exception.valid);
    a->rflags |= RFLAGS_TF;
    x86_advance(&fake_v, 2);
    assert_true(a->exception.valid);
    assert_int_equal(a->exception.vector, VECTOR_DB);
    assert_true((a->dr6 & DR6_BS) != 0 && fake_host.dr6 == a->dr6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cr0_every_low_bit, fake_setup),
        cmocka_unit_test_setup(real_to_protected_to_pae_to_long, fake_setup),
        cmocka_unit_test_setup(long_mode_needs_pae_and_no_64bit_cs, fake_setup),
        cmocka_unit_test_setup(long_mode_and_a_16_bit_tss, fake_setup),
        cmocka_unit_test_setup(pae_loads_and_checks_pdptes, fake_setup),
        cmocka_unit_test_setup(cr4_every_bit, fake_setup),
        cmocka_unit_test_setup(cr4_follows_cpuid, fake_setup),
        cmocka_unit_test_setup(flush_when_translations_change, fake_setup),
        cmocka_unit_test_setup(cr3_and_cr8, fake_setup),
        cmocka_unit_test_setup(efer_every_bit, fake_setup),
        cmocka_unit_test_setup(xcr0_all_combinations, fake_setup),
        cmocka_unit_test_setup(advance_truncates_by_mode, fake_setup),
        cmocka_unit_test_setup(advance_traps_when_stepping, fake_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
