/* Autopsy of a triple fault: follow the delivery of an exception through IDT, GDT, TSS and stack until it breaks.
 * Intel SDM Vol. 3, 6.10 to 6.14. */
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/autopsy.h"
#include "vcpu/x86_64/task.h"

#define REAL_VECTOR_BYTES 4U
#define GATE_BYTES 8U
#define LONG_GATE_BYTES 16U

/* Gates and descriptors as 64-bit words: SDM figures 6-2, 6-7, 3-8. */
#define GATE_SELECTOR GENMASK(31, 16)
#define GATE_OFFSET_LOW GENMASK(15, 0)
#define GATE_OFFSET_MID GENMASK(63, 48)
#define GATE_OFFSET_HIGH GENMASK(31, 0)
#define GATE_IST GENMASK(34, 32)
#define DESC_TYPE GENMASK(44, 40) /* with S */
#define DESC_DPL GENMASK(46, 45)
#define DESC_P BIT(47)
#define DESC_CODE_BITS (BIT(44) | BIT(43))
#define DESC_CONFORMING BIT(42)
#define DESC_DATA_BITS (BIT(44) | BIT(43) | BIT(41))
#define DESC_DATA_WRITABLE (BIT(44) | BIT(41))
#define DESC_L BIT(53)
#define TSS_STACKS 4U
#define TSS_IST 36U
#define TSS_LIMIT_LEAST 0x67U
#define TSS16_LIMIT_LEAST 0x2BU
#define PUSHED 8U

enum gate_type { GATE_TASK = 5, GATE_INT16 = 6, GATE_TRAP16 = 7, GATE_INT32 = 14, GATE_TRAP32 = 15 };

#define SAY(d, ...) ((void)fmt_snprintf((d)->why, AUTOPSY_WHY_MAX, __VA_ARGS__), false)

struct delivery {
    struct vcpu *v;
    const struct vcpu_arch *a;
    bool long_mode;
    char name[24]; /* "vector 6 (#UD)" */
    u8 vector;
    u64 gate, gate_high;
    u64 code; /* the code descriptor */
    char *why;
};

/* Where the first of what is pushed goes. */
struct stack {
    u64 base, pointer;
    u32 limit;
    bool expand_down, big;
};

static void name_vector(struct delivery *d)
{
    static const char *const names[32] = {
        [VECTOR_DE] = "#DE", [VECTOR_DB] = "#DB", [VECTOR_BP] = "#BP", [VECTOR_OF] = "#OF", [VECTOR_UD] = "#UD",
        [VECTOR_NM] = "#NM", [VECTOR_DF] = "#DF", [VECTOR_TS] = "#TS", [VECTOR_NP] = "#NP", [VECTOR_SS] = "#SS",
        [VECTOR_GP] = "#GP", [VECTOR_PF] = "#PF", [VECTOR_MF] = "#MF", [VECTOR_AC] = "#AC", [VECTOR_XM] = "#XM",
    };
    const char *name = d->vector < ARRAY_SIZE(names) ? names[d->vector] : NULL;

    (void)fmt_snprintf(d->name, sizeof(d->name), name != NULL ? "vector %u (%s)" : "vector %u", d->vector, name);
}

/* Copy len bytes, at most 16, of a table; says why not. */
static bool read_table(const struct delivery *d, u64 va, void *buf, size_t len, const char *what)
{
    u8 *to = buf;

    if (!autopsy_reachable(d->v, va, len, 0, what, d->why)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        struct x86_walk_result at;
        if (x86_walk(d->v, GVA(va + i), 0, false, &at) != 0 ||
            d->v->config.mem->ram_read(d->v->config.ctx, at.gpa, to + i, 1) != 0) {
            return false;
        }
    }
    return true;
}

static bool check_limit(const struct delivery *d, u32 size)
{
    if (d->vector * size + size - 1 > d->a->idtr.limit) {
        return SAY(d, "IDT limit 0x%x: no gate for %s", d->a->idtr.limit, d->name);
    }
    return true;
}

static bool check_gate(struct delivery *d)
{
    u32 size = d->long_mode ? LONG_GATE_BYTES : GATE_BYTES;
    u64 at = d->a->idtr.base + d->vector * size;
    char what[64];

    (void)fmt_snprintf(what, sizeof(what), "IDT entry of %s", d->name);
    if (!check_limit(d, size) || !read_table(d, at, &d->gate, GATE_BYTES, what) ||
        (d->long_mode && !read_table(d, at + GATE_BYTES, &d->gate_high, GATE_BYTES, what))) {
        return false;
    }
    u64 type = FIELD_GET(DESC_TYPE, d->gate);
    bool known = type == GATE_INT32 || type == GATE_TRAP32 ||
                 (!d->long_mode && (type == GATE_TASK || type == GATE_INT16 || type == GATE_TRAP16));
    if (d->gate == 0) {
        return SAY(d, "IDT entry of %s is empty", d->name);
    }
    if (!known) {
        return SAY(d, "IDT entry of %s has type 0x%llx, which is no gate", d->name, (unsigned long long)type);
    }
    return (d->gate & DESC_P) != 0 || SAY(d, "gate of %s is not present", d->name);
}

