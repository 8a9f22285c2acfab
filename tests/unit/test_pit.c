/* units: tests/unit/dev_host.c vm/dev/x86_64/pit.c vm/bus.c */
/* The 8254 and port 61h: counts, outputs, latches, channel 0's interrupt (Intel 8254 data sheet). */
#include "tests/unit/dev_host.h"
#include "vm/dev/x86_64/pit.h"

#define CONTROL 0x43

static struct vpit pit;
static struct dev_wire irq;

static int setup(void **state)
{
    (void)dev_setup(state);
    struct irqline line = dev_line(&irq);
    vpit_init(&pit, &line);
    return vpit_attach(&pit, &dev_pio);
}

static void load(u16 port, u8 control, u16 count)
{
    outb(CONTROL, control);
    outb(port, (u8)count);
    outb(port, (u8)(count >> 8));
}

static u16 both(u16 port)
{
    u8 low = inb(port);
    return (u16)(low | inb(port) << 8);
}

static u16 latched(u16 port)
{
    outb(CONTROL, (u8)((port & 3) << 6));
    return both(port);
}

/* Time of `clocks` input clocks after 1 s, rounded up. */
static u64 at(u64 clocks)
{
    return NS_PER_SEC + (clocks * NS_PER_SEC + PIT_HZ - 1) / PIT_HZ;
}

static void counts_down_at_1193182_hz(void **state)
{
    (void)state;
    load(0x40, 0x34, 60000);
    dev_run_until(at(1000));
    assert_int_equal(latched(0x40), 59000);
    dev_run_until(at(59999));
    assert_int_equal(latched(0x40), 1);
    dev_run_until(at(60000));
    assert_int_equal(latched(0x40), 60000);
    dev_run_until(at(60000ULL * 1000 + 7));
    assert_int_equal(latched(0x40), 59993);
}

static void rate_generator_interrupts_each_period(void **state)
{
    (void)state;
    load(0x40, 0x34, 11932); /* 100 Hz */
    dev_run_until(at(11932) - 1000);
    assert_int_equal(irq.rises, 0);
    dev_run_until(at(11932));
    assert_int_equal(irq.rises, 1);
    dev_run_until(11 * NS_PER_SEC);
    assert_in_range(irq.rises, 999, 1000);
}

static void one_shot_interrupts_once(void **state)
{
    (void)state;
    load(0x40, 0x30, 1193);
    dev_run_until(at(1193));
    assert_int_equal(irq.rises, 1);
    dev_run_until(5 * NS_PER_SEC);
    assert_int_equal(irq.rises, 1);
    assert_true(dev_next_timer() == UINT64_MAX);
    load(0x40, 0x30, 1193); /* and again when it is loaded again */
    dev_run_until(6 * NS_PER_SEC);
    assert_int_equal(irq.rises, 2);
}

static void zero_means_65536(void **state)
{
    (void)state;
    load(0x40, 0x34, 0);
    dev_run_until(at(65535));
    assert_int_equal(irq.rises, 0);
    assert_int_equal(latched(0x40), 1);
    dev_run_until(at(65536));
    assert_int_equal(irq.rises, 1);
    assert_int_equal(latched(0x40), 0);
}

static void the_fastest_period_does_not_storm_the_host(void **state)
{
    static const u16 counts[] = {1, 2, 3, 10};

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        (void)setup(state);
        load(0x40, 0x34, counts[i]);
        dev_run_until(NS_PER_SEC + 100 * NS_PER_MS);
        assert_in_range(dev_timers_fired, 100, 501);
    }
}

static void square_wave_counts_by_two(void **state)
{
    (void)state;
    load(0x42, 0xB6, 1000);
    outb(0x61, 1);
    assert_int_equal(inb(0x61) & 0x20, 0x20);
    dev_run_until(at(100));
    assert_int_equal(latched(0x42), 800);
    dev_run_until(at(500));
    assert_int_equal(inb(0x61) & 0x20, 0);
    dev_run_until(at(1000));
    assert_int_equal(inb(0x61) & 0x20, 0x20);
}

/* How systems measure time with channel 2: gate on, mode 0, wait for OUT. */
static void channel_2_tells_when_a_count_is_over(void **state)
{
    (void)state;
    outb(0x61, 1);
    load(0x42, 0xB0, 59659); /* 50 ms */
    assert_int_equal(inb(0x61) & 0x21, 1);
    dev_run_until(at(59658));
    assert_int_equal(inb(0x61) & 0x20, 0);
    dev_run_until(at(59659));
    assert_int_equal(inb(0x61) & 0x20, 0x20);
    assert_int_equal(irq.rises, 0);
}

static void gate_holds_the_count(void **state)
{
    (void)state;
    load(0x42, 0xB0, 10000);
    dev_run_until(at(5000));
    assert_int_equal(latched(0x42), 10000); /* gate low from the start */
    outb(0x61, 1);
    u64 start = dev_now;
    dev_run_until(start + NS_PER_MS); /* 1193 clocks */
    assert_in_range(latched(0x42), 10000 - 1194, 10000 - 1192);
    outb(0x61, 0);
    u16 held = latched(0x42);
    assert_in_range(held, 10000 - 1194, 10000 - 1192);
    dev_run_until(start + 20 * NS_PER_MS);
    assert_int_equal(latched(0x42), held);
    assert_int_equal(inb(0x61) & 0x20, 0);
    outb(0x61, 1); /* goes on from there */
    dev_run_until(start + 21 * NS_PER_MS);
    assert_in_range(latched(0x42), held - 1194, held - 1192);
}

