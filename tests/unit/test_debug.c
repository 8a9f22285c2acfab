/* units: tests/unit/x86_fake.c vcpu/x86_64/debug.c vcpu/x86_64/debug_regs.c vcpu/x86_64/event.c vcpu/x86_64/cpuid.c */
/* units: vcpu/x86_64/debug_points.c vcpu/x86_64/cr.c */
/* units: vcpu/x86_64/regs.c vcpu/x86_64/linear.c vcpu/x86_64/walk.c vcpu/x86_64/decode.c vcpu/x86_64/decode_tables.c */
/* What a debugger outside does to a vCPU: registers, breakpoint instructions, single steps. */
#include "tests/unit/host.h"
#include "kernel/x86_64/regs.h"
#include "tests/unit/x86_fake.h"
#include "vcpu/debug.h"
#include "vcpu/x86_64/exit_insn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT 0x1000U
#define STACK 0x2000U

static struct vcpu_arch *const a = &fake_v.arch;
static u8 fpu[1024];
static u64 fpu_written;
static unsigned waiting;

const struct vcpu_caps *vcpu_backend_caps(void)
{
    static const struct vcpu_caps caps = {.phys_bits = 40};
    return &caps;
}

u8 *x86_fpu_area(struct vcpu *v, u64 written)
{
    (void)v;
    fpu_written |= written;
    return fpu;
}

static bool chip_pending(void *ctx, const struct vcpu *v)
{
    (void)ctx;
    (void)v;
    return waiting != 0;
}

static bool chip_acknowledge(void *ctx, struct vcpu *v, u8 *vector)
{
    (void)ctx;
    (void)v;
    waiting--;
    *vector = 0x30;
    return true;
}

static const struct irqchip_ops chip_ops = {.pending = chip_pending, .acknowledge = chip_acknowledge};

/* 32-bit code at AT, flat, no paging. */
static int setup(void **state)
{
    (void)fake_setup(state);
    memset(fpu, 0, sizeof(fpu));
    fpu_written = 0;
    waiting = 0;
    fake_v.config.chip_ops = &chip_ops;
    a->cr0 = CR0_PE | CR0_ET;
    a->seg[X86_CS].base = 0;
    a->seg[X86_CS].attr = 0xC09B;
    a->seg[X86_SS].attr = 0xC093;
    a->rip = AT;
    a->gpr[X86_RSP] = STACK;
    return 0;
}

static u32 reg_named(const char *name)
{
    char wanted[64];
    u32 number = 0;
    const char *at = vcpu_debug_description;

    (void)snprintf(wanted, sizeof(wanted), "<reg name=\"%s\" ", name);
    for (at = strstr(at, "<reg "); at != NULL; at = strstr(at + 1, "<reg ")) {
        if (strncmp(at, wanted, strlen(wanted)) == 0) {
            return number;
        }
        number++;
    }
    fail_msg("no register %s", name);
    return 0;
}

static int put(const char *name, u64 value)
{
    u8 bytes[VCPU_DEBUG_REG_BYTES] = {0};

    memcpy(bytes, &value, sizeof(value));
    return vcpu_debug_reg_write(&fake_v, reg_named(name), bytes);
}

static u64 get(const char *name)
{
    u8 bytes[VCPU_DEBUG_REG_BYTES];
    u64 value = 0;
    u32 reg = reg_named(name);

    memset(bytes, 0xEE, sizeof(bytes));
    vcpu_debug_reg_read(&fake_v, reg, bytes);
    memcpy(&value, bytes, MIN((size_t)vcpu_debug_reg_size(reg), sizeof(value)));
    return value;
}

