/* Rights in the VM's own memory, changed while four CPUs use it: after the call nobody reads or writes by the old ones. Then what
 * is refused, the same a great many times, and events whose IDT is out of stage 2. Wants vcpus=4 and selftest=on. */
#include "tests/guests/kit/apic.h"

#define PAGE 4096ULL
#define READ_PAGE 0x800000ULL /* amid memory in large leaves */
#define WRITE_PAGE 0x801000ULL
#define OWN_PAGES 0x803000ULL /* one for each CPU */
#define MEM_END 0x1000000ULL  /* mem=16M */
#define ROM 0xE0000ULL
#define RWX (MOTE_RIGHT_READ | MOTE_RIGHT_WRITE | MOTE_RIGHT_EXEC)
#define PATTERN 0x5AFE5AFE5AFE5AFEULL
#define ROUNDS 20U
#define OWN_ROUNDS 10U
#define EVENTS 20U
#define VECTOR 0x51U
#define CPUS 4U
#define PATIENCE_NS 60000000000ULL

/* Odd while a call is under way; else bit 1 says whether the page is absent. */
static volatile u32 phase;
static volatile u32 stop, own_done, go_own, own_wrong;
static volatile u32 seen[CPUS], wrong[CPUS], reads[CPUS];
static volatile u64 written;
static volatile u32 count;

static u64 rights(u64 address, u64 bytes, u64 what)
{
    return hypercall(MOTE_HC_RIGHTS, address, bytes, what, 0, 0, 0);
}

static volatile u64 *at(u64 address)
{
    return (volatile u64 *)address;
}

/* Each CPU with a page of its own, all at once. */
static void change_own(u32 me)
{
    u64 page = OWN_PAGES + me * PAGE;
    u32 bad = 0;

    *at(page) = PATTERN + me;
    for (u32 i = 0; i < OWN_ROUNDS; i++) {
        bad += rights(page, PAGE, 0) != 0 || *at(page) != ~0ULL;
        bad += rights(page, PAGE, RWX) != 0 || *at(page) != PATTERN + me;
    }
    __atomic_fetch_add(&own_wrong, bad, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&own_done, 1, __ATOMIC_SEQ_CST);
}

static void after_work(void)
{
    while (go_own == 0) {
        __asm__ volatile("pause");
    }
    change_own(cpu_index());
    cli();
}

static void reader(void)
{
    u32 me = cpu_index();

    sti();
    while (stop == 0) {
        u32 before = phase;
        u64 value = *at(READ_PAGE);
        if (before == phase && (before & 1) == 0) {
            reads[me]++;
            wrong[me] += value != ((before & 2) != 0 ? ~0ULL : PATTERN);
            seen[me] = before;
        }
    }
    after_work();
}

static void writer(void)
{
    sti();
    for (u64 n = 1; stop == 0; n++) {
        *at(WRITE_PAGE) = n;
        written = n;
    }
    after_work();
}

static bool readers_saw(u32 now)
{
    u64 end = time_ns() + PATIENCE_NS;

    while ((seen[1] != now || seen[3] != now) && time_ns() < end) {
        __asm__ volatile("pause");
    }
    return seen[1] == now && seen[3] == now;
}

static void test_reads(void)
{
    u32 refused = 0, unseen = 0;

    for (u32 i = 0; i < 2 * ROUNDS; i++) {
        bool take = (phase & 2) == 0;
        phase = phase + 1;
        refused += rights(READ_PAGE, PAGE, take ? 0 : RWX) != 0;
        phase = phase + 1;
        unseen += !readers_saw(phase);
    }
    check(refused == 0 && unseen == 0 && wrong[1] == 0 && wrong[3] == 0, "no-old-reads",
          "rounds=%u refused=%u unseen=%u wrong=%u,%u reads=%u,%u", ROUNDS, refused, unseen, wrong[1], wrong[3], reads[1], reads[3]);
}

