#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/task.h"

/* SDM 8.2.1 figure 8-2; selectors have 16 reserved bits above them. */
struct tss32 {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3;
    u32 eip, eflags, gpr[TASK_GPRS], selector[TASK_SEGS];
    u32 ldt;
    u16 trap, io_map;
} PACKED;
_Static_assert(sizeof(struct tss32) == 104 && offsetof(struct tss32, eip) == 32 && offsetof(struct tss32, ldt) == 96, "TSS");

/* SDM 8.6 figure 8-10 */
struct tss16 {
    u16 link, sp0, ss0, sp1, ss1, sp2, ss2;
    u16 ip, flags, gpr[TASK_GPRS], selector[TASK_SEGS - 2], ldt;
} PACKED;
_Static_assert(sizeof(struct tss16) == 44 && offsetof(struct tss16, ip) == 14 && offsetof(struct tss16, ldt) == 42, "TSS");

#define TSS_TYPE_WIDE BIT32(3)
#define TSS_TRAP BIT32(0)

int task_probe(struct vcpu *v, u64 va, size_t len, u32 access)
{
    u64 first = va & GENMASK(31, 0), last = first + len - 1; /* no task switch in long mode: 32-bit addresses */

    for (u64 at = first; at <= last; at = ALIGN_DOWN(at, PAGE_BYTES) + PAGE_BYTES) {
        struct x86_walk_result walked;
        if (x86_walk(v, GVA(at), access, true, &walked) != 0) {
            x86_raise_pf(v, GVA(at), walked.fault_error);
            return -E_GUEST;
        }
    }
    return 0;
}

int task_read(struct vcpu *v, u64 va, void *buf, size_t len)
{
    int rc = task_probe(v, va, len, 0);

    if (rc != 0) {
        return rc;
    }
    return x86_read_linear(v, GVA(va), buf, len, 0) != 0 ? -E_NOSYS : 0;
}

int task_write(struct vcpu *v, u64 va, const void *buf, size_t len)
{
    int rc = task_probe(v, va, len, X86_ACCESS_WRITE);

    if (rc != 0) {
        return rc;
    }
    return x86_write_linear(v, GVA(va), buf, len, 0) != 0 ? -E_NOSYS : 0;
}

int task_fault(const struct task_switch *t, u8 vector, u16 selector)
{
    x86_raise(t->v, vector, true, (selector & ~SELECTOR_RPL) | t->external);
    return -E_GUEST;
}

int task_descriptor(const struct task_switch *t, u16 selector, u8 vector, u64 *raw, u64 *at)
{
    const struct x86_seg *ldt = &t->a->seg[X86_LDTR];
    bool local = (selector & SELECTOR_TI) != 0;
    u32 offset = selector & SELECTOR_INDEX;
    u64 base = local ? ldt->base : t->a->gdtr.base;
    u32 limit = local ? ldt->limit : t->a->gdtr.limit;

    if ((local && (ldt->attr & SEG_UNUSABLE) != 0) || offset + DESC_BYTES - 1 > limit) {
        return task_fault(t, vector, selector);
    }
    *at = base + offset;
    return task_read(t->v, *at, raw, sizeof(*raw));
}

struct x86_seg task_segment(u16 selector, u64 raw)
{
    u32 attr = (u32)(FIELD_GET(DESC_ATTR, raw) & ~DESC_ATTR_LIMIT);
    u32 limit = (u32)(FIELD_GET(DESC_LIMIT_HIGH, raw) << 16 | FIELD_GET(DESC_LIMIT_LOW, raw));

    if ((attr & SEG_G) != 0) {
        limit = limit << 12 | (u32)(PAGE_BYTES - 1);
    }
    u64 base = FIELD_GET(DESC_BASE_HIGH, raw) << 24 | FIELD_GET(DESC_BASE_LOW, raw);
    return (struct x86_seg){.selector = selector, .attr = attr, .limit = limit, .base = base};
}

u32 task_tss_limit(bool wide)
{
    return (u32)(wide ? sizeof(struct tss32) : sizeof(struct tss16)) - 1;
}

static int read_wide(const struct task_switch *t, struct task_state *out)
{
    struct tss32 tss;
    int rc = task_read(t->v, t->tss.base, &tss, sizeof(tss));

    if (rc != 0) {
        return rc;
    }
    *out = (struct task_state){.cr3 = tss.cr3, .eip = tss.eip, .eflags = tss.eflags, .ldt = (u16)tss.ldt,
                               .trap = (tss.trap & TSS_TRAP) != 0};
    for (unsigned i = 0; i < TASK_GPRS; i++) {
        out->gpr[i] = tss.gpr[i];
    }
    for (unsigned i = 0; i < TASK_SEGS; i++) {
        out->selector[i] = (u16)tss.selector[i];
    }
    return 0;
}

/* A 16-bit task has no FS and GS: they become null. */
static int read_narrow(const struct task_switch *t, struct task_state *out)
{
    struct tss16 tss;
    int rc = task_read(t->v, t->tss.base, &tss, sizeof(tss));

    if (rc != 0) {
        return rc;
    }
    *out = (struct task_state){.eip = tss.ip, .eflags = tss.flags, .ldt = tss.ldt};
    for (unsigned i = 0; i < TASK_GPRS; i++) {
        out->gpr[i] = tss.gpr[i];
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tss.selector); i++) {
        out->selector[i] = tss.selector[i];
    }
    return 0;
}

int task_state_read(const struct task_switch *t, struct task_state *out)
{
    return t->wide ? read_wide(t, out) : read_narrow(t, out);
}

static int write_wide(struct vcpu *v, u64 base, const struct task_state *state)
{
    const size_t from = offsetof(struct tss32, eip), to = offsetof(struct tss32, ldt);
    struct tss32 tss = {.eip = state->eip, .eflags = state->eflags};

    for (unsigned i = 0; i < TASK_GPRS; i++) {
        tss.gpr[i] = state->gpr[i];
    }
    for (unsigned i = 0; i < TASK_SEGS; i++) {
        tss.selector[i] = state->selector[i];
    }
    return task_write(v, base + from, (const u8 *)&tss + from, to - from);
}

static int write_narrow(struct vcpu *v, u64 base, const struct task_state *state)
{
    const size_t from = offsetof(struct tss16, ip), to = offsetof(struct tss16, ldt);
    struct tss16 tss = {.ip = (u16)state->eip, .flags = (u16)state->eflags};

    for (unsigned i = 0; i < TASK_GPRS; i++) {
        tss.gpr[i] = (u16)state->gpr[i];
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tss.selector); i++) {
        tss.selector[i] = state->selector[i];
    }
    return task_write(v, base + from, (const u8 *)&tss + from, to - from);
}

int task_state_write(struct vcpu *v, const struct x86_seg *tr, const struct task_state *state)
{
    return (tr->attr & TSS_TYPE_WIDE) != 0 ? write_wide(v, tr->base, state) : write_narrow(v, tr->base, state);
}