static void registers(void **state)
{
    u32 count = 0;

    (void)state;
    for (const char *at = strstr(vcpu_debug_description, "<reg "); at != NULL; at = strstr(at + 1, "<reg ")) {
        const char *bits = strstr(at, "bitsize=\"") + 9;
        assert_int_equal(strtoul(bits, NULL, 10), 8 * vcpu_debug_reg_size(count));
        assert_in_range(vcpu_debug_reg_size(count), 1, VCPU_DEBUG_REG_BYTES);
        count++;
    }
    assert_int_equal(count, vcpu_debug_reg_count());
    assert_int_equal(reg_named("rip"), 16); /* GDB counts on the first ones */
    assert_int_equal(reg_named("gs"), 23);
    a->gpr[X86_RBX] = 0x1122334455667788;
    a->seg[X86_FS].selector = 0x23;
    assert_int_equal(get("rbx"), 0x1122334455667788);
    assert_int_equal(get("fs"), 0x23);
    a->dirty = 0;
    assert_int_equal(put("r15", 42), 0);
    assert_int_equal(a->gpr[X86_R15], 42);
    assert_int_equal(put("xmm1", 0xABCD), 0);
    assert_int_equal(fpu[176], 0xCD);
    assert_int_equal(fpu_written, XCR0_SSE);
    assert_int_equal(put("gs_base", 0xFFFF800000000000), 0);
    assert_true((a->dirty & X86_G_SEG) != 0);
    assert_int_equal(put("gs_base", 0x0000800000000000), -E_INVAL);
    assert_int_equal(put("cr2", 0), -E_NOSYS);
    assert_int_equal(put("cs", 0), -E_NOSYS);
    assert_int_equal(put("eflags", 0xFFFFFFFF), 0);
    assert_int_equal(a->rflags & (RFLAGS_VM | RFLAGS_VIP | RFLAGS_VIF), 0);
    assert_int_equal(put("eflags", 0), 0);
    assert_int_equal(a->rflags, RFLAGS_FIXED);
}

/* By the rules of MOV CR and WRMSR: what they refuse changes nothing. */
static void control_registers(void **state)
{
    (void)state;
    fake_long_mode();
    u64 cr0 = a->cr0, cr4 = a->cr4, efer = a->efer;
    fake_log.flushes = 0;
    assert_int_equal(put("cr3", 0x3000), 0);
    assert_int_equal(a->cr3, 0x3000);
    assert_int_equal(fake_log.flushes, 1);
    assert_int_equal(put("cr3", BIT(62)), -E_INVAL);
    assert_int_equal(put("cr0", cr0 & ~CR0_PG), -E_INVAL); /* in 64-bit code */
    assert_int_equal(put("cr0", CR0_PG), -E_INVAL);
    assert_int_equal(put("cr4", cr4 | CR4_VMXE), -E_INVAL);
    assert_int_equal(put("cr4", 0), -E_INVAL);
    assert_int_equal(put("efer", 0), -E_INVAL);
    assert_int_equal(put("efer", efer | EFER_SVME), -E_INVAL);
    assert_true(a->cr0 == cr0 && a->cr3 == 0x3000 && a->cr4 == cr4 && a->efer == efer);
    a->dirty = 0;
    assert_int_equal(put("cr0", cr0 | CR0_TS | CR0_WP), 0);
    assert_int_equal(put("cr4", cr4 | CR4_PGE), 0);
    assert_int_equal(put("efer", efer | EFER_SCE), 0);
    assert_true(a->cr0 == (cr0 | CR0_TS | CR0_WP) && a->cr4 == (cr4 | CR4_PGE) && a->efer == (efer | EFER_SCE));
    assert_true((a->dirty & X86_G_CR) != 0);
}

/* One that was halted, in the shadow of STI, goes where it is sent. */
static void the_pc(void **state)
{
    (void)state;
    a->blocking = X86_BLOCK_STI | X86_BLOCK_NMI;
    assert_int_equal(put("rip", 0x1234), 0);
    assert_int_equal(a->rip, 0x1234);
    assert_int_equal(a->blocking, X86_BLOCK_NMI);
    assert_true((fake_v.requests & VCPU_REQ_WAKE) != 0);
    assert_int_equal(put("rip", BIT(63)), -E_INVAL);
    a->seg[X86_CS].base = 0x10000;
    assert_int_equal(vcpu_debug_address(&fake_v).v, 0x11234);
}

