/* What the files of the SVM backend share. */
#pragma once
#include "vcpu/x86_64/svm/svm.h"
#include "vcpu/x86_64/svm/vmcb.h"
#include "vcpu/x86_64/x86.h"

/* --- what the CPU offers: probe.c, pure --------------------------------------------------------------------------- */

/* CPUID 8000_000A EDX: APM Vol. 3 E.4.9 */
#define SVM_FEATURE_LIST(X)                                                                                           \
    X(NP, 0, "npt")                                                                                                   \
    X(NRIPS, 3, "nrips")                                                                                              \
    X(VMCB_CLEAN, 5, "clean")                                                                                         \
    X(FLUSH_BY_ASID, 6, "flush-by-asid")                                                                              \
    X(DECODE_ASSISTS, 7, "decode-assists")                                                                            \
    X(PAUSE_FILTER, 10, "pause-filter")                                                                               \
    X(PAUSE_THRESHOLD, 12, "pause-threshold")
enum svm_feature {
#define SVM_FEATURE_ENUM(name, bit, text) SVM_FEATURE_##name = 1 << (bit),
    SVM_FEATURE_LIST(SVM_FEATURE_ENUM)
#undef SVM_FEATURE_ENUM
};
#define SVM_CPUID_EAX_REVISION_MASK GENMASK(7, 0)

struct arch_percpu;

/* How probe.c and enable.c reach the CPU; tests put a script in its place. */
struct svm_hw {
    struct x86_cpuid (*cpuid)(u32 leaf); /* all zeroes above the maximum */
    int (*rdmsr)(u32 msr, u64 *value);   /* 0 or -E_HW (#GP) */
    int (*wrmsr)(u32 msr, u64 value);    /* 0 or -E_HW (#GP) */
    void (*save_host)(hpa_t vmcb);       /* VMSAVE: what VMLOAD gives back to the host after each exit */
};

struct svm_features {
    u32 revision;
    u32 asids; /* host's ASID 0 included */
    u32 edx;   /* SVM_FEATURE_* */
    u8 phys_bits;
    bool leaf_1g;
    bool tr_busy; /* TR's type in the VMCB is a busy TSS's; else an available one's, QEMU's way: others end it */
};

/* Can this CPU? No side effects. 0 with *features; -E_NOSYS with *missing naming the bit. APM 15.4 "Enabling SVM". */
MUST_CHECK int svm_probe(const struct svm_hw *hw, struct svm_features *features, const char **missing);
/* Clear VM_CR.SVMDIS when it is set and not locked; writes nothing when SVM is not disabled, or when there is no VM_CR
 * to read. 0 or -E_HW (locked off). APM 15.30.1 "VM_CR MSR". */
MUST_CHECK int svm_unlock(const struct svm_hw *hw);
/* The boot line's words. Terminates within size. */
void svm_summary(const struct svm_features *features, char *text, size_t size);

/* --- this machine: enable.c, pure; hw.c -------------------------------------------------------------------------- */

/* Filled by the first cpu_enable; every CPU is required to offer the same. */
extern struct svm_features svm_features;
/* NPT with the leaves that the CPU has; filled together with the features. */
extern struct pt_format svm_nested_format;

/* Turn SVM on, on the CPU that hw and cpu are. 0; -E_HW (locked off, refused, or less than the first CPU offered);
 * -E_NOMEM. On failure everything is as before, but for VM_CR.SVMDIS, which stays cleared. */
MUST_CHECK int svm_cpu_enable(const struct svm_hw *hw, struct arch_percpu *cpu);
void svm_cpu_disable(const struct svm_hw *hw, struct arch_percpu *cpu);

int svm_backend_probe(struct vcpu_caps *caps);
int svm_backend_enable(void);
void svm_backend_disable(void);
bool svm_backend_enabled(void);

static inline bool svm_has(enum svm_feature feature)
{
    return (svm_features.edx & (u32)feature) != 0;
}

/* --- permission maps, one set for all vCPUs: maps.c --------------------------------------------------------------- */

/* Build them once; later calls do nothing. 0 or -E_NOMEM. */
MUST_CHECK int svm_maps_init(void);
hpa_t svm_iopm(void);
hpa_t svm_msrpm(void);

/* --- vCPU --------------------------------------------------------------------------------------------------------- */

#define SVM_INSNS 32U /* remembered lengths */

/* An instruction whose length is known: insn.c. */
struct svm_insn {
    u64 linear, cr3; /* what it was found by: RIP + CS.base, ~0 = nothing here; and CR3 */
    const u8 *host;                          /* its bytes in guest memory */
    u64 bytes, mask;                         /* what they were; only the masked ones belong to it */
    u8 len;
};

