/* units: vm/dev/x86_64/lapic.c vm/dev/x86_64/lapic_regs.c vm/dev/x86_64/lapic_timer.c vm/dev/x86_64/lapic_assist.c vm/dev/x86_64/apic_bus.c vm/dev/x86_64/ioapic.c vm/bus.c kernel/timer.c tests/unit/apic_rig.c */
/* Who gets an interprocessor interrupt: every way to name a destination, with 1, 4, 8 and 32 APICs. */
#include "tests/unit/host.h"
#include "tests/unit/apic_rig.h"

#define VECTOR 0x51U
#define LOGICAL BIT32(11)
#define MODE(mode) ((u32)(mode) << 8)
#define SELF (1U << 18)
#define ALL (2U << 18)
#define OTHERS (3U << 18)

static const u32 sizes[] = {1, 4, 8, 32};

static u32 everybody(u32 count)
{
    return count == 32 ? ~0U : BIT32(count) - 1;
}

/* Send from APIC 0; who got the vector? */
static u32 send(u32 icr, u32 destination)
{
    rig_write(0, R_ICR_HIGH, destination << 24);
    rig_write(0, R_ICR, icr);
    return rig_take(VECTOR);
}

static u32 send_x2(u32 icr, u32 destination)
{
    assert_int_equal(rig_wrmsr(0, R_ICR, (u64)destination << 32 | icr), 0);
    return rig_take(VECTOR);
}

static u32 errors(void)
{
    rig_write(0, R_ESR, 0);
    return rig_read(0, R_ESR);
}

static void physical(void **state)
{
    (void)state;
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        rig_start(sizes[s]);
        for (u32 to = 0; to < 255; to++) {
            assert_int_equal(send(VECTOR, to), to < sizes[s] ? BIT32(to) : 0);
        }
        assert_int_equal(send(VECTOR, 0xFF), everybody(sizes[s]));
        assert_int_equal(errors(), 0);
    }
}

static void flat(void **state)
{
    (void)state;
    rig_start(8);
    for (u32 i = 0; i < 8; i++) {
        rig_write(i, R_LDR, BIT32(24 + i));
    }
    for (u32 to = 0; to < 256; to++) {
        assert_int_equal(send(LOGICAL | VECTOR, to), to);
    }
    rig_write(3, R_LDR, 0x09000000); /* two bits: both reach it */
    assert_int_equal(send(LOGICAL | VECTOR, 0x01), 0x09);
    rig_write(3, R_LDR, 0);
    assert_int_equal(send(LOGICAL | VECTOR, 0x08), 0);
    assert_int_equal(send(LOGICAL | VECTOR, 0xFF), 0xFF); /* broadcast whatever the logical id */
}

static void cluster(void **state)
{
    (void)state;
    rig_start(8);
    for (u32 i = 0; i < 8; i++) {
        rig_write(i, R_DFR, 0);
        rig_write(i, R_LDR, (i / 4 << 4 | BIT32(i % 4)) << 24);
    }
    for (u32 to = 0; to < 255; to++) {
        u32 members = (to >> 4) < 2 ? (to & 15) << (to >> 4) * 4 : 0;
        assert_int_equal(send(LOGICAL | VECTOR, to), members);
    }
    assert_int_equal(send(LOGICAL | VECTOR, 0xFF), 0xFF);
}

static void x2apic_physical(void **state)
{
    (void)state;
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        rig_start(sizes[s]);
        rig_x2apic();
        for (u32 to = 0; to < 1000; to++) {
            assert_int_equal(send_x2(VECTOR, to), to < sizes[s] ? BIT32(to) : 0);
        }
        assert_int_equal(send_x2(VECTOR, 0x80000000), 0);
        assert_int_equal(send_x2(VECTOR, ~0U), everybody(sizes[s]));
    }
}

static void x2apic_cluster(void **state)
{
    u64 ldr;

    (void)state;
    rig_start(32);
    rig_x2apic();
    assert_int_equal(rig_rdmsr(17, R_LDR, &ldr), 0);
    assert_int_equal(ldr, 0x00010002);
    for (u32 members = 0; members < 0x10000; members += 0x101) {
        assert_int_equal(send_x2(LOGICAL | VECTOR, members), members);
        assert_int_equal(send_x2(LOGICAL | VECTOR, 0x10000 | members), members << 16);
        assert_int_equal(send_x2(LOGICAL | VECTOR, 0x20000 | members), 0);
    }
    assert_int_equal(send_x2(LOGICAL | VECTOR, ~0U), ~0U);
}

static void shorthands(void **state)
{
    (void)state;
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        rig_start(sizes[s]);
        for (u32 to = 0; to < 256; to += 17) { /* the destination does not count */
            assert_int_equal(send(SELF | VECTOR, to), 1);
            assert_int_equal(send(ALL | VECTOR, to), everybody(sizes[s]));
            assert_int_equal(send(OTHERS | VECTOR, to), everybody(sizes[s]) & ~1U);
            assert_int_equal(send(LOGICAL | OTHERS | VECTOR, to), everybody(sizes[s]) & ~1U);
        }
    }
}

static u32 bits(u32 mask)
{
    return (u32)__builtin_popcount(mask);
}