static void code(const char *bytes, size_t len)
{
    memcpy(fake_ram + AT, bytes, len);
}

static enum vcpu_exit_kind breakpoint_exit(void)
{
    const struct x86_exit xe = {.code = X86_EXIT_BREAKPOINT};
    struct vcpu_exit exit = {.kind = VCPU_EXIT_NONE};

    a->reinject = false;
    x86_exit_breakpoint(&fake_v, &xe, &exit);
    return exit.kind;
}

static void breakpoints(void **state)
{
    (void)state;
    code("\xCC", 1);
    assert_int_equal(breakpoint_exit(), VCPU_EXIT_DEBUG);
    assert_false(a->reinject);
    vcpu_debug_pass(&fake_v); /* it is the guest's own */
    assert_true(a->reinject);
    assert_int_equal(a->interrupted_type, VCPU_EVENT_SOFT_EXCEPTION);
    assert_int_equal(a->interrupted_vector, 3);
    assert_int_equal(a->interrupted_len, 1);
    code("\x66\x2E\xCC", 3);
    assert_int_equal(breakpoint_exit(), VCPU_EXIT_DEBUG);
    vcpu_debug_pass(&fake_v);
    assert_int_equal(a->interrupted_len, 3);
    code("\xCD\x80", 2);
    assert_int_equal(breakpoint_exit(), VCPU_EXIT_NONE);
    assert_int_equal(a->interrupted_type, VCPU_EVENT_SOFT_IRQ);
    assert_int_equal(a->interrupted_vector, 0x80);
    assert_int_equal(a->interrupted_len, 2);
    code("\xCE", 1);
    assert_int_equal(breakpoint_exit(), VCPU_EXIT_NONE);
    assert_int_equal(a->interrupted_vector, 4);
    code("\x90", 1); /* another CPU has changed it meanwhile */
    assert_int_equal(breakpoint_exit(), VCPU_EXIT_DEBUG);
    vcpu_debug_pass(&fake_v);
    assert_false(a->reinject);
}

/* An instruction that an exit emulates counts as one step, and interrupts wait for it. */
static void a_step(void **state)
{
    struct vcpu_exit exit = {.kind = VCPU_EXIT_NONE};

    (void)state;
    code("\x90\x90", 2);
    a->rflags |= RFLAGS_IF;
    a->blocking = X86_BLOCK_STI;
    waiting = 1;
    vcpu_debug_step(&fake_v);
    assert_true((a->rflags & RFLAGS_TF) != 0);
    assert_int_equal(a->blocking, 0);
    fake_v.requests |= VCPU_REQ_EVENT;
    assert_true(x86_before_entry(&fake_v, &exit));
    assert_int_equal(fake_log.injected, 0);
    x86_advance(&fake_v, 1);
    assert_false(a->exception.valid);
    assert_false(x86_before_entry(&fake_v, &exit));
    assert_int_equal(exit.kind, VCPU_EXIT_DEBUG);
    assert_false(exit.debug.breakpoint);
    assert_int_equal(a->rflags & RFLAGS_TF, 0);
    fake_v.requests |= VCPU_REQ_EVENT;
    assert_true(x86_before_entry(&fake_v, &exit));
    assert_int_equal(fake_log.injected, 1);
}

/* What the guest steps through itself it goes on stepping through. */
static void a_step_of_both(void **state)
{
    struct vcpu_exit exit = {.kind = VCPU_EXIT_NONE};

    (void)state;
    a->rflags |= RFLAGS_TF;
    vcpu_debug_step(&fake_v);
    x86_advance(&fake_v, 1);
    assert_true(a->exception.valid);
    assert_false(x86_before_entry(&fake_v, &exit));
    assert_int_equal(exit.kind, VCPU_EXIT_DEBUG);
    assert_true((a->rflags & RFLAGS_TF) != 0);
    assert_true(x86_before_entry(&fake_v, &exit));
    assert_int_equal(fake_log.event.vector, VECTOR_DB);
}

