/* The local APIC's registers, through memory (SDM Vol. 3 table 11-1) and through MSRs (table 11-6). */
#include "kernel/lib/errno.h"
#include "vm/dev/x86_64/lapic_bits.h"

#define LDR_WRITABLE BIT32_RANGE(31, 24)
#define DFR_FIXED BIT32_RANGE(27, 0)
#define DIVIDE_WRITABLE (BIT32(3) | BIT32_RANGE(1, 0))
#define TPR_WRITABLE BIT32_RANGE(7, 0)

/* Registers of 32 bits but for the LVT that can be read. */
static const u64 readable = BIT(REG_ID) | BIT(REG_VERSION) | BIT(REG_TPR) | BIT(REG_PPR) | BIT(REG_LDR) | BIT(REG_DFR) |
                            BIT(REG_SVR) | BIT(REG_ESR) | BIT(REG_ICR) | BIT(REG_ICR_HIGH) | BIT(REG_INITIAL) |
                            BIT(REG_CURRENT) | BIT(REG_DIVIDE);

/* What software may set in each LVT entry. */
static const u32 lvt_writable[LAPIC_LVTS] = {
    [LVT_TIMER] = VECTOR_MASK | LVT_MASKED | LVT_TIMER_MODE,
    [LVT_THERMAL] = VECTOR_MASK | LVT_MODE | LVT_MASKED,
    [LVT_PERFORMANCE] = VECTOR_MASK | LVT_MODE | LVT_MASKED,
    [LVT_LINT0] = VECTOR_MASK | LVT_MODE | LVT_POLARITY | LVT_TRIGGER | LVT_MASKED,
    [LVT_LINT1] = VECTOR_MASK | LVT_MODE | LVT_POLARITY | LVT_TRIGGER | LVT_MASKED,
    [LVT_ERROR] = VECTOR_MASK | LVT_MASKED,
};

/* false: there is no such register to read. */
static bool read_register(struct vlapic *lapic, u32 reg, u32 *value)
{
    bool vectors = reg >= REG_ISR && reg < REG_ESR;
    bool lvt = reg >= REG_LVT && reg < REG_LVT + LAPIC_LVTS;

    if (reg >= REG_END || (!vectors && !lvt && (readable & BIT(reg)) == 0)) {
        return false;
    }
    *value = READ_ONCE(REG(lapic, reg));
    if (reg >= REG_IRR && reg < REG_ESR) {
        *value |= READ_ONCE(lapic->irr[reg - REG_IRR]);
    } else if (reg == REG_PPR) {
        *value = vlapic_ppr(lapic);
    } else if (reg == REG_CURRENT) {
        *value = vlapic_timer_current(lapic);
    }
    return true;
}

static void write_lvt(struct vlapic *lapic, u32 index, u32 value)
{
    value &= lvt_writable[index];
    if ((REG(lapic, REG_SVR) & SVR_ENABLE) == 0) {
        value |= LVT_MASKED;
    }
    if (index == LVT_TIMER) {
        vlapic_timer_set_lvt(lapic, value);
    } else {
        WRITE_ONCE(REG(lapic, REG_LVT + index), value);
    }
}

/* Switching the APIC off by software masks every local interrupt (SDM 11.4.7.2). */
static void write_svr(struct vlapic *lapic, u32 value)
{
    vlapic_write_svr(lapic, value & SVR_WRITABLE);
    for (u32 i = 0; (value & SVR_ENABLE) == 0 && i < LAPIC_LVTS; i++) {
        write_lvt(lapic, i, REG(lapic, REG_LVT + i));
    }
}

static void write_icr(struct vlapic *lapic, u32 value)
{
    REG(lapic, REG_ICR) = value & (u32)ICR_WRITABLE;
    vlapic_send_icr(lapic);
}

static bool is_read_only(u32 reg)
{
    return reg == REG_VERSION || reg == REG_PPR || reg == REG_CURRENT || (reg >= REG_ISR && reg < REG_ESR);
}