static void lowest_priority_chooses_one(void **state)
{
    u32 seen = 0;

    (void)state;
    rig_start(4);
    for (u32 i = 0; i < 4; i++) {
        rig_write(i, R_LDR, BIT32(24 + i));
    }
    for (u32 i = 0; i < 16; i++) {
        u32 who = send(MODE(APIC_LOWEST) | LOGICAL | VECTOR, 0x0E);
        assert_int_equal(bits(who), 1);
        seen |= who;
    }
    assert_int_equal(seen, 0x0E); /* equals take turns */
    rig_write(1, R_TPR, 0x40);
    rig_write(2, R_TPR, 0x30);
    rig_write(3, R_TPR, 0x50);
    for (u32 i = 0; i < 16; i++) {
        assert_int_equal(send(MODE(APIC_LOWEST) | LOGICAL | VECTOR, 0x0E), 0x04);
    }
    rig_write(2, R_SVR, 0); /* who is switched off is no candidate */
    assert_int_equal(send(MODE(APIC_LOWEST) | LOGICAL | VECTOR, 0x0E), 0x02);
    assert_int_equal(send(MODE(APIC_LOWEST) | LOGICAL | VECTOR, 0x10), 0);
    for (u32 i = 0; i < 16; i++) {
        assert_int_equal(send(MODE(APIC_LOWEST) | OTHERS | VECTOR, 0) & 1U, 0);
    }
}

static void nmi_init_startup(void **state)
{
    (void)state;
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        u32 others = everybody(sizes[s]) & ~1U;
        rig_start(sizes[s]);
        (void)send(MODE(APIC_NMI) | OTHERS, 0);
        assert_int_equal(rig_take_wire(RIG_NMI), others);
        (void)send(MODE(APIC_INIT) | (u32)ICR_ASSERT | OTHERS, 0);
        assert_int_equal(rig_take_wire(RIG_INIT), others);
        (void)send(MODE(APIC_INIT) | (u32)ICR_LEVEL | ALL, 0); /* de-assert: nobody */
        assert_int_equal(rig_take_wire(RIG_INIT), 0);
        (void)send(MODE(APIC_STARTUP) | 0x9A, sizes[s] - 1);
        assert_int_equal(rig_take_wire(RIG_STARTUP), BIT32(sizes[s] - 1));
        assert_int_equal(rig.startup_vector, 0x9A);
        (void)send(MODE(APIC_STARTUP) | 0x08 | OTHERS, 0); /* any page will do */
        assert_int_equal(rig_take_wire(RIG_STARTUP), others);
        assert_int_equal(errors(), 0);
    }
}

static void messages_without_a_meaning(void **state)
{
    (void)state;
    rig_start(4);
    assert_int_equal(send(MODE(APIC_SMI) | ALL | VECTOR, 0), 0);
    assert_int_equal(send(MODE(APIC_RESERVED) | ALL | VECTOR, 0), 0);
    assert_int_equal(send(MODE(APIC_EXTINT) | ALL | VECTOR, 0), 0);
    assert_int_equal(rig_take_wire(RIG_NMI) | rig_take_wire(RIG_INIT) | rig_take_wire(RIG_STARTUP), 0);
}

static void reserved_vectors_are_send_errors(void **state)
{
    (void)state;
    rig_start(4);
    for (u32 vector = 0; vector < 16; vector++) {
        (void)send(vector | OTHERS, 0);
        assert_int_equal(errors(), ESR_SEND_ILLEGAL);
        (void)send(MODE(APIC_LOWEST) | vector | OTHERS, 0);
        assert_int_equal(errors(), ESR_SEND_ILLEGAL);
        assert_int_equal(rig_take((u8)vector), 0);
    }
}

/* Software-disabled: no vectors, but the wires work (SDM 11.4.7.2). Switched off in IA32_APIC_BASE: nothing at all. */
static void disabled_apics(void **state)
{
    (void)state;
    rig_start(3);
    rig_write(1, R_SVR, 0);
    assert_int_equal(vlapic_write_base(&rig.lapic[2], LAPIC_BASE_DEFAULT), 0);
    assert_int_equal(send(ALL | VECTOR, 0), 1);
    (void)send(MODE(APIC_NMI) | OTHERS, 0);
    assert_int_equal(rig_take_wire(RIG_NMI), 2);
    (void)send(MODE(APIC_NMI), 2);
    assert_int_equal(rig_take_wire(RIG_NMI), 0);
    (void)send(MODE(APIC_INIT) | (u32)ICR_ASSERT | OTHERS, 0);
    assert_int_equal(rig_take_wire(RIG_INIT), 2);
    struct apic_message m = {.vector = VECTOR, .destination = 1};
    assert_int_equal(apic_bus_send(&rig.bus, &m, NULL), 0);
    m.destination = 0;
    assert_int_equal(apic_bus_send(&rig.bus, &m, NULL), 1);
}

static void the_icr_reads_back(void **state)
{
    u64 value;

    (void)state;
    rig_start(2);
    (void)send(0xFFF33000 | LOGICAL | VECTOR, 0x7E);
    assert_int_equal(rig_read(0, R_ICR), LOGICAL | VECTOR); /* never busy, nothing reserved */
    assert_int_equal(rig_read(0, R_ICR_HIGH), 0x7E000000);
    rig_x2apic();
    (void)send_x2(LOGICAL | VECTOR, 0xABCDEF01);
    assert_int_equal(rig_rdmsr(0, R_ICR, &value), 0);
    assert_int_equal(value, 0xABCDEF01ULL << 32 | LOGICAL | VECTOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(physical), cmocka_unit_test(flat), cmocka_unit_test(cluster), cmocka_unit_test(x2apic_physical),
        cmocka_unit_test(x2apic_cluster), cmocka_unit_test(shorthands), cmocka_unit_test(lowest_priority_chooses_one),
        cmocka_unit_test(nmi_init_startup), cmocka_unit_test(messages_without_a_meaning),
        cmocka_unit_test(reserved_vectors_are_send_errors), cmocka_unit_test(disabled_apics),
        cmocka_unit_test(the_icr_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