/* The hardware's trap: whose it is, and the flags that PUSHF pushed. */
static void trapped(void **state)
{
    struct x86_exit xe = {.code = X86_EXIT_EXCEPTION, .qual = DR6_BS};
    struct vcpu_exit exit = {.kind = VCPU_EXIT_NONE};

    (void)state;
    assert_false(x86_step_trapped(&fake_v, &xe));
    code("\x9C", 1);
    vcpu_debug_step(&fake_v);
    fake_ram[STACK + 1] = 0x03; /* TF and IF */
    assert_true(x86_step_trapped(&fake_v, &xe));
    xe.qual = 0;
    assert_true(x86_step_trapped(&fake_v, &xe)); /* nothing else explains it */
    a->dr6 |= DR6_B1;
    assert_false(x86_step_trapped(&fake_v, &xe));
    a->dr6 |= DR6_BS;
    assert_true(x86_step_trapped(&fake_v, &xe));
    x86_exit_step(&fake_v, &exit);
    assert_int_equal(exit.kind, VCPU_EXIT_DEBUG);
    assert_int_equal(a->dr6 & (DR6_BS | DR6_B1), DR6_B1);
    assert_int_equal(fake_ram[STACK + 1], 0x02);
    assert_int_equal(a->rflags & RFLAGS_TF, 0);
}

static const struct vcpu_debug_point points[VCPU_DEBUG_POINTS] = {
    {VCPU_DEBUG_EXECUTE, 1, AT}, {VCPU_DEBUG_NOTHING, 0, 0}, {VCPU_DEBUG_WRITE, 8, 0x3000}, {VCPU_DEBUG_ACCESS, 2, 0x3012}};
static const struct vcpu_debug_point nothing[VCPU_DEBUG_POINTS];

static void own_registers(void)
{
    for (u32 i = 0; i < 4; i++) {
        a->dr[i] = 0x100 + i;
    }
    a->dr6 = DR6_FIXED | DR6_B3;
    a->dr7 = DR7_FIXED | 2;
}

static bool are_own(const u64 dr[4], u64 dr6, u64 dr7)
{
    return dr[0] == 0x100 && dr[1] == 0x101 && dr[2] == 0x102 && dr[3] == 0x103 && dr6 == (DR6_FIXED | DR6_B3) &&
           dr7 == (DR7_FIXED | 2);
}

/* Lent, and given back; a reset while they are lent is the guest's alone. */
static void debug_registers(void **state)
{
    (void)state;
    own_registers();
    vcpu_debug_watch(&fake_v, nothing);
    assert_int_equal(fake_log.debug_calls, 0);
    vcpu_debug_watch(&fake_v, points);
    assert_true(a->debug.owns && are_own(a->own_dr.dr, a->own_dr.dr6, a->own_dr.dr7));
    assert_true(a->dr[0] == AT && a->dr[2] == 0x3000 && a->dr[3] == 0x3012 && a->dr6 == DR6_FIXED);
    assert_int_equal(a->dr7, 0x79000000 | 0x600 | 0xA2); /* SDM figure 18-1: L/R 3, 2 and G0, G2, G3 */
    assert_true((a->dirty & X86_G_DR) != 0);
    vcpu_debug_watch(&fake_v, points); /* again: still the guest's that are kept */
    assert_true(are_own(a->own_dr.dr, a->own_dr.dr6, a->own_dr.dr7));
    assert_int_equal(fake_log.debug_calls, 2);
    vcpu_debug_watch(&fake_v, nothing);
    assert_true(!a->debug.owns && are_own(a->dr, a->dr6, a->dr7));
    vcpu_debug_watch(&fake_v, points);
    x86_reset_regs(&fake_v);
    assert_true(a->debug.owns && a->dr[0] == AT && a->dr7 == (0x79000000 | 0x600 | 0xA2));
    vcpu_debug_watch(&fake_v, nothing);
    assert_true(a->dr[0] == 0 && a->dr7 == DR7_FIXED && a->dr6 == DR6_FIXED);
}

