/* Autopsy of a triple fault: follow the delivery of an exception through IDT, GDT, TSS and stack until it breaks.
 * Intel SDM Vol. 3, 6.10 to 6.14. */
#include "kernel/lib/errno.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/autopsy.h"

#define PAGE_BYTES KIB(4)
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
#define DESC_L BIT(53)
#define DESC_BASE_LOW GENMASK(39, 16)
#define DESC_BASE_HIGH GENMASK(63, 56)
#define SELECTOR_TI 4U
#define SELECTOR_RPL 3U
#define TSS_STACKS 4U
#define TSS_IST 36U
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

static bool check_code(struct delivery *d)
{
    u32 selector = (u32)FIELD_GET(GATE_SELECTOR, d->gate);
    u32 offset = selector & ~(SELECTOR_TI | SELECTOR_RPL);
    char what[64];

    if (offset == 0) {
        return SAY(d, "gate of %s has a null selector", d->name);
    }
    if (offset + 7 > d->a->gdtr.limit) {
        return SAY(d, "selector 0x%x in the gate of %s is beyond the GDT limit 0x%x", selector, d->name, d->a->gdtr.limit);
    }
    (void)fmt_snprintf(what, sizeof(what), "GDT entry 0x%x for %s", selector, d->name);
    if (!read_table(d, d->a->gdtr.base + offset, &d->code, sizeof(d->code), what)) {
        return false;
    }
    if ((d->code & DESC_CODE_BITS) != DESC_CODE_BITS) {
        return SAY(d, "selector 0x%x in the gate of %s is no code segment", selector, d->name);
    }
    if ((d->code & DESC_P) == 0) {
        return SAY(d, "selector 0x%x in the gate of %s is not present", selector, d->name);
    }
    return !d->long_mode || (d->code & DESC_L) != 0 ||
           SAY(d, "selector 0x%x in the gate of %s is no 64-bit code segment", selector, d->name);
}

static bool check_handler(const struct delivery *d)
{
    u64 offset = FIELD_GET(GATE_OFFSET_LOW, d->gate) | FIELD_GET(GATE_OFFSET_MID, d->gate) << 16;
    char what[64];

    if (d->long_mode) {
        offset |= FIELD_GET(GATE_OFFSET_HIGH, d->gate_high) << 32;
    } else {
        offset += FIELD_GET(DESC_BASE_LOW, d->code) | FIELD_GET(DESC_BASE_HIGH, d->code) << 24;
        offset &= GENMASK(31, 0);
    }
    (void)fmt_snprintf(what, sizeof(what), "handler of %s", d->name);
    return autopsy_reachable(d->v, offset, 1, X86_ACCESS_FETCH, what, d->why);
}

/* The stack pointer that the TSS gives; only looked at in 64-bit mode. */
static bool stack_of_tss(const struct delivery *d, u32 at, u64 *rsp)
{
    const struct x86_seg *tr = &d->a->seg[X86_TR];

    if (at + 7 > tr->limit) {
        return SAY(d, "TSS limit 0x%x: no stack for %s", tr->limit, d->name);
    }
    return read_table(d, tr->base + at, rsp, sizeof(*rsp), "TSS");
}

static bool check_stack(const struct delivery *d)
{
    u32 ist = d->long_mode ? (u32)FIELD_GET(GATE_IST, d->gate) : 0;
    u32 ring = (u32)FIELD_GET(DESC_DPL, d->code);
    bool inner = (d->code & DESC_CONFORMING) == 0 && ring < d->a->cpl;
    u64 rsp = d->a->gpr[X86_RSP];

    if ((inner || ist != 0) && !d->long_mode) {
        return true;
    }
    if ((inner || ist != 0) && !stack_of_tss(d, ist != 0 ? TSS_IST + 8 * ist - 8 : TSS_STACKS + 8 * ring, &rsp)) {
        return false;
    }
    if (!d->long_mode) {
        rsp = (d->a->seg[X86_SS].base + (u32)rsp) & GENMASK(31, 0);
    }
    return autopsy_reachable(d->v, rsp - PUSHED, PUSHED, X86_ACCESS_WRITE, "stack", d->why);
}

bool autopsy_deliverable(struct vcpu *v, u8 vector, char *why)
{
    const struct vcpu_arch *a = v->cpu != CPU_MAX ? x86_regs(v, X86_G_ALL) : &v->arch;
    struct delivery d = {.v = v, .a = a, .vector = vector, .why = why, .long_mode = (a->efer & EFER_LMA) != 0};

    name_vector(&d);
    if ((a->cr0 & CR0_PE) == 0) {
        return check_limit(&d, REAL_VECTOR_BYTES);
    }
    if (!check_gate(&d)) {
        return false;
    }
    bool other_table = (FIELD_GET(GATE_SELECTOR, d.gate) & SELECTOR_TI) != 0;
    if (other_table || FIELD_GET(DESC_TYPE, d.gate) == GATE_TASK) {
        return true;
    }
    return check_code(&d) && check_handler(&d) && check_stack(&d);
}
