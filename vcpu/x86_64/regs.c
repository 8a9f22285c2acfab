/* Registers: the program counter, the reset state and the states in which loaders start a vCPU. */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/hostcpu.h"
#include "vcpu/x86_64/policy.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/x86.h"

/* Access rights (SDM 25.4.1): present, accessed segments of ring 0. */
#define ATTR_DATA16 (SEG_ACCESSED | SEG_RW | SEG_S | SEG_P)
#define ATTR_CODE16 (SEG_ACCESSED | SEG_RW | SEG_CODE | SEG_S | SEG_P)
#define ATTR_FLAT (SEG_DB | SEG_G)

#define LIMIT_64K 0xFFFFU
#define LIMIT_4G 0xFFFFFFFFU
#define RESET_CS_SELECTOR 0xF000U
#define RESET_CS_BASE 0xFFFF0000U
#define RESET_IP 0xFFF0U

/* A carry out of IP: the width of the instruction pointer matters now. */
static void truncate_rip(struct vcpu *v)
{
    struct vcpu_arch *a = x86_regs(v, X86_G_SEG | X86_G_CR);

    if ((a->efer & EFER_LMA) == 0 || (a->seg[X86_CS].attr & SEG_L) == 0) {
        a->rip = (a->seg[X86_CS].attr & SEG_DB) != 0 ? (u32)a->rip : (u16)a->rip;
    }
}

void x86_debug_take(struct vcpu_arch *a)
{
    a->own_dr = (struct x86_debug_regs){{a->dr[0], a->dr[1], a->dr[2], a->dr[3]}, a->dr6, a->dr7};
    memcpy(a->dr, a->debug.points, sizeof(a->dr));
    a->dr6 = DR6_FIXED;
    a->dr7 = a->debug.control;
}

void x86_dr6_add(struct vcpu *v, u64 bits)
{
    struct vcpu_arch *a = x86_regs(v, X86_G_DR);

    *x86_guest_dr(a, 6) |= bits;
    if (!a->debug.owns) {
        hostcpu_set_dr6(a->dr6);
        x86_regs_changed(v, X86_G_DR);
    }
}

/* The trap after an instruction that began with TF set, which hardware owes only to those it executes (SDM 18.3.1.4). */
static void single_step(struct vcpu *v)
{
    struct vcpu_arch *a = &v->arch;

    if ((a->special & X86_SPECIAL_STEP) != 0) {
        a->special |= X86_SPECIAL_STEPPED;
        a->event_work = true;
        if (!a->debug.own_tf) {
            return;
        }
    }
    x86_dr6_add(v, DR6_BS);
    x86_raise(v, VECTOR_DB, false, 0);
}

void x86_advance_rare(struct vcpu *v, u64 old)
{
    if (((v->arch.rip ^ old) & ~(u64)LIMIT_64K) != 0) {
        truncate_rip(v);
    }
    v->arch.rflags &= ~RFLAGS_RF;
    if ((v->arch.rflags & RFLAGS_TF) != 0) {
        single_step(v);
    }
}

static void reset_segments(struct vcpu_arch *a)
{
    for (u32 i = 0; i < X86_SEGS; i++) {
        a->seg[i] = (struct x86_seg){.attr = ATTR_DATA16, .limit = LIMIT_64K};
    }
    a->seg[X86_CS] = (struct x86_seg){RESET_CS_SELECTOR, ATTR_CODE16, LIMIT_64K, RESET_CS_BASE};
    a->seg[X86_LDTR].attr = SEG_TYPE_LDT | SEG_P;
    a->seg[X86_TR].attr = TSS_TYPE_32 | TSS_BUSY | SEG_P;
    a->cpl = 0;
    a->gdtr = (struct x86_dtr){0, LIMIT_64K};
    a->idtr = (struct x86_dtr){0, LIMIT_64K};
}

/* SDM table 10-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT"; APM 14.1.3. What hardware
 * owns beside the registers (hw, fpu) stays. */