/* The descriptor of a selector that lies in what `holder` names. Says what is wrong. */
static bool read_descriptor(const struct delivery *d, u32 selector, const char *holder, u64 *descriptor)
{
    bool local = (selector & SELECTOR_TI) != 0;
    const struct x86_seg *ldtr = &d->a->seg[X86_LDTR];
    u64 base = local ? ldtr->base : d->a->gdtr.base;
    u32 limit = !local ? d->a->gdtr.limit : (ldtr->attr & SEG_UNUSABLE) == 0 ? ldtr->limit : 0;
    u32 offset = selector & ~(SELECTOR_TI | SELECTOR_RPL);
    const char *table = local ? "LDT" : "GDT";
    char what[64];

    if (offset == 0 && !local) {
        return SAY(d, "%s has a null selector", holder);
    }
    if (offset + 7 > limit) {
        return SAY(d, "selector 0x%x in the %s is beyond the %s limit 0x%x", selector, holder, table, limit);
    }
    (void)fmt_snprintf(what, sizeof(what), "%s entry 0x%x for %s", table, selector, d->name);
    return read_table(d, base + offset, descriptor, sizeof(*descriptor), what);
}

static bool check_code(struct delivery *d)
{
    u32 selector = (u32)FIELD_GET(GATE_SELECTOR, d->gate);
    u32 ring;
    char holder[48];

    (void)fmt_snprintf(holder, sizeof(holder), "gate of %s", d->name);
    if (!read_descriptor(d, selector, holder, &d->code)) {
        return false;
    }
    if ((d->code & DESC_CODE_BITS) != DESC_CODE_BITS) {
        return SAY(d, "selector 0x%x in the %s is no code segment", selector, holder);
    }
    if ((d->code & DESC_P) == 0) {
        return SAY(d, "selector 0x%x in the %s is not present", selector, holder);
    }
    ring = (u32)FIELD_GET(DESC_DPL, d->code);
    if (ring > d->a->cpl || (ring != 0 && (d->a->rflags & RFLAGS_VM) != 0)) {
        return SAY(d, "selector 0x%x in the %s is code of ring %u, which ring %u%s may not enter", selector, holder, ring,
                   d->a->cpl, (d->a->rflags & RFLAGS_VM) != 0 ? " in virtual-8086 mode" : "");
    }
    return !d->long_mode || (d->code & DESC_L) != 0 ||
           SAY(d, "selector 0x%x in the %s is no 64-bit code segment", selector, holder);
}

/* SDM Vol. 3, 8.2.1 "Task-State Segment (TSS)", 8.2.5 "Task-Gate Descriptor". */
static bool check_task(const struct delivery *d)
{
    u32 selector = (u32)FIELD_GET(GATE_SELECTOR, d->gate);
    u64 tss = 0;
    char holder[48];

    (void)fmt_snprintf(holder, sizeof(holder), "task gate of %s", d->name);
    if (!read_descriptor(d, selector, holder, &tss)) {
        return false;
    }
    u64 type = FIELD_GET(DESC_TYPE, tss);
    if (type == (TSS_TYPE_32 | TSS_BUSY) || type == (TSS_TYPE_16 | TSS_BUSY)) {
        return SAY(d, "TSS 0x%x in the %s is busy", selector, holder);
    }
    if ((type != TSS_TYPE_32 && type != TSS_TYPE_16) || (tss & DESC_P) == 0) {
        return SAY(d, "selector 0x%x in the %s is no TSS that is present", selector, holder);
    }
    struct x86_seg seg = task_segment((u16)selector, tss);
    if (seg.limit < (type == TSS_TYPE_32 ? TSS_LIMIT_LEAST : TSS16_LIMIT_LEAST)) {
        return SAY(d, "TSS 0x%x in the %s has the limit 0x%x, which is too little", selector, holder, seg.limit);
    }
    return autopsy_reachable(d->v, seg.base, TSS16_LIMIT_LEAST + 1, X86_ACCESS_WRITE, "TSS", d->why);
}

static bool check_handler(const struct delivery *d)
{
    u64 offset = FIELD_GET(GATE_OFFSET_LOW, d->gate) | FIELD_GET(GATE_OFFSET_MID, d->gate) << 16;
    char what[64];

    if (d->long_mode) {
        offset |= FIELD_GET(GATE_OFFSET_HIGH, d->gate_high) << 32;
    } else {
        offset = (task_segment(0, d->code).base + offset) & GENMASK(31, 0);
    }
    (void)fmt_snprintf(what, sizeof(what), "handler of %s", d->name);
    return autopsy_reachable(d->v, offset, 1, X86_ACCESS_FETCH, what, d->why);
}

/* The stack pointer that a 64-bit TSS gives. */
static bool pointer_of_tss(const struct delivery *d, u32 at, u64 *rsp)
{
    const struct x86_seg *tr = &d->a->seg[X86_TR];

    if (at + 7 > tr->limit) {
        return SAY(d, "TSS limit 0x%x: no stack for %s", tr->limit, d->name);
    }
    return read_table(d, tr->base + at, rsp, sizeof(*rsp), "TSS");
}

