/* Descriptor tables: one GDT and TSS per CPU, one IDT for all. SDM 3.4.5 (segment descriptors), 6.14 (64-bit IDT, IST),
 * 8.7 (64-bit TSS). */
#include "kernel/x86_64/cpu_tables.h"
#include "kernel/lib/cpuset.h"
#include "kernel/x86_64/gdt.h"
#include "kernel/x86_64/insn.h"
#include "kernel/x86_64/regs.h"
#include "kernel/x86_64/trap.h"

struct PACKED tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3;
    u16 iomap_base;
};
_Static_assert(sizeof(struct tss) == 104, "SDM figure 8-11");
_Static_assert(offsetof(struct tss, rsp) == 4 && offsetof(struct tss, ist) == 36, "SDM figure 8-11");
_Static_assert(offsetof(struct tss, iomap_base) == 102, "SDM figure 8-11");

enum { GDT_NULL, GDT_CODE, GDT_DATA, GDT_TSS_LOW, GDT_TSS_HIGH, GDT_ENTRIES };
_Static_assert(SEL_KERNEL_CS == GDT_CODE * 8 && SEL_KERNEL_DS == GDT_DATA * 8 && SEL_TSS == GDT_TSS_LOW * 8,
               "selectors of gdt.h");

struct ALIGNED(64) cpu_tables {
    u64 gdt[GDT_ENTRIES];
    struct tss tss;
};

/* Segment descriptor: SDM figure 3-8. */
#define DESC_LIMIT_LOW GENMASK(15, 0)
#define DESC_BASE_LOW GENMASK(39, 16)
#define DESC_TYPE GENMASK(43, 40)
#define DESC_S BIT(44)
#define DESC_P BIT(47)
#define DESC_L BIT(53)
#define DESC_DB BIT(54)
#define DESC_G BIT(55)
#define DESC_BASE_HIGH GENMASK(63, 56)
#define DESC_LIMIT_HIGH GENMASK(51, 48)
#define DESC_TYPE_CODE_READ_ACCESSED 11U
#define DESC_TYPE_DATA_WRITE_ACCESSED 3U
#define DESC_TYPE_TSS_AVAILABLE 9U
#define DESC_TSS_BUSY BIT(41)
#define DESC_FLAT (DESC_LIMIT_LOW | DESC_LIMIT_HIGH | DESC_S | DESC_P | DESC_G)

/* Interrupt gate: SDM figure 6-8. */
struct PACKED idt_gate {
    u16 offset_low;
    u16 selector;
    u8 ist;
    u8 attr;
    u16 offset_middle;
    u32 offset_high;
    u32 reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "SDM figure 6-8");
#define GATE_INTERRUPT_P 0x8EU /* present, DPL 0, 64-bit interrupt gate */

/* The IST number of a stack: 1 for NMI, and so on; 0 means "stay on the current stack". */
#define IST_OF(stack) ((u8)((stack) - ARCH_STACK_KERNEL))

static struct cpu_tables tables[CPU_MAX];
static struct idt_gate idt[TRAP_VECTORS] ALIGNED(16);

void cpu_tables_prepare(u32 cpu, void *const stack_tops[ARCH_STACKS])
{
    struct cpu_tables *own = &tables[cpu];
    u64 base = (u64)&own->tss;

    own->gdt[GDT_CODE] = DESC_FLAT | DESC_L | FIELD_PREP(DESC_TYPE, DESC_TYPE_CODE_READ_ACCESSED);
    own->gdt[GDT_DATA] = DESC_FLAT | DESC_DB | FIELD_PREP(DESC_TYPE, DESC_TYPE_DATA_WRITE_ACCESSED);
    own->gdt[GDT_TSS_LOW] = DESC_P | FIELD_PREP(DESC_TYPE, DESC_TYPE_TSS_AVAILABLE) |
                            FIELD_PREP(DESC_LIMIT_LOW, sizeof(own->tss) - 1) | FIELD_PREP(DESC_BASE_LOW, base) |
                            FIELD_PREP(DESC_BASE_HIGH, base >> 24);
    own->gdt[GDT_TSS_HIGH] = base >> 32;
    own->tss.rsp[0] = (u64)stack_tops[ARCH_STACK_KERNEL];
    for (u32 stack = ARCH_STACK_NMI; stack < ARCH_STACKS; stack++) {
        own->tss.ist[IST_OF(stack) - 1] = (u64)stack_tops[stack];
    }
    own->tss.iomap_base = sizeof(own->tss);
}

void *cpu_tables_gdt(u32 cpu)
{
    return tables[cpu].gdt;
}

void *cpu_tables_tss(u32 cpu)
{
    return &tables[cpu].tss;
}

void cpu_tables_load(u32 cpu)
{
    struct cpu_tables *own = &tables[cpu];
    struct descriptor_ptr gdt_ptr = {sizeof(own->gdt) - 1, (u64)own->gdt};
    struct descriptor_ptr idt_ptr = {sizeof(idt) - 1, (u64)idt};

    own->gdt[GDT_TSS_LOW] &= ~DESC_TSS_BUSY; /* LTR refuses a busy TSS */
    lgdt(&gdt_ptr);
    load_segments(SEL_KERNEL_CS, SEL_KERNEL_DS);
    ltr(SEL_TSS);
    lidt(&idt_ptr);
}

static u8 ist_of_vector(u32 vector)
{
    switch (vector) {
    case VECTOR_NMI:
        return IST_OF(ARCH_STACK_NMI);
    case VECTOR_DF:
        return IST_OF(ARCH_STACK_DOUBLE_FAULT);
    case VECTOR_MC:
        return IST_OF(ARCH_STACK_MACHINE_CHECK);
    default:
        return 0;
    }
}

void cpu_tables_init_idt(void)
{
    for (u32 vector = 0; vector < TRAP_VECTORS; vector++) {
        u64 stub = (u64)trap_stubs + (u64)vector * TRAP_STUB_SIZE;

        idt[vector] = (struct idt_gate){
            .offset_low = (u16)stub,
            .selector = SEL_KERNEL_CS,
            .ist = ist_of_vector(vector),
            .attr = GATE_INTERRUPT_P,
            .offset_middle = (u16)(stub >> 16),
            .offset_high = (u32)(stub >> 32),
        };
    }
}