static void gate_edge_starts_a_one_shot(void **state)
{
    (void)state;
    load(0x42, 0xB2, 1000);
    dev_run_until(at(5000));
    assert_int_equal(inb(0x61) & 0x20, 0x20);
    outb(0x61, 1);
    u64 start = dev_now;
    assert_int_equal(inb(0x61) & 0x20, 0);
    dev_run_until(start + NS_PER_MS);
    assert_int_equal(inb(0x61) & 0x20, 0x20);
}

static void access_modes(void **state)
{
    (void)state;
    outb(CONTROL, 0x14); /* low byte only */
    outb(0x40, 200);
    assert_int_equal(inb(0x40), 200);
    outb(CONTROL, 0x24); /* high byte only */
    outb(0x40, 0x12);
    assert_int_equal(inb(0x40), 0x12);
    assert_int_equal(pit.channel[0].reload, 0x1200);
    load(0x40, 0x34, 0x1234); /* low, then high, without a latch */
    assert_int_equal(inb(0x40), 0x34);
    assert_int_equal(inb(0x40), 0x12);
}

static void a_latch_holds_until_it_is_read(void **state)
{
    (void)state;
    load(0x40, 0x34, 50000);
    outb(CONTROL, 0x00);
    dev_run_until(at(20000));
    outb(CONTROL, 0x00); /* a second latch does not move the first */
    assert_int_equal(both(0x40), 50000);
    assert_int_equal(latched(0x40), 30000);
}

static void read_back_tells_status_then_count(void **state)
{
    (void)state;
    load(0x40, 0x34, 40000);
    outb(CONTROL, 0xC2);
    assert_int_equal(inb(0x40), 0x80 | 0x34);
    assert_int_equal(both(0x40), 40000);
    outb(CONTROL, 0xB0); /* channel 2, no count yet: null count, output low */
    outb(CONTROL, 0xE8);
    assert_int_equal(inb(0x42), 0x40 | 0x30);
}

static void decimal_counting(void **state)
{
    (void)state;
    load(0x40, 0x35, 0x1000);
    dev_run_until(at(1));
    assert_int_equal(latched(0x40), 0x0999);
    dev_run_until(at(1000));
    assert_int_equal(latched(0x40), 0x1000);
    load(0x40, 0x35, 0);
    assert_int_equal(pit.channel[0].reload, 10000);
}

static void a_new_mode_ends_the_old_interrupts(void **state)
{
    (void)state;
    load(0x40, 0x34, 11932);
    outb(CONTROL, 0x30); /* no count is loaded */
    dev_run_until(10 * NS_PER_SEC);
    assert_int_equal(irq.rises, 0);
}

static void stop_is_final(void **state)
{
    (void)state;
    load(0x40, 0x34, 11932);
    vpit_stop(&pit);
    load(0x40, 0x34, 11932);
    assert_true(dev_next_timer() == UINT64_MAX);
}

static void refresh_bit_toggles(void **state)
{
    unsigned changes = 0;
    u8 last = 0;

    (void)state;
    for (u64 t = NS_PER_SEC; t < NS_PER_SEC + NS_PER_MS; t += 1000) {
        dev_run_until(t);
        u8 now = inb(0x61) & 0x10;
        changes += now != last;
        last = now;
    }
    assert_in_range(changes, 60, 70); /* 15.085 us */
}

static void every_byte_in_any_state_is_survived(void **state)
{
    static const u16 ports[] = {0x40, 0x41, 0x42, 0x43, 0x43, 0x61};
    u32 random = 99;

    (void)state;
    for (u32 i = 0; i < 100000; i++) {
        random = random * 1664525U + 1013904223U;
        u16 port = ports[(random >> 8 & 0xFF) % 6];
        if (random >> 29 == 0) {
            dev_run_until(dev_now + (random >> 4 & 0xFFFFF));
        } else if (random >> 29 < 4) {
            (void)inb(port);
        } else {
            outb(port, (u8)(random >> 18));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counts_down_at_1193182_hz, setup),
        cmocka_unit_test_setup(rate_generator_interrupts_each_period, setup),
        cmocka_unit_test_setup(one_shot_interrupts_once, setup),
        cmocka_unit_test_setup(zero_means_65536, setup),
        cmocka_unit_test_setup(the_fastest_period_does_not_storm_the_host, setup),
        cmocka_unit_test_setup(square_wave_counts_by_two, setup),
        cmocka_unit_test_setup(channel_2_tells_when_a_count_is_over, setup),
        cmocka_unit_test_setup(gate_holds_the_count, setup),
        cmocka_unit_test_setup(gate_edge_starts_a_one_shot, setup),
        cmocka_unit_test_setup(access_modes, setup),
        cmocka_unit_test_setup(a_latch_holds_until_it_is_read, setup),
        cmocka_unit_test_setup(read_back_tells_status_then_count, setup),
        cmocka_unit_test_setup(decimal_counting, setup),
        cmocka_unit_test_setup(a_new_mode_ends_the_old_interrupts, setup),
        cmocka_unit_test_setup(stop_is_final, setup),
        cmocka_unit_test_setup(refresh_bit_toggles, setup),
        cmocka_unit_test_setup(every_byte_in_any_state_is_survived, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