static bool wait_written(volatile u64 *what, u64 more_than)
{
    u64 end = time_ns() + PATIENCE_NS;

    while (*what <= more_than && time_ns() < end) {
        __asm__ volatile("pause");
    }
    return *what > more_than;
}

static void test_writes(void)
{
    u32 refused = 0, landed = 0, idle = 0;

    for (u32 i = 0; i < ROUNDS; i++) {
        refused += rights(WRITE_PAGE, PAGE, MOTE_RIGHT_READ) != 0;
        u64 first = *at(WRITE_PAGE);
        idle += !wait_written(&written, written + 2);
        landed += *at(WRITE_PAGE) != first;
        refused += rights(WRITE_PAGE, PAGE, RWX) != 0;
        idle += !wait_written(at(WRITE_PAGE), first);
    }
    check(refused == 0 && landed == 0 && idle == 0, "no-old-writes", "rounds=%u refused=%u landed=%u idle=%u", ROUNDS, refused,
          landed, idle);
}

static void test_all_at_once(void)
{
    go_own = 1;
    change_own(0);
    u32 done = wait_count(&own_done, CPUS, 60000);
    check(done == CPUS && own_wrong == 0, "all-at-once", "done=%u wrong=%u", done, own_wrong);
}

static void test_refusals(void)
{
    static const struct { u64 address, bytes, what; } bad[] = {
        {READ_PAGE + 1, PAGE, RWX}, {READ_PAGE, PAGE + 8, RWX}, {READ_PAGE, 0, RWX}, {READ_PAGE, PAGE, MOTE_RIGHT_WRITE},
        {READ_PAGE, PAGE, MOTE_RIGHT_EXEC}, {READ_PAGE, PAGE, 8 | RWX}, {READ_PAGE, PAGE, 1ULL << 32 | RWX},
        {MEM_END, PAGE, 0}, {MEM_END - PAGE, 2 * PAGE, 0}, {MEM_END - PAGE, MOTE_RIGHTS_MAX, 0}, {0x9F000, 2 * PAGE, 0},
        {READ_PAGE, MOTE_RIGHTS_MAX + PAGE, 0}, {READ_PAGE, ~(PAGE - 1), 0}, {~(PAGE - 1), PAGE, 0}, {~(PAGE - 1), 2 * PAGE, 0},
        {1ULL << 52, PAGE, 0}, {0xFEE00000, PAGE, 0}, {ROM, PAGE, RWX}, {ROM, PAGE, MOTE_RIGHT_READ | MOTE_RIGHT_WRITE},
    };
    u32 accepted = 0;

    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        accepted += rights(bad[i].address, bad[i].bytes, bad[i].what) != (u64)MOTE_EINVAL;
    }
    check(accepted == 0 && *at(READ_PAGE) == PATTERN, "refused", "calls=%u accepted=%u", (u32)ARRAY_SIZE(bad), accepted);
}

/* A whole large leaf and the halves of two. */
static void test_ranges(void)
{
    u32 bad = 0;

    for (u64 start = 0xA00000; start <= 0xB00000; start += 0x100000) {
        u64 last = start + MOTE_RIGHTS_MAX - PAGE;
        *at(start) = *at(last) = PATTERN;
        bad += rights(start, MOTE_RIGHTS_MAX, 0) != 0 || rights(start, MOTE_RIGHTS_MAX, 0) != 0;
        bad += *at(start) != ~0ULL || *at(last) != ~0ULL || *at(last + PAGE) == ~0ULL || *at(start - PAGE) == ~0ULL;
        bad += rights(start + PAGE, PAGE, MOTE_RIGHT_READ) != 0 || *at(start) != ~0ULL || *at(start + PAGE) != 0;
        *at(start + PAGE) = 1;
        bad += rights(start, MOTE_RIGHTS_MAX, RWX) != 0 || rights(start, MOTE_RIGHTS_MAX, RWX) != 0;
        bad += *at(start) != PATTERN || *at(last) != PATTERN || *at(start + PAGE) != 0;
    }
    bad += rights(ROM, PAGE, 0) != 0 || *at(ROM) != ~0ULL || rights(ROM, PAGE, MOTE_RIGHT_READ) != 0 || *(volatile u32 *)ROM != 0x20445352;
    check(bad == 0, "ranges", "bad=%u", bad);
}

