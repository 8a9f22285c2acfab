/* Private to task*.c: a hardware task switch in progress; for descriptors also to emulate_{system,far}.c,
 * autopsy_delivery.c and the backends. Functions return 0,
 * -E_GUEST (an exception is queued) or -E_NOSYS (a table lies outside RAM: the VM must be stopped). */
#pragma once
#include "kernel/x86_64/regs.h"
#include "vcpu/x86_64/segment.h"
#include "vcpu/x86_64/x86.h"

static inline bool task_selector_is_null(u16 selector)
{
    return (selector & ~SELECTOR_RPL) == 0;
}

/* Real and virtual-8086 mode have segments without descriptors. */
static inline bool task_has_descriptors(const struct vcpu_arch *a)
{
    return (a->cr0 & CR0_PE) != 0 && (a->rflags & RFLAGS_VM) == 0;
}

#define TASK_SEGS 6U /* ES, CS, SS, DS, FS, GS: in the TSS in the order of X86_ES.. */
#define TASK_GPRS 8U

enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

/* What a TSS of either width holds. */
struct task_state {
    u32 cr3; /* 32-bit TSS only */
    u32 eip, eflags;
    u32 gpr[TASK_GPRS];
    u16 selector[TASK_SEGS];
    u16 ldt;
    bool trap;
};

struct task_switch {
    struct vcpu *v;
    struct vcpu_arch *a;
    enum task_source source;
    u16 selector;         /* of the new TSS */
    u32 external;         /* EXT bit of error codes: the switch was caused by no instruction */
    bool wide;            /* the new TSS is a 32-bit one */
    u64 descriptor, descriptor_at;
    struct x86_seg tss;   /* the new TR */
    struct task_state task;
};

/* --- task_memory.c: descriptor tables and task state segments in guest memory ---------------------------------------- */
/* Supervisor access to len bytes of RAM; queues #PF. */
MUST_CHECK int task_read(struct vcpu *v, u64 va, void *buf, size_t len);
MUST_CHECK int task_write(struct vcpu *v, u64 va, const void *buf, size_t len);
/* Raise the faults that writing len bytes would, without writing. */
MUST_CHECK int task_probe(struct vcpu *v, u64 va, size_t len, u32 access);
/* Queue vector with the selector as error code; -E_GUEST. */
int task_fault(const struct task_switch *t, u8 vector, u16 selector);
/* The descriptor of selector from GDT or LDT and where it is; a selector outside its table is vector(selector). */
MUST_CHECK int task_descriptor(const struct task_switch *t, u16 selector, u8 vector, u64 *raw, u64 *at);
/* Unpack a descriptor. */
struct x86_seg task_segment(u16 selector, u64 raw);
MUST_CHECK int task_state_read(const struct task_switch *t, struct task_state *out);
/* Write the dynamic fields (EIP to GS) into the TSS of tr. */
MUST_CHECK int task_state_write(struct vcpu *v, const struct x86_seg *tr, const struct task_state *state);
/* Smallest limit of a TSS. */
u32 task_tss_limit(bool wide);

/* --- task_segments.c ---------------------------------------------------------------------------------------------------- */
/* May segment register index (X86_ES..X86_GS) hold s at privilege level cpl? Presence aside. */
bool task_segment_ok(u32 index, const struct x86_seg *s, u8 cpl);
/* Load LDTR and the six segments of t->task with the checks of SDM table 8-1. Faults belong to the new task. */
MUST_CHECK int task_load_segments(struct task_switch *t);
