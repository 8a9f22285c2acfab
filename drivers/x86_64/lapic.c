#include "drivers/x86_64/lapic.h"
#include "drivers/x86_64/lapic_regs.h"
#include "kernel/base/log.h"
#include "kernel/lib/errno.h"
#include "kernel/x86_64/cpuid.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "kernel/x86_64/vectors.h"
#include "mm/kmap.h"
#include <arch/cpu.h>

#define ICR_SPINS 1000000U

static volatile u8 *page; /* xAPIC registers; NULL in x2APIC mode */
static bool x2apic;

u32 lapic_read(u32 reg)
{
    if (x2apic) {
        return (u32)rdmsr(MSR_IA32_X2APIC_FIRST + (reg >> LAPIC_MSR_SHIFT));
    }
    return *(const volatile u32 *)(const volatile void *)(page + reg);
}

void lapic_write(u32 reg, u32 value)
{
    if (x2apic) {
        wrmsr(MSR_IA32_X2APIC_FIRST + (reg >> LAPIC_MSR_SHIFT), value);
    } else {
        *(volatile u32 *)(volatile void *)(page + reg) = value;
    }
}

static void mask_local_vectors(void)
{
    u32 max_lvt = (u32)FIELD_GET(LAPIC_VERSION_MAX_LVT, lapic_read(LAPIC_VERSION));

    lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED | VECTOR_TIMER);
    lapic_write(LAPIC_LVT_LINT0, LAPIC_LVT_MASKED | VECTOR_SPURIOUS);
    lapic_write(LAPIC_LVT_LINT1, LAPIC_LVT_MASKED | VECTOR_SPURIOUS);
    lapic_write(LAPIC_LVT_ERROR, LAPIC_LVT_MASKED | VECTOR_LAPIC_ERROR);
    if (max_lvt >= LAPIC_MAX_LVT_PERF) {
        lapic_write(LAPIC_LVT_PERF, LAPIC_LVT_MASKED | VECTOR_SPURIOUS);
    }
    if (max_lvt >= LAPIC_MAX_LVT_THERMAL) {
        lapic_write(LAPIC_LVT_THERMAL, LAPIC_LVT_MASKED | VECTOR_SPURIOUS);
    }
    if (max_lvt >= LAPIC_MAX_LVT_CMCI) {
        lapic_write(LAPIC_LVT_CMCI, LAPIC_LVT_MASKED | VECTOR_SPURIOUS);
    }
}

void lapic_enable_cpu(void)
{
    u64 base = rdmsr(MSR_IA32_APIC_BASE);
    u64 wanted = base | APIC_BASE_EN | (x2apic ? APIC_BASE_EXTD : 0);

    if (wanted != base) {
        wrmsr(MSR_IA32_APIC_BASE, wanted);
    }
    lapic_write(LAPIC_SVR, LAPIC_SVR_ENABLE | VECTOR_SPURIOUS);
    mask_local_vectors();
    lapic_write(LAPIC_TPR, 0);
    lapic_write(LAPIC_ESR, 0);
}

int lapic_init(u64 address, u32 max_id)
{
    struct cpuid features = cpuid_get(1, 0);

    if ((features.edx & CPUID_1_EDX_APIC) == 0) {
        return -E_NOSYS;
    }
    u64 base = rdmsr(MSR_IA32_APIC_BASE);
    bool capable = (features.ecx & CPUID_1_ECX_X2APIC) != 0;
    x2apic = capable && ((base & APIC_BASE_EXTD) != 0 || max_id > LAPIC_XAPIC_ID_MAX);
    if (!x2apic) {
        u64 pa = address != 0 ? address : base & APIC_BASE_ADDR_MASK;
        page = (volatile u8 *)kmap_device(HPA(pa), LAPIC_PAGE_SIZE);
        if (page == NULL) {
            return -E_NOMEM;
        }
    }
    lapic_enable_cpu();
    return 0;
}

u32 lapic_id(void)
{
    u32 id = lapic_read(LAPIC_ID);

    return x2apic ? id : (u32)FIELD_GET(LAPIC_ID_XAPIC, id);
}

bool lapic_reachable(u32 id)
{
    return x2apic || id <= LAPIC_XAPIC_ID_MAX;
}

void lapic_end(void)
{
    lapic_write(LAPIC_EOI, 0);
}

static void wait_icr_idle(void)
{
    for (u32 i = 0; i < ICR_SPINS && (lapic_read(LAPIC_ICR_LOW) & LAPIC_ICR_PENDING) != 0; i++) {
        arch_cpu_relax();
    }
}

/* IRQs are off in between: an interrupt handler that sends must not come between the two halves of the ICR. */
static void send(u32 id, u32 command)
{
    u64 flags = arch_irq_save();

    if (x2apic) {
        /* WRMSR to an x2APIC register does not order earlier stores (SDM 11.12.3). */
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_IA32_X2APIC_ICR, (u64)id << 32 | command);
    } else {
        wait_icr_idle();
        lapic_write(LAPIC_ICR_HIGH, (u32)FIELD_PREP(LAPIC_ID_XAPIC, id));
        lapic_write(LAPIC_ICR_LOW, command);
    }
    arch_irq_restore(flags);
}

void lapic_send_kick(u32 id)
{
    send(id, LAPIC_ICR_FIXED | LAPIC_ICR_ASSERT | VECTOR_KICK);
}

void lapic_send_init(u32 id)
{
    send(id, LAPIC_ICR_INIT | LAPIC_ICR_ASSERT);
}

void lapic_send_startup(u32 id, u8 start_page)
{
    send(id, LAPIC_ICR_STARTUP | LAPIC_ICR_ASSERT | start_page);
}

void lapic_send_nmi(u32 id)
{
    send(id, LAPIC_ICR_NMI | LAPIC_ICR_ASSERT);
}