static void test_many_times(void)
{
    u32 bad = 0, calls = 1000;

    for (u32 i = 0; i < calls / 2; i++) {
        bad += rights(READ_PAGE, PAGE, 0) != 0;
        bad += rights(READ_PAGE, PAGE, RWX) != 0;
    }
    check(bad == 0 && *at(READ_PAGE) == PATTERN, "many-times", "calls=%u bad=%u", calls, bad);
}

/* --- events whose delivery meets an IDT that is not there --- */

static u8 idt_page[PAGE] __attribute__((aligned(4096)));

static void on_event(u32 vector)
{
    count++;
    if (vector == VECTOR && apic_get(APIC_ISR + VECTOR / 32) != 0) {
        apic_set(APIC_EOI, 0);
    }
}

static u64 hide(void)
{
    return hypercall(MOTE_HC_HIDE, (u64)idt_page, 0, 0, 0, 0, 0);
}

static void use_own_idt(void)
{
    struct __attribute__((packed)) { u16 limit; u64 base; } table;

    __asm__ volatile("sidt %0" : "=m"(table));
    memcpy(idt_page, (const void *)table.base, sizeof(idt_page));
    table.base = (u64)idt_page;
    __asm__ volatile("lidt %0" ::"m"(table));
}

static void interrupt(void)
{
    apic_send(0, ICR_SELF | VECTOR);
    sti();
    __asm__ volatile("nop; nop");
    cli();
}

static void soft_interrupt(void)
{
    __asm__ volatile("int $0x51" ::: "memory");
}

static void nmi(void)
{
    (void)hypercall(MOTE_HC_NMI, 0, 0, 0, 0, 0, 0);
    __asm__ volatile("nop; nop");
}

static void exception(void)
{
    count += TRY("ud2", ::) == 6;
}

static void each_once(void (*event)(void), const char *name)
{
    u32 refused = 0, astray = 0;

    for (u32 i = 0; i < EVENTS; i++) {
        u32 before = count;
        refused += hide() != 0;
        event();
        astray += count != before + 1;
    }
    check(refused == 0 && astray == 0, name, "sent=%u refused=%u astray=%u", EVENTS, refused, astray);
}

static void test_events(void)
{
    use_own_idt();
    set_handler(VECTOR, on_event);
    set_handler(2, on_event);
    each_once(interrupt, "irq-without-idt");
    each_once(soft_interrupt, "int-without-idt");
    each_once(exception, "exception-without-idt");
    each_once(nmi, "nmi-without-idt");
    check(hypercall(MOTE_HC_HIDE, READ_PAGE + 8, 0, 0, 0, 0, 0) == (u64)MOTE_EINVAL &&
              hypercall(MOTE_HC_HIDE, MEM_END, 0, 0, 0, 0, 0) == (u64)MOTE_EINVAL, "hide-refused", "%u", 0);
}

/* What ends the VM: to run what is data, or, on AMD, to have given the page tables away. */
static void end_badly(void)
{
    if (on_amd()) {
        (void)rights(READ_REG(cr3), PAGE, 0);
    } else {
        (void)rights(READ_PAGE, PAGE, MOTE_RIGHT_READ | MOTE_RIGHT_WRITE);
        ((void (*)(void))READ_PAGE)();
    }
}

void guest_main(void)
{
    *at(READ_PAGE) = PATTERN;
    pic_setup(32);
    apic_enable(false);
    u32 up = start_cpu(1, reader);
    up += start_cpu(2, writer);
    up += start_cpu(3, reader);
    check(up == 3, "cpus", "up=%u", up);
    test_reads();
    test_writes();
    stop = 1;
    test_all_at_once();
    test_refusals();
    test_ranges();
    test_many_times();
    test_events();
    end_badly();
}