static struct stack stack_in(const struct x86_seg *ss, u64 pointer)
{
    return (struct stack){.base = ss->base, .pointer = pointer, .limit = ss->limit,
                          .expand_down = (ss->attr & SEG_EXPAND_DOWN) != 0, .big = (ss->attr & SEG_DB) != 0};
}

/* The stack that a TSS gives outside 64-bit mode: a pointer and a selector for each inner ring. SDM Vol. 3, 8.2.1, 6.12.1. */
static bool stack_of_tss(const struct delivery *d, u32 ring, struct stack *stack)
{
    const struct x86_seg *tr = &d->a->seg[X86_TR];
    u32 size = (tr->attr & SEG_TYPE & ~TSS_BUSY) == TSS_TYPE_32 ? 4 : 2;
    u32 at = size + 2 * size * ring;
    u16 selector = 0;
    u64 descriptor = 0;
    char holder[64];

    if (at + size + 1 > tr->limit) {
        return SAY(d, "TSS limit 0x%x: no stack for %s", tr->limit, d->name);
    }
    (void)fmt_snprintf(holder, sizeof(holder), "stack entry of the TSS for %s", d->name);
    if (!read_table(d, tr->base + at, &stack->pointer, size, "TSS") ||
        !read_table(d, tr->base + at + size, &selector, sizeof(selector), "TSS") ||
        !read_descriptor(d, selector, holder, &descriptor)) {
        return false;
    }
    if ((descriptor & DESC_DATA_BITS) != DESC_DATA_WRITABLE || (descriptor & DESC_P) == 0) {
        return SAY(d, "selector 0x%x in the %s is no writable data segment that is present", selector, holder);
    }
    if (FIELD_GET(DESC_DPL, descriptor) != ring || (selector & SELECTOR_RPL) != ring) {
        return SAY(d, "selector 0x%x in the %s is not of ring %u", selector, holder, ring);
    }
    struct x86_seg ss = task_segment(selector, descriptor);
    *stack = stack_in(&ss, stack->pointer);
    return true;
}

/* SDM Vol. 3, 5.3 "Limit Checking". */
static bool check_segment_stack(const struct delivery *d, const struct stack *stack, u32 pushed)
{
    u32 mask = stack->big ? (u32)GENMASK(31, 0) : (u32)GENMASK(15, 0);
    u32 first = ((u32)stack->pointer - pushed) & mask, last = ((u32)stack->pointer - 1) & mask;
    bool inside = first <= last && (stack->expand_down ? first > stack->limit : last <= stack->limit);

    if (!inside) {
        return SAY(d, "stack pointer 0x%x is not within its segment's limit 0x%x", (u32)stack->pointer & mask, stack->limit);
    }
    return autopsy_reachable(d->v, (stack->base + first) & GENMASK(31, 0), pushed, X86_ACCESS_WRITE, "stack", d->why);
}

static bool check_stack(const struct delivery *d)
{
    u32 ist = d->long_mode ? (u32)FIELD_GET(GATE_IST, d->gate) : 0;
    u32 ring = (u32)FIELD_GET(DESC_DPL, d->code);
    bool inner = (d->code & DESC_CONFORMING) == 0 && ring < d->a->cpl;
    u64 type = FIELD_GET(DESC_TYPE, d->gate);
    struct stack stack = stack_in(&d->a->seg[X86_SS], d->a->gpr[X86_RSP]);

    if (!d->long_mode) {
        return (!inner || stack_of_tss(d, ring, &stack)) &&
               check_segment_stack(d, &stack, type == GATE_INT32 || type == GATE_TRAP32 ? 4 : 2);
    }
    if ((inner || ist != 0) && !pointer_of_tss(d, ist != 0 ? TSS_IST + 8 * ist - 8 : TSS_STACKS + 8 * ring, &stack.pointer)) {
        return false;
    }
    return autopsy_reachable(d->v, stack.pointer - PUSHED, PUSHED, X86_ACCESS_WRITE, "stack", d->why);
}

bool autopsy_deliverable(struct vcpu *v, u8 vector, char *why)
{
    const struct vcpu_arch *a = v->cpu != CPU_MAX ? x86_regs(v, X86_G_ALL) : &v->arch;
    struct delivery d = {.v = v, .a = a, .vector = vector, .why = why, .long_mode = (a->efer & EFER_LMA) != 0};

    name_vector(&d);
    if ((a->cr0 & CR0_PE) == 0) {
        struct stack stack = stack_in(&a->seg[X86_SS], a->gpr[X86_RSP]);
        return check_limit(&d, REAL_VECTOR_BYTES) && check_segment_stack(&d, &stack, 2);
    }
    if (!check_gate(&d)) {
        return false;
    }
    if (FIELD_GET(DESC_TYPE, d.gate) == GATE_TASK) {
        return check_task(&d);
    }
    return check_code(&d) && check_handler(&d) && check_stack(&d);
}
