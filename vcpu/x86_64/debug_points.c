/* Breakpoints and watchpoints of a debugger outside, in the CPU's debug registers (SDM Vol. 3 18.2 "Debug Registers", APM Vol. 2
 * 13.1.1). While it has any the registers are its, in v->arch as in the CPU; the guest's own lie in v->arch.own_dr, where its
 * accesses, which exit then, find them. */
#include "kernel/lib/string.h"
#include "vcpu/debug.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/x86.h"

#define DR7_GLOBAL(point) BIT(2 * (point) + 1)
#define DR7_LEN_SHIFT(point) (18 + 4 * (point))
#define DR6_POINTS (DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3)
#define DR6_OTHERS (DR6_BD | DR6_BS | DR6_BT)

static u64 control_of(u32 point, const struct vcpu_debug_point *p)
{
    static const u8 types[] = {
        [VCPU_DEBUG_EXECUTE] = DR7_EXECUTE, [VCPU_DEBUG_WRITE] = DR7_WRITE, [VCPU_DEBUG_ACCESS] = DR7_ACCESS};
    static const u8 lengths[] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};

    return DR7_GLOBAL(point) | (u64)types[p->type] << DR7_TYPE_SHIFT(point) | (u64)lengths[p->len] << DR7_LEN_SHIFT(point);
}

static void give_back(struct vcpu_arch *a)
{
    memcpy(a->dr, a->own_dr.dr, sizeof(a->dr));
    a->dr6 = a->own_dr.dr6;
    a->dr7 = a->own_dr.dr7;
}

void vcpu_debug_watch(struct vcpu *v, const struct vcpu_debug_point points[VCPU_DEBUG_POINTS])
{
    struct vcpu_arch *a = x86_regs(v, X86_G_DR);
    bool owned = a->debug.owns;

    if (owned) {
        give_back(a);
    }
    a->debug.owns = false;
    a->debug.control = DR7_FIXED | DR7_GE;
    for (u32 i = 0; i < VCPU_DEBUG_POINTS; i++) {
        a->debug.points[i] = points[i].address;
        if (points[i].type != VCPU_DEBUG_NOTHING) {
            a->debug.owns = true;
            a->debug.control |= control_of(i, &points[i]);
        }
    }
    if (a->debug.owns) {
        x86_debug_take(a);
    }
    if (owned || a->debug.owns) {
        x86_regs_changed(v, X86_G_DR);
        v->backend->set_debug(v);
    }
}

static bool is_enabled(const struct vcpu_arch *a, u32 point)
{
    return a->debug.owns && (a->debug.control & DR7_GLOBAL(point)) != 0;
}

static bool executes(const struct vcpu_arch *a, u32 point)
{
    return DR7_TYPE(a->debug.control, point) == DR7_EXECUTE;
}

/* What the hardware says of a #DB in the bits of DR6: Intel by the qualification, AMD in DR6. */
static u64 told_of(struct vcpu *v, const struct x86_exit *xe)
{
    return xe->qual != 0 ? xe->qual : x86_regs(v, X86_G_DR)->dr6 & (DR6_POINTS | DR6_OTHERS);
}

/* Bochs' AMD CPU has not written DR6 yet: an address to execute is known by the PC, of data the first is taken. */
static u8 guess(struct vcpu *v)
{
    const struct vcpu_arch *a = &v->arch;
    u8 data = 0;

    for (u32 i = VCPU_DEBUG_POINTS; i-- > 0;) {
        if (is_enabled(a, i) && executes(a, i) && a->debug.points[i] == vcpu_debug_address(v).v) {
            return (u8)(i + 1);
        }
        data = is_enabled(a, i) && !executes(a, i) ? (u8)(i + 1) : data;
    }
    return (a->rflags & RFLAGS_TF) == 0 ? data : 0; /* else it is the trap of TF */
}

/* 1 + the number of the point that a #DB tells of; 0: of none. */
static u8 point_of(struct vcpu *v, const struct x86_exit *xe)
{
    const struct vcpu_arch *a = x86_regs(v, X86_G_DR);
    u64 told = told_of(v, xe);

    for (u32 i = 0; i < VCPU_DEBUG_POINTS; i++) {
        if (is_enabled(a, i) && (told & BIT(i)) != 0) {
            return (u8)(i + 1);
        }
    }
    return a->debug.owns && told == 0 ? guess(v) : 0;
}

/* What of a #DB is the guest's goes into its DR6 (SDM 28.2.1). AMD has written it, where it is the guest's. */
static void leave_trace(struct vcpu *v, const struct x86_exit *xe, u64 points)
{
    struct vcpu_arch *a = x86_regs(v, X86_G_DR);
    u64 told = (a->debug.owns ? told_of(v, xe) : xe->qual) & (points | DR6_BD | DR6_BS);

    if (told != 0) {
        x86_dr6_add(v, told);
    }
}

/* The debugger's DR6 is of no use any more. */
static void clear_status(struct vcpu *v)
{
    if (v->arch.debug.owns) {
        x86_regs(v, X86_G_DR)->dr6 = DR6_FIXED;
        hostcpu_set_dr6(DR6_FIXED);
        x86_regs_changed(v, X86_G_DR);
    }
}

bool x86_exit_debug(struct vcpu *v, const struct x86_exit *xe, struct vcpu_exit *exit)
{
    u8 point = point_of(v, xe);
    bool stepped = x86_step_trapped(v, xe);
    bool guests = (point == 0 && !stepped) || (stepped && v->arch.debug.own_tf);

    if (guests) {
        leave_trace(v, xe, v->arch.debug.owns ? 0 : DR6_POINTS);
    }
    if (stepped) {
        x86_exit_step(v, exit);
    } else if (point != 0) {
        exit->kind = VCPU_EXIT_DEBUG;
        exit->debug.breakpoint = false;
        v->arch.rflags &= ~RFLAGS_RF; /* Intel sets it: whoever does not step over an address meets it again */
        x86_regs_changed(v, X86_G_CORE);
    }
    exit->debug.point = point;
    clear_status(v);
    return !guests;
}