/* false: there is no such register to write. */
static bool write_register(struct vlapic *lapic, u32 reg, u32 value)
{
    if (reg >= REG_LVT && reg < REG_LVT + LAPIC_LVTS) {
        write_lvt(lapic, reg - REG_LVT, value);
        return true;
    }
    switch (reg) {
    case REG_ID: REG(lapic, REG_ID) = lapic->index << ID_SHIFT; break; /* the CPU's number, for good */
    case REG_TPR: vlapic_write_tpr(lapic, value & TPR_WRITABLE); break;
    case REG_EOI: vlapic_eoi(lapic); break;
    case REG_LDR: REG(lapic, REG_LDR) = value & LDR_WRITABLE; break;
    case REG_DFR: REG(lapic, REG_DFR) = value | DFR_FIXED; break;
    case REG_SVR: write_svr(lapic, value); break;
    case REG_ESR: REG(lapic, REG_ESR) = __atomic_exchange_n(&lapic->esr_pending, 0, __ATOMIC_SEQ_CST); break;
    case REG_ICR: write_icr(lapic, value); break;
    case REG_ICR_HIGH: REG(lapic, REG_ICR_HIGH) = value & (u32)(ICR_DESTINATION_8BIT >> 32); break;
    case REG_INITIAL: vlapic_timer_start(lapic, value); break;
    case REG_DIVIDE: vlapic_timer_set_divide(lapic, value & DIVIDE_WRITABLE); break;
    default: return is_read_only(reg); /* ignored, and no error: the register exists */
    }
    return true;
}

void vlapic_mmio(struct vlapic *lapic, u32 offset, u8 size, bool write, u64 *value)
{
    u32 word = 0;
    bool known = size == 4 && offset % 16 == 0;

    if (known) {
        known = write ? write_register(lapic, offset / 16, (u32)*value) : read_register(lapic, offset / 16, &word);
    }
    if (!known && offset % 16 == 0) {
        vlapic_error(lapic, ESR_ILLEGAL_REGISTER);
    }
    if (!write) {
        *value = word;
    }
}

void vlapic_written(struct vlapic *lapic, u32 offset)
{
    u32 reg = offset / (REG_WORDS * (u32)sizeof(u32));

    (void)write_register(lapic, reg, REG(lapic, reg));
}

/* --- x2APIC ------------------------------------------------------------------------------------------------------------ */

static __attribute__((noinline)) int read_msr(struct vlapic *lapic, u32 reg, u64 *value)
{
    u32 word;

    if (reg == REG_ICR) {
        *value = vlapic_icr(lapic);
        return 0;
    }
    if (reg == REG_DFR || reg == REG_ICR_HIGH || !read_register(lapic, reg, &word)) {
        return -E_GUEST;
    }
    *value = word;
    return 0;
}

/* An LVT's read-only bits are not reserved: systems write back what they read, or what they know from the xAPIC. */
static u64 lvt_msr_writable(u32 index)
{
    bool lint = index == LVT_LINT0 || index == LVT_LINT1;

    return lvt_writable[index] | LVT_STATUS | (lint ? LVT_REMOTE_IRR : 0);
}

/* Bits that may be set in a write, or 0: only the value 0 is legal. */
static u64 msr_writable(u32 reg)
{
    if (reg >= REG_LVT && reg < REG_LVT + LAPIC_LVTS) {
        return lvt_msr_writable(reg - REG_LVT);
    }
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI: return TPR_WRITABLE;
    case REG_SVR: return SVR_WRITABLE;
    case REG_ICR: return ICR_WRITABLE | ICR_DESTINATION;
    case REG_INITIAL: return BIT32_RANGE(31, 0);
    case REG_DIVIDE: return DIVIDE_WRITABLE;
    default: return 0;
    }
}

static void self_ipi(struct vlapic *lapic, u8 vector)
{
    if (vector < VECTOR_FIRST_LEGAL) {
        vlapic_error(lapic, ESR_SEND_ILLEGAL);
    } else {
        (void)vlapic_post(lapic, vector, false);
    }
}

static __attribute__((noinline)) int write_msr(struct vlapic *lapic, u32 reg, u64 value)
{
    bool refused = is_read_only(reg) || reg == REG_ID || reg == REG_LDR || reg == REG_DFR || reg == REG_ICR_HIGH;

    if (refused || (value & ~msr_writable(reg)) != 0) {
        return -E_GUEST;
    }
    if (reg == REG_SELF_IPI) {
        self_ipi(lapic, (u8)value);
        return 0;
    }
    if (reg == REG_ICR) {
        vlapic_set_icr(lapic, value);
        vlapic_send_icr(lapic);
        return 0;
    }
    return write_register(lapic, reg, (u32)value) ? 0 : -E_GUEST;
}

int vlapic_msr(struct vlapic *lapic, u32 msr, bool write, u64 *value)
{
    u32 reg = msr - LAPIC_X2APIC_MSR_FIRST;

    if (!vlapic_x2apic(lapic) || reg >= REG_END) {
        return -E_GUEST;
    }
    if (!write) {
        return read_msr(lapic, reg, value);
    }
    if (reg == REG_EOI && *value == 0) { /* the most frequent of all */
        vlapic_eoi(lapic);
        return 0;
    }
    if (reg == REG_TPR && (*value & ~(u64)TPR_WRITABLE) == 0) {
        vlapic_write_tpr(lapic, (u32)*value);
        return 0;
    }
    return write_msr(lapic, reg, *value);
}
