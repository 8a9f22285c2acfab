/* A kernel that says how it was started: registers, then the information block line by line, each with checks. Output by
 * polled COM1, like every payload: "CHECK name ok|FAIL detail" lines and "DONE pass=N fail=M" at the end. */
#include "tests/guests/boot/report.h"

#define EFLAGS_IF (1U << 9)
#define EFLAGS_VM (1U << 17)
#define CR0_PE 1U
#define CR0_PG (1U << 31)
#define MB1_MAGIC 0x2BADB002U
#define MB2_MAGIC 0x36D76289U
#define SEGMENT_LIMIT 0xFFFFFFFFU

/* In the order in which start.asm stores them. */
struct registers {
    u32 eax, ebx, ecx, edx, esi, edi, ebp, esp, eflags, cr0, cs;
};

extern const struct registers entry_registers;
static volatile u32 data_mark = 0x600DDA7A;
static volatile u32 bss_mark[2048];

static u32 segment_limit(u32 selector)
{
    u32 limit = 0;

    __asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(selector));
    return limit;
}

static void check_state(const struct registers *r)
{
    u32 ds, ss;
    volatile u32 *low = (volatile u32 *)&data_mark;
    volatile u32 *wrapped = (volatile u32 *)((u32)low ^ (1U << 20));

    __asm__ volatile("mov %%ds, %0; mov %%ss, %1" : "=r"(ds), "=r"(ss));
    print("entry: eax=%x ebx=%x ecx=%x edx=%x esi=%x edi=%x ebp=%x esp=%x eflags=%x cr0=%x cs=%x ds=%x ss=%x\n", r->eax,
          r->ebx, r->ecx, r->edx, r->esi, r->edi, r->ebp, r->esp, r->eflags, r->cr0, r->cs & 0xFFFF, ds, ss);
    check((r->cr0 & CR0_PE) != 0 && (r->cr0 & CR0_PG) == 0, "cr0", "%x", r->cr0);
    check((r->eflags & (EFLAGS_IF | EFLAGS_VM)) == 0, "eflags", "%x", r->eflags);
    check(segment_limit(r->cs & 0xFFFF) == SEGMENT_LIMIT, "cs-limit", "%x", segment_limit(r->cs & 0xFFFF));
    check(segment_limit(ds) == SEGMENT_LIMIT, "ds-limit", "%x", segment_limit(ds));
    u32 before = *wrapped;
    *low = ~before;
    check(*wrapped == before, "a20", "on");
    *low = 0x600DDA7A;
}

static void check_image(void)
{
    u32 sum = 0;

    for (u32 i = 0; i < sizeof(bss_mark) / sizeof(bss_mark[0]); i++) {
        sum |= bss_mark[i];
    }
    check(data_mark == 0x600DDA7A, "data", "%x", data_mark);
    check(sum == 0, "bss", "%x", sum);
}

void report_main(void)
{
    const struct registers *r = &entry_registers;

    print("boot: kernel [%x,%x)\n", (u32)kernel_start, (u32)bss_end);
    check_image();
    check_state(r);
    if (r->eax == MB1_MAGIC) {
        report_mb1(r->ebx);
    } else if (r->eax == MB2_MAGIC) {
        report_mb2(r->ebx);
    } else {
        check(r->eax == 0 && r->ebx == 0, "plain", "eax=%x ebx=%x", r->eax, r->ebx);
    }
    finish();
}