/* A #DB with this told by a CPU of Intel's, or left in DR6 by one of AMD's: whose is it? */
static bool debug_exit(u64 qual, u64 dr6, struct vcpu_exit *exit)
{
    const struct x86_exit xe = {.code = X86_EXIT_EXCEPTION, .qual = qual};

    *exit = (struct vcpu_exit){.kind = VCPU_EXIT_NONE};
    a->dr6 = DR6_FIXED | dr6;
    return x86_exit_debug(&fake_v, &xe, exit);
}

static void points_met(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    own_registers();
    vcpu_debug_watch(&fake_v, points);
    for (u32 intel = 0; intel < 2; intel++) {
        assert_true(debug_exit(intel != 0 ? DR6_B2 : 0, intel != 0 ? 0 : DR6_B2, &exit));
        assert_true(exit.kind == VCPU_EXIT_DEBUG && !exit.debug.breakpoint && exit.debug.point == 3);
        assert_int_equal(a->dr6, DR6_FIXED);
    }
    assert_true(debug_exit(DR6_B1 | DR6_B3, 0, &exit)); /* B1: a condition that nobody asked for */
    assert_int_equal(exit.debug.point, 4);
    assert_true(debug_exit(0, 0, &exit)); /* told nothing: the PC tells */
    assert_int_equal(exit.debug.point, 1);
    a->rip = AT + 1;
    assert_true(debug_exit(0, 0, &exit));
    assert_int_equal(exit.debug.point, 3);
    assert_true(are_own(a->own_dr.dr, a->own_dr.dr6, a->own_dr.dr7));
    a->rflags |= RFLAGS_TF; /* the guest's own trap, into its own DR6 */
    assert_false(debug_exit(DR6_BS, 0, &exit));
    assert_int_equal(exit.kind, VCPU_EXIT_NONE);
    assert_int_equal(a->own_dr.dr6, DR6_FIXED | DR6_B3 | DR6_BS);
    assert_int_equal(a->dr6, DR6_FIXED);
    assert_false(debug_exit(0, 0, &exit));
    vcpu_debug_step(&fake_v); /* both step, and an address is met: the guest gets its trap */
    assert_false(debug_exit(DR6_BS | DR6_B0, 0, &exit));
    assert_true(exit.kind == VCPU_EXIT_DEBUG && exit.debug.point == 1);
    a->rflags &= ~RFLAGS_TF;
    vcpu_debug_step(&fake_v);
    assert_true(debug_exit(DR6_BS | DR6_B0, 0, &exit));
    assert_true(exit.kind == VCPU_EXIT_DEBUG && exit.debug.point == 1 && (a->rflags & RFLAGS_TF) == 0);
    vcpu_debug_watch(&fake_v, nothing);
    assert_false(debug_exit(DR6_B0, 0, &exit)); /* the guest's own breakpoint */
    assert_true((a->dr6 & DR6_B0) != 0);
}

static void attached(void **state)
{
    (void)state;
    vcpu_debug_attach(&fake_v, true);
    vcpu_debug_attach(&fake_v, true);
    assert_int_equal(fake_log.debug_calls, 1);
    vcpu_debug_step(&fake_v);
    x86_reset_regs(&fake_v);
    assert_true(a->debug.attached);
    assert_int_equal(a->special, 0);
    vcpu_debug_step(&fake_v);
    vcpu_debug_attach(&fake_v, false);
    assert_false(a->debug.attached || a->special != 0);
    assert_int_equal(a->rflags & RFLAGS_TF, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(registers, setup), cmocka_unit_test_setup(the_pc, setup),
        cmocka_unit_test_setup(breakpoints, setup), cmocka_unit_test_setup(a_step, setup),
        cmocka_unit_test_setup(a_step_of_both, setup), cmocka_unit_test_setup(trapped, setup),
        cmocka_unit_test_setup(attached, setup), cmocka_unit_test_setup(control_registers, setup),
        cmocka_unit_test_setup(debug_registers, setup), cmocka_unit_test_setup(points_met, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
