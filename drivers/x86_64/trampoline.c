#include "drivers/x86_64/trampoline.h"
#include "kernel/lib/string.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "mm/kmap.h"
#include "mm/physmap.h"

/* trampoline.asm's parameters. */
struct PACKED ALIGNED(16) trampoline_params {
    u32 ticket;
    u32 cr3;
    u64 efer;
    u64 stack;
    u64 entry;
    u64 arg;
    u16 gdt_limit;
    u32 gdt_base;
    u16 pad1;
    u32 far_offset;
    u16 far_selector;
    u16 pad2;
    u64 gdt[2];
};
_Static_assert(offsetof(struct trampoline_params, arg) == 32, "trampoline.asm");
_Static_assert(offsetof(struct trampoline_params, gdt_limit) == 40, "trampoline.asm");
_Static_assert(offsetof(struct trampoline_params, far_offset) == 48, "trampoline.asm");
_Static_assert(offsetof(struct trampoline_params, gdt) == 56, "trampoline.asm");

extern const u8 smp_trampoline_start[], smp_trampoline_params[], smp_trampoline_wide[], smp_trampoline_end[];

#define CODE64_DESCRIPTOR 0x00AF9B000000FFFFULL /* flat, L, present, accessed: SDM 3.4.5 */
#define CODE64_SELECTOR 0x08U

static u64 page_pa;

/* Of a symbol in the start code. Through integers: to the compiler these are unrelated arrays. */
static u64 offset_of(const u8 *symbol)
{
    return (u64)symbol - (u64)smp_trampoline_start;
}

static struct trampoline_params *params(void)
{
    u8 *page = phys_ptr(HPA(page_pa));

    return (struct trampoline_params *)(void *)(page + offset_of(smp_trampoline_params));
}

int trampoline_init(struct frame_range page)
{
    page_pa = page.base;
    return kmap_identity_page(HPA(page_pa));
}

void trampoline_done(void)
{
    kmap_identity_drop(HPA(page_pa));
}

u8 trampoline_arm(u64 stack_top, void (*entry)(void *arg), void *arg)
{
    struct trampoline_params *p = params();
    u64 params_pa = page_pa + offset_of(smp_trampoline_params);

    memcpy(phys_ptr(HPA(page_pa)), smp_trampoline_start, offset_of(smp_trampoline_end));
    p->cr3 = (u32)kmap_root().v; /* below 4 GiB, as kmap_init() promises */
    p->efer = rdmsr(MSR_IA32_EFER) & (EFER_LME | EFER_NXE);
    p->stack = stack_top;
    p->entry = (u64)entry;
    p->arg = (u64)arg;
    p->gdt[1] = CODE64_DESCRIPTOR;
    p->gdt_limit = sizeof(p->gdt) - 1;
    p->gdt_base = (u32)(params_pa + offsetof(struct trampoline_params, gdt));
    p->far_offset = (u32)(page_pa + offset_of(smp_trampoline_wide));
    p->far_selector = CODE64_SELECTOR;
    __atomic_store_n(&p->ticket, 1, __ATOMIC_RELEASE);
    return (u8)(page_pa >> FRAME_SHIFT);
}

bool trampoline_taken(void)
{
    return __atomic_load_n(&params()->ticket, __ATOMIC_ACQUIRE) == 0;
}

bool trampoline_disarm(void)
{
    return __atomic_exchange_n(&params()->ticket, 0, __ATOMIC_ACQ_REL) != 0;
}