void x86_reset_regs(struct vcpu *v)
{
    void *fpu = v->arch.fpu, *hw = v->arch.hw;
    struct x86_moves *moves = v->arch.moves;
    hpa_t fpu_pa = v->arch.fpu_pa;
    u64 tsc_offset = v->arch.tsc_offset, tsc_adjust = v->arch.tsc_adjust;
    struct x86_debug debug = v->arch.debug;
    struct x86_mtrrs mtrr = v->arch.mtrr; /* INIT leaves them alone: SDM Vol. 3 table 10-1 */
    struct vcpu_arch *a = &v->arch;

    memset(a, 0, sizeof(*a));
    a->mtrr = mtrr;
    a->debug = debug;
    a->fpu = fpu;
    a->fpu_pa = fpu_pa;
    a->hw = hw;
    a->moves = moves;
    a->tsc_offset = tsc_offset;
    a->tsc_adjust = tsc_adjust;
    a->rip = RESET_IP;
    a->rflags = RFLAGS_FIXED;
    a->gpr[X86_RDX] = x86_cpuid_policy(1, 0).eax;
    a->cr0 = CR0_CD | CR0_NW | CR0_ET;
    a->pat = PAT_RESET;
    a->dr6 = DR6_FIXED;
    a->dr7 = DR7_FIXED;
    a->xcr0 = XCR0_X87;
    a->misc_enable = MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL;
    a->s2_generation = ~0ULL; /* flush before the first entry */
    reset_segments(a);
    if (a->debug.owns) {
        x86_debug_take(a);
    }
    x86_regs_changed(v, X86_G_ALL);
}

static void enter_real(struct vcpu_arch *a, const struct vcpu_entry *entry)
{
    for (u32 i = X86_ES; i <= X86_GS; i++) {
        a->seg[i].selector = i == X86_CS ? entry->real_cs : entry->real_ds;
        a->seg[i].base = (u64)a->seg[i].selector << 4;
    }
    a->cr0 = CR0_ET;
}

static void enter_flat(struct vcpu_arch *a, const struct vcpu_entry *entry)
{
    bool is_long = entry->mode == X86_ENTRY_LONG;

    for (u32 i = X86_ES; i <= X86_GS; i++) {
        a->seg[i] = (struct x86_seg){entry->ds_sel, ATTR_DATA16 | ATTR_FLAT, LIMIT_4G, 0};
    }
    u32 code = ATTR_CODE16 | (is_long ? SEG_G | SEG_L : ATTR_FLAT);
    a->seg[X86_CS] = (struct x86_seg){entry->cs_sel, code, LIMIT_4G, 0};
    a->cr0 = CR0_ET | CR0_PE;
    if (is_long) {
        a->cr0 |= CR0_PG;
        a->cr3 = entry->cr3;
        a->cr4 = CR4_PAE;
        a->efer = EFER_LME | EFER_LMA;
    }
    if (entry->gdt_base != 0) {
        a->gdtr = (struct x86_dtr){entry->gdt_base, entry->gdt_limit};
    }
}

int vcpu_set_entry(struct vcpu *v, const struct vcpu_entry *entry)
{
    struct vcpu_arch *a = &v->arch;

    if (v->state != VCPU_FREE || v->cpu != CPU_MAX) {
        return -E_STATE;
    }
    x86_reset_regs(v);
    if (entry->reset_vector) {
        return 0;
    }
    if (a->mtrr.def_type == 0) { /* as firmware, which this guest does not have, would leave them */
        a->mtrr.def_type = MTRR_DEF_E | MEMTYPE_WB;
    }
    memcpy(a->gpr, entry->gpr, sizeof(a->gpr));
    a->gpr[X86_RSP] = entry->rsp;
    a->rip = entry->rip;
    a->rflags = entry->rflags | RFLAGS_FIXED;
    if (entry->mode == X86_ENTRY_REAL) {
        enter_real(a, entry);
    } else {
        enter_flat(a, entry);
    }
    return 0;
}

/* CR0 bits 63:32 must be zero in both vendors' entry checks (SDM Vol. 3 27.3.1.1, APM Vol. 2 15.5.1). */
void vcpu_break_state(struct vcpu *v)
{
    x86_regs(v, X86_G_CR)->cr0 |= BIT(32);
    x86_regs_changed(v, X86_G_CR);
}

u64 vcpu_pc(struct vcpu *v)
{
    return v->arch.rip;
}