struct svm_vcpu {
    struct vmcb *vmcb;
    u64 vmcb_pa;
    u64 host_vmcb_pa;    /* of the CPU on which the vCPU is loaded */
    u64 asid_generation; /* of the CPU's; 0: needs a new ASID before the next entry */
    u32 cpu;             /* where it was loaded last */
    u32 clean;           /* what the clean field gets after an exit: 0 without the feature */
    u32 windows;         /* VCPU_WINDOW_* asked for */
    bool iret_running;   /* the IRET that ends an NMI handler was intercepted at iret_rip and is being executed */
    bool stepping;       /* by TF, so that the end of that IRET is seen */
    bool cr8_waits;      /* a request waits for a lower priority */
    u64 iret_rip;
    struct x86_exit exit; /* the one being handled */
    struct svm_insn insns[SVM_INSNS];
};

static inline struct svm_vcpu *svm_of(const struct vcpu *v)
{
    return v->arch.hw;
}

/* The guest's memory or its translations changed: forget all instruction lengths. */
static inline void svm_insn_forget(struct svm_vcpu *svm)
{
    for (u32 i = 0; i < SVM_INSNS; i++) {
        svm->insns[i].linear = ~0ULL;
    }
}

/* Declare parts of the VMCB changed. */
static inline void svm_touch(struct svm_vcpu *svm, u32 clean_bits)
{
    svm->vmcb->control.clean &= ~clean_bits;
}

/* apic.c */
extern const struct vcpu_assist svm_assist;
/* Intercept CR8 as it is needed now; only once the guest has CR8, which then can be read without an exit. */
void svm_cr8_settle(struct svm_vcpu *svm);
static inline bool svm_cr8_is_free(const struct svm_vcpu *svm)
{
    return (svm->vmcb->control.intercept_cr & VMCB_INTERCEPT_READ(8)) == 0;
}

/* asid.c: give the vCPU a new ASID of this CPU, flushing the TLB when they have been used up. IRQs off. */
void svm_asid_assign(struct svm_vcpu *svm);
/* The CPU's next assignment starts over with a flush; for a flush that may not have happened. */
void svm_asid_exhaust(struct arch_percpu *cpu);
void svm_tlb_flush(struct vcpu *v);

/* regs.c: v->arch <-> VMCB by groups; CORE excepted, which run.c moves at each entry and exit. */
void svm_regs_fetch(struct vcpu *v, u32 groups);
void svm_regs_flush(struct vcpu *v, u32 groups);
/* The CPU's DR0 to DR3 become the vCPU's, and its DR7, too, as far as neither the host meets a breakpoint
 * nor QEMU ends at one (hw.c). VMRUN loads DR7
 * (APM 15.5.1), QEMU's without effect: a breakpoint there is what the last MOV to DR7 made it, the next MOV removes it by the
 * type that DR7 gives it at that moment, and where that is another type QEMU frees the wrong thing and ends. So only the host
 * writes them, the guest's MOV exits, and DR7 is DR7_FIXED when a vCPU is unloaded. */
void svm_lend_debug_registers(struct vcpu *v);

/* events.c */
void svm_event_inject(struct vcpu *v, const struct vcpu_event *event);
void svm_event_window(struct vcpu *v, u32 windows);
/* A valid EXITINTINFO as a neutral event; false when it needs no second delivery. task: the exit is a task switch. */
bool svm_event_interrupted(u64 exitintinfo, bool task, struct vcpu_event *event);
/* End of NMI blocking. Before an entry, after an exit; the latter returns true when the exit was of its own making. */
void svm_nmi_before_entry(struct vcpu *v);
bool svm_nmi_after_exit(struct vcpu *v, const struct x86_exit *xe);

/* exits.c: the VMCB's exit fields as the shared code wants them, by the table exits.def. */
#define SVM_EXIT_DIRECTION 1U
#define SVM_EXIT_LENGTH 2U
#define SVM_EXIT_ROWS 0x90U
struct svm_exit_row {
    void (*decode)(const struct vmcb *vmcb, struct x86_exit *xe);
    u8 code;  /* enum x86_exit_code */
    u8 facts; /* SVM_EXIT_* */
};
extern const struct svm_exit_row svm_exit_rows[SVM_EXIT_ROWS];
/* The row of an exit code beyond the table. */
const struct svm_exit_row *svm_exit_row_beyond(u64 exitcode);
const char *svm_exit_name(u64 exitcode);

/* insn.c: decode the instruction at RIP and remember its length in *insn; 0 when it cannot be decoded. After an exit. */
u8 svm_insn_learn(struct vcpu *v, struct svm_insn *insn);

/* run.c */
void svm_run(struct vcpu *v, struct vcpu_exit *exit);
void svm_run_traced(struct vcpu *v, struct vcpu_exit *exit);
