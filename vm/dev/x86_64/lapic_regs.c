/* The local APIC's registers, through memory (SDM Vol. 3 table 11-1) and through MSRs (table 11-6). */
#include "kernel/lib/errno.h"
#include "vm/dev/x86_64/lapic_bits.h"

/* A register's number is its offset in the page / 16, and its MSR - 800h. */
enum { REG_ID = 0x02, REG_VERSION = 0x03, REG_TPR = 0x08, REG_APR = 0x09, REG_PPR = 0x0A, REG_EOI = 0x0B, REG_LDR = 0x0D,
       REG_DFR = 0x0E, REG_SVR = 0x0F, REG_ISR = 0x10, REG_TMR = 0x18, REG_IRR = 0x20, REG_ESR = 0x28, REG_ICR = 0x30,
       REG_ICR_HIGH = 0x31, REG_LVT = 0x32, REG_INITIAL = 0x38, REG_CURRENT = 0x39, REG_DIVIDE = 0x3E, REG_SELF_IPI = 0x3F,
       REG_END = 0x40 };

#define VERSION (0x14U | (LAPIC_LVTS - 1U) << 16)
#define LDR_WRITABLE BIT32_RANGE(31, 24)
#define DFR_FIXED BIT32_RANGE(27, 0)
#define DIVIDE_WRITABLE (BIT32(3) | BIT32_RANGE(1, 0))
#define ID_SHIFT 24U
#define TPR_WRITABLE BIT32_RANGE(7, 0)

/* What software may set in each LVT entry. */
static const u32 lvt_writable[LAPIC_LVTS] = {
    [LVT_TIMER] = VECTOR_MASK | LVT_MASKED | LVT_TIMER_MODE,
    [LVT_THERMAL] = VECTOR_MASK | LVT_MODE | LVT_MASKED,
    [LVT_PERFORMANCE] = VECTOR_MASK | LVT_MODE | LVT_MASKED,
    [LVT_LINT0] = VECTOR_MASK | LVT_MODE | LVT_POLARITY | LVT_TRIGGER | LVT_MASKED,
    [LVT_LINT1] = VECTOR_MASK | LVT_MODE | LVT_POLARITY | LVT_TRIGGER | LVT_MASKED,
    [LVT_ERROR] = VECTOR_MASK | LVT_MASKED,
};

static u32 id(const struct vlapic *lapic)
{
    return vlapic_x2apic(lapic) ? lapic->index : lapic->index << ID_SHIFT;
}

/* false: there is no such register to read. */
static bool read_register(struct vlapic *lapic, u32 reg, u32 *value)
{
    if (reg >= REG_ISR && reg < REG_ESR) {
        const u32 *group = reg < REG_TMR ? lapic->isr : reg < REG_IRR ? lapic->tmr : lapic->irr;
        *value = READ_ONCE(group[reg % 8]);
        return true;
    }
    if (reg >= REG_LVT && reg < REG_LVT + LAPIC_LVTS) {
        *value = lapic->lvt[reg - REG_LVT];
        return true;
    }
    switch (reg) {
    case REG_ID: *value = id(lapic); break;
    case REG_VERSION: *value = VERSION; break;
    case REG_TPR: *value = lapic->tpr; break;
    case REG_PPR: *value = vlapic_ppr(lapic); break;
    case REG_LDR: *value = lapic->ldr; break;
    case REG_DFR: *value = lapic->dfr; break;
    case REG_SVR: *value = lapic->svr; break;
    case REG_ESR: *value = lapic->esr; break;
    case REG_ICR: *value = (u32)lapic->icr; break;
    case REG_ICR_HIGH: *value = (u32)(lapic->icr >> 32); break;
    case REG_INITIAL: *value = lapic->timer_initial; break;
    case REG_CURRENT: *value = vlapic_timer_current(lapic); break;
    case REG_DIVIDE: *value = lapic->timer_divide; break;
    default: return false;
    }
    return true;
}

static void write_lvt(struct vlapic *lapic, u32 index, u32 value)
{
    value &= lvt_writable[index];
    if ((lapic->svr & SVR_ENABLE) == 0) {
        value |= LVT_MASKED;
    }
    if (index == LVT_TIMER) {
        vlapic_timer_set_lvt(lapic, value);
    } else {
        WRITE_ONCE(lapic->lvt[index], value);
    }
}

/* Switching the APIC off by software masks every local interrupt (SDM 11.4.7.2). */
static void write_svr(struct vlapic *lapic, u32 value)
{
    lapic->svr = value & SVR_WRITABLE;
    for (u32 i = 0; (value & SVR_ENABLE) == 0 && i < LAPIC_LVTS; i++) {
        write_lvt(lapic, i, lapic->lvt[i]);
    }
}

static void write_icr(struct vlapic *lapic, u32 value)
{
    lapic->icr = (lapic->icr & ICR_DESTINATION) | (value & ICR_WRITABLE);
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
    case REG_ID: break; /* the id is the CPU's number, for good */
    case REG_TPR: vlapic_write_tpr(lapic, value & TPR_WRITABLE); break;
    case REG_EOI: vlapic_eoi(lapic); break;
    case REG_LDR: lapic->ldr = value & LDR_WRITABLE; break;
    case REG_DFR: lapic->dfr = value | DFR_FIXED; break;
    case REG_SVR: write_svr(lapic, value); break;
    case REG_ESR: lapic->esr = __atomic_exchange_n(&lapic->esr_pending, 0, __ATOMIC_SEQ_CST); break;
    case REG_ICR: write_icr(lapic, value); break;
    case REG_ICR_HIGH: lapic->icr = (u32)lapic->icr | ((u64)value << 32 & ICR_DESTINATION_8BIT); break;
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

/* --- x2APIC ------------------------------------------------------------------------------------------------------------ */

static __attribute__((noinline)) int read_msr(struct vlapic *lapic, u32 reg, u64 *value)
{
    u32 word;

    if (reg == REG_ICR) {
        *value = lapic->icr;
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
        lapic->icr = value;
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
